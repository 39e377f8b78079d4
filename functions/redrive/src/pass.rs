//! Owns going through one object: batch by batch, and then what becomes of the object.
//!
//! The order of writes is what nothing is lost by: a record's line counts as settled only after the domain or the
//! quarantine object has it, and the source goes last. A source below `quarantine/` is its own quarantine object: it is
//! copied away first, and then replaced by what still fails. Whatever is done twice comes to the same.

use bytes::Bytes;
use emite_connect::error::AwsError;
use emite_connect::failed_object;

use crate::answer::Counts;
use crate::batch::{Batch, Entry};
use crate::bucket::has_changed;
use crate::bulk::{Answer, Refusal};
use crate::deliver::{Delivered, Fate, Halt, deliver};
use crate::input::Mode;
use crate::keys::Source;
use crate::object::{Object, Read};
use crate::quarantine::Quarantine;
use crate::run::{Manners, Outcome, Run};

const NOT_RECORDS: &str = "it is not an object of failed records: no line of it has a document, an id and an index";
const TOO_LARGE: &str = "a document in it is too large for the domain";
const TOO_LONG: &str = "a line in it is longer than 16 MiB";
const TOO_BIG: &str = "it is too big for one run of the function: unpack it or divide it by hand";
const STILL_REFUSED: &str = "the domain refuses every record in it";
const CHANGED: &str = "it was changed while it was read";
const TOO_BIG_TO_MOVE: &str =
    "its records are in the domain, but S3 copies no more than 5 GiB at once: move it by hand";

/// S3 copies no larger object in one call.
const MOST_COPIED: u64 = 5 << 30;

/// Going through one object.
pub(crate) struct Pass<'r, P> {
    run: &'r Run<P>,
    source: &'r Source,
    object: Box<Object<'r>>,
    quarantine: Quarantine<'r>,
    batch: Batch,
    counts: Counts,
    /// Where it began.
    from: u64,
    /// Some line is a failed record.
    has_records: bool,
    /// Some document is one that the domain takes at no size.
    has_too_large: bool,
}

/// Why going through an object ended.
enum Ended {
    Complete,
    Gone,
    Broken(&'static str),
    OutOfTime,
    Halted(Halt),
}

impl<'r, P: AsyncFn(Bytes, usize) -> Result<Answer, AwsError>> Pass<'r, P> {
    pub(crate) fn new(run: &'r Run<P>, source: &'r Source, object: Box<Object<'r>>, from: u64) -> Self {
        Self {
            run,
            source,
            object,
            quarantine: Quarantine::new(&run.bucket, &source.quarantine),
            batch: Batch::from(from),
            counts: Counts::default(),
            from,
            has_records: from > 0,
            has_too_large: false,
        }
    }

    /// `first` is whether all the run's time was there for this object.
    pub(crate) async fn go_through(mut self, manners: &mut Manners, first: bool) -> Result<Outcome, AwsError> {
        if self.run.mode == Mode::Apply && self.from > 0 {
            self.quarantine.carry_over(self.from).await?;
        }
        let ended = match self.batches(manners).await {
            Ok(ended) => ended,
            Err(error) => {
                // The error that is told is the one that was first.
                let _ = self.quarantine.discard().await;
                return Err(error);
            }
        };
        self.conclude(ended, first).await
    }

    async fn batches(&mut self, manners: &mut Manners) -> Result<Ended, AwsError> {
        loop {
            if self.run.is_over() {
                return Ok(Ended::OutOfTime);
            }
            let mut ended = None;
            if !self.batch.fill(&self.run.naming, manners.limit) {
                ended = match self.object.read(&mut self.batch.text).await? {
                    Read::More => continue,
                    Read::Gone => return Ok(Ended::Gone),
                    Read::End if !self.batch.fill(&self.run.naming, manners.limit) => {
                        self.batch.finish(&self.run.naming, manners.limit).then_some(Ended::Complete)
                    }
                    Read::End => None,
                    Read::Broken(cause) => {
                        let full = self.batch.fill(&self.run.naming, manners.limit);
                        (!full).then_some(Ended::Broken(cause))
                    }
                };
            }
            if let Some(halt) = self.settle(manners).await? {
                return Ok(Ended::Halted(halt));
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
            self.batch.next();
        }
    }

    /// Brings a batch to its end, as far as that goes.
    async fn settle(&mut self, manners: &mut Manners) -> Result<Option<Halt>, AwsError> {
        if self.run.mode == Mode::Plan {
            self.note_all();
            return Ok(None);
        }
        let Delivered { fates, halt, too_large } =
            deliver(&mut self.batch, &mut manners.pace, self.run.end, &self.run.post).await?;
        if too_large {
            manners.limit = (manners.limit / 2).max(64 << 10);
        }
        let settled = fates.iter().take_while(|fate| !matches!(fate, Fate::Pending(_))).count();
        for (index, fate) in fates.iter().take(settled).enumerate() {
            self.count(index, *fate).await?;
        }
        if let Some(Halt::Stopped(_)) = halt {
            for refusal in fates.iter().filter_map(|fate| if let Fate::Pending(last) = fate { *last } else { None }) {
                self.counts.count_error(refusal.to_string());
            }
        }
        self.batch.entries.drain(..settled);
        Ok(halt)
    }

    /// Counts what became of an entry, and puts its line into quarantine if nothing else can be done with it.
    async fn count(&mut self, index: usize, fate: Fate) -> Result<(), AwsError> {
        let entry = &self.batch.entries[index];
        let kind = match fate {
            Fate::Pending(_) | Fate::Indexed => None,
            Fate::AlreadyPresent => Some("409/version_conflict_engine_exception".to_owned()),
            Fate::Refused(refusal) | Fate::TooLarge(refusal) => Some(refusal.to_string()),
            Fate::Unreadable(unreadable) => Some(format!("unreadable/{}", unreadable.name())),
        };
        match fate {
            Fate::Indexed => self.counts.indexed += 1,
            Fate::AlreadyPresent => self.counts.already_present += 1,
            Fate::TooLarge(_) => self.has_too_large = true,
            Fate::Refused(_) | Fate::Unreadable(_) => {
                self.counts.quarantined += 1;
                let line = &self.batch.text[entry.line.clone()];
                self.quarantine.add(line, entry.offset, kind.as_deref().unwrap_or_default()).await?;
            }
            Fate::Pending(_) => {}
        }
        self.has_records |= is_record(entry);
        self.counts.records += 1;
        self.counts.count_arrival(entry.arrival);
        if let Some(kind) = kind {
            self.counts.count_error(kind);
        }
        Ok(())
    }

    /// Counts a batch by what Firehose noted.
    fn note_all(&mut self) {
        for entry in self.batch.entries.drain(..) {
            let kind = match &entry.frame {
                Ok(_) => noted(&self.batch.text[entry.line.clone()]),
                Err(unreadable) => format!("unreadable/{}", unreadable.name()),
            };
            self.has_records |= is_record(&entry);
            self.counts.records += 1;
            self.counts.count_arrival(entry.arrival);
            self.counts.count_error(kind);
        }
    }

    /// What becomes of the object.
    async fn conclude(self, ended: Ended, first: bool) -> Result<Outcome, AwsError> {
        let position = self.batch.entries.first().map_or(self.batch.start(), |entry| entry.offset);
        match ended {
            Ended::Gone => {
                let counts = self.counts;
                self.quarantine.discard().await?;
                Ok(Outcome::Done(counts))
            }
            Ended::Complete if !self.has_records => self.leave_unread(NOT_RECORDS).await,
            Ended::Complete => match self.flaw() {
                Some(cause) => self.leave(cause).await,
                None => self.finish().await,
            },
            Ended::Broken(cause) if !self.has_records => self.leave_unread(cause).await,
            Ended::Broken(cause) => self.leave(cause).await,
            Ended::OutOfTime if first && position == self.from => self.leave(TOO_BIG).await,
            Ended::OutOfTime if position > self.from && !self.has_records => self.leave_unread(NOT_RECORDS).await,
            Ended::OutOfTime | Ended::Halted(Halt::Time) if first && self.is_replaced() => self.leave(TOO_BIG).await,
            Ended::OutOfTime | Ended::Halted(Halt::Time) => self.remain(position, None).await,
            Ended::Halted(Halt::Stopped(refusal)) => self.remain(position, Some(refusal)).await,
        }
    }

    /// Whether the source is replaced as a whole, so that nobody can go on in the middle of it.
    fn is_replaced(&self) -> bool {
        self.run.mode == Mode::Apply && self.source.is_quarantine()
    }

    /// Why a source that was gone through has to stay.
    fn flaw(&self) -> Option<&'static str> {
        if self.batch.overlong > 0 {
            Some(TOO_LONG)
        } else if self.has_too_large {
            Some(TOO_LARGE)
        } else if self.is_replaced() && self.counts.quarantined == self.counts.records {
            Some(STILL_REFUSED)
        } else if self.run.mode == Mode::Apply && self.object.size > MOST_COPIED {
            Some(TOO_BIG_TO_MOVE)
        } else {
            None
        }
    }

    /// Leaves an object of which nothing is of use, with no trace.
    async fn leave_unread(self, cause: &str) -> Result<Outcome, AwsError> {
        self.quarantine.discard().await?;
        Ok(Outcome::Left { counts: Counts::default(), cause: cause.to_owned(), size: self.object.size })
    }

    /// Leaves an object whose records are settled as far as that goes.
    async fn leave(self, cause: &str) -> Result<Outcome, AwsError> {
        let (size, counts) = (self.object.size, self.counts.clone());
        self.keep_refused().await?;
        Ok(Outcome::Left { counts, cause: cause.to_owned(), size })
    }

    async fn remain(self, position: u64, stopped: Option<Refusal>) -> Result<Outcome, AwsError> {
        let offset = if self.is_replaced() { 0 } else { position };
        let counts = self.counts.clone();
        if position > self.from {
            self.keep_refused().await?;
        } else {
            self.quarantine.discard().await?;
        }
        Ok(Outcome::Remaining { counts, offset, stopped })
    }

    /// Stores the quarantine object of a source that stays.
    async fn keep_refused(self) -> Result<(), AwsError> {
        if self.run.mode == Mode::Plan || self.source.is_quarantine() {
            return self.quarantine.discard().await;
        }
        self.store_refused().await
    }

    /// Stores the quarantine object; without a line there is to be none, not one of an earlier run either.
    async fn store_refused(self) -> Result<(), AwsError> {
        let (bucket, key) = (&self.run.bucket, &self.source.quarantine);
        if self.quarantine.lines > 0 {
            return self.quarantine.store().await;
        }
        if bucket.has(key).await? {
            bucket.delete(key).await?;
        }
        Ok(())
    }

    /// Moves an object that is done.
    async fn finish(self) -> Result<Outcome, AwsError> {
        let (run, size) = (self.run, self.object.size);
        let (etag, counts) = (self.object.etag.clone(), self.counts.clone());
        if run.mode == Mode::Plan {
            return Ok(Outcome::Done(counts));
        }
        match self.move_source(&etag).await {
            Ok(()) => Ok(Outcome::Done(counts)),
            // Somebody else was faster.
            Err(error) if error.is_not_found() => Ok(Outcome::Done(counts)),
            Err(error) if has_changed(&error) => Ok(Outcome::Left { counts, cause: CHANGED.to_owned(), size }),
            Err(error) => Err(error),
        }
    }

    /// Puts the source away. One that is in quarantine is its own quarantine object, and copied before it is replaced.
    async fn move_source(self, etag: &str) -> Result<(), AwsError> {
        let (bucket, source) = (&self.run.bucket, self.source);
        if source.is_quarantine() {
            if let Err(error) = bucket.copy(&source.key, etag, &source.moved_to).await {
                self.quarantine.discard().await?;
                return Err(error);
            }
            return self.store_refused().await;
        }
        self.store_refused().await?;
        bucket.copy(&source.key, etag, &source.moved_to).await?;
        bucket.delete(&source.key).await
    }
}

fn is_record(entry: &Entry) -> bool {
    entry.frame.as_ref().err().is_none_or(|unreadable| unreadable.is_record())
}

/// What Firehose noted of a record.
fn noted(line: &[u8]) -> String {
    match failed_object::kind_of_line(line) {
        Some(kind) => format!("{}/{}", kind.status, kind.error_type.as_deref().unwrap_or("other")),
        None => "other".to_owned(),
    }
}
