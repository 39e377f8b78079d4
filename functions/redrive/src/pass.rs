//! Owns going through one object: batch by batch, and then what becomes of the object.
//!
//! The order of writes is what nothing is lost by: a record's line counts as settled only after the domain or the
//! quarantine object has it, and the source goes last. A source below `quarantine/` is its own quarantine object: it is
//! copied away first, and then replaced by what still fails. Whatever is done twice comes to the same.

mod ending;

use bytes::Bytes;
use emite_aws::error::AwsError;
use emite_core::failed_object;

use crate::answer::{Counts, Flaw, Place};
use crate::batch::{Batch, Entry};
use crate::bulk::Answer;
use crate::deliver::{Delivered, Fate, Halt, Manners, deliver};
use crate::input::Mode;
use crate::keys::Source;
use crate::object::{Object, Read};
use crate::quarantine::Quarantine;
use crate::run::{Outcome, Run};

/// Going through one object.
pub(crate) struct Pass<'r, P> {
    run: &'r Run<P>,
    source: &'r Source,
    object: Box<Object<'r>>,
    quarantine: Quarantine<'r>,
    batch: Batch,
    counts: Counts,
    /// Where it began.
    from: Place,
    /// Some line is a failed record.
    has_records: bool,
    /// Some record can neither be brought into the domain nor put aside.
    flaw: Option<Flaw>,
}

/// Why going through an object ended.
enum Ended {
    /// Lines before the beginning are not in quarantine any more, and so in the source alone.
    Lacking,
    Complete,
    Gone,
    Broken(&'static str),
    OutOfTime,
    Halted(Halt),
}

impl<'r, P: AsyncFn(Bytes, usize) -> Result<Answer, AwsError>> Pass<'r, P> {
    pub(crate) fn new(run: &'r Run<P>, source: &'r Source, object: Box<Object<'r>>, from: Place) -> Self {
        Self {
            run,
            source,
            object,
            quarantine: Quarantine::new(&run.bucket, &source.quarantine),
            batch: Batch::from(from.offset),
            counts: Counts::default(),
            has_records: from.offset > 0,
            flaw: from.flaw,
            from,
        }
    }

    /// `first` is whether all the run's time was there for this object.
    pub(crate) async fn go_through(mut self, manners: &mut Manners, first: bool) -> Result<Outcome, AwsError> {
        let ended = match self.begin(manners).await {
            Ok(ended) => ended,
            Err(error) => {
                // The error that is told is the one that was first.
                let _ = self.quarantine.discard().await;
                return Err(error);
            }
        };
        self.conclude(ended, first).await
    }

    async fn begin(&mut self, manners: &mut Manners) -> Result<Ended, AwsError> {
        if self.run.mode == Mode::Apply && self.from.offset > 0 {
            self.quarantine.carry_over(self.from.offset).await?;
            if self.quarantine.lines < self.from.quarantined {
                return Ok(Ended::Lacking);
            }
        }
        self.batches(manners).await
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
        let Delivered { fates, halt } = deliver(&mut self.batch, manners, self.run.end, &self.run.post).await?;
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
            Fate::TooLarge(_) => self.flaw = Some(Flaw::TooLarge),
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
