//! Owns what becomes of an object that was gone through, and of its quarantine object.

use bytes::Bytes;
use emite_aws::error::AwsError;

use super::{Ended, Pass};
use crate::answer::{Counts, Flaw, Place};
use crate::bucket::has_changed;
use crate::bulk::{Answer, Refusal};
use crate::deliver::Halt;
use crate::input::Mode;
use crate::object::CHANGED;
use crate::run::Outcome;

const NOT_RECORDS: &str = "it is not an object of failed records: no line of it has a document, an id and an index";
const TOO_LARGE: &str = "a document in it is too large for the domain";
const TOO_LONG: &str = "a line in it is longer than 16 MiB";
const TOO_BIG: &str = "it is too big for one run of the function: unpack it or divide it by hand";
const STILL_REFUSED: &str = "the domain refuses every record in it";
const TOO_BIG_TO_MOVE: &str =
    "its records are in the domain, but S3 copies no more than 5 GiB at once: move it by hand";

/// S3 copies no larger object in one call.
const MOST_COPIED: u64 = 5 << 30;

impl<P: AsyncFn(Bytes, usize) -> Result<Answer, AwsError>> Pass<'_, P> {
    /// What becomes of the object.
    pub(super) async fn conclude(self, ended: Ended, first: bool) -> Result<Outcome, AwsError> {
        let position = self.batch.entries.first().map_or(self.batch.start(), |entry| entry.offset);
        match ended {
            Ended::Lacking => {
                self.quarantine.discard().await?;
                let (counts, place) = (Counts::default(), Place::default());
                Ok(Outcome::Remaining { counts, place, stopped: None })
            }
            Ended::Halted(Halt::Unsure) => {
                self.quarantine.discard().await?;
                Ok(Outcome::Unsure)
            }
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
            Ended::OutOfTime if first && position == self.from.offset => self.leave(TOO_BIG).await,
            Ended::OutOfTime if first && !self.has_records => self.leave_unread(NOT_RECORDS).await,
            Ended::OutOfTime | Ended::Halted(Halt::Time) if first && self.is_replaced() => self.leave(TOO_BIG).await,
            Ended::OutOfTime | Ended::Halted(Halt::Time) => self.remain(position, None).await,
            Ended::Halted(Halt::Stopped(refusal)) => self.remain(position, Some(refusal)).await,
        }
    }

    /// Whether the source is replaced as a whole, so that nobody can go on in the middle of it.
    fn is_replaced(&self) -> bool {
        self.run.mode == Mode::Apply && self.source.is_quarantine()
    }

    /// What was found of that in this run or an earlier one.
    fn lasting_flaw(&self) -> Option<Flaw> {
        if self.batch.overlong > 0 { Some(Flaw::TooLong) } else { self.flaw }
    }

    /// Why a source that was gone through has to stay.
    fn flaw(&self) -> Option<&'static str> {
        match self.lasting_flaw() {
            Some(Flaw::TooLong) => return Some(TOO_LONG),
            Some(Flaw::TooLarge) => return Some(TOO_LARGE),
            None => {}
        }
        if self.is_replaced() && self.counts.quarantined == self.counts.records {
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
        if position == self.from.offset || !self.has_records {
            // Of a run that stopped at once, this says what the domain answered.
            let counts = if position == self.from.offset { self.counts } else { Counts::default() };
            self.quarantine.discard().await?;
            return Ok(Outcome::Remaining { counts, place: self.from, stopped });
        }
        let place = if self.is_replaced() {
            Place::default()
        } else {
            Place { offset: position, quarantined: self.quarantine.lines, flaw: self.lasting_flaw() }
        };
        let counts = self.counts.clone();
        self.keep_refused().await?;
        Ok(Outcome::Remaining { counts, place, stopped })
    }

    /// Stores the quarantine object of a source that stays.
    async fn keep_refused(self) -> Result<(), AwsError> {
        if self.run.mode == Mode::Plan || self.source.is_quarantine() {
            return self.quarantine.discard().await;
        }
        self.store_refused(None).await
    }

    /// Stores the quarantine object, with `etag` only in place of that version; without a line there is to be none, not
    /// one of an earlier run either.
    async fn store_refused(self, etag: Option<&str>) -> Result<(), AwsError> {
        let (bucket, key) = (&self.run.bucket, &self.source.quarantine);
        if self.quarantine.lines > 0 {
            return self.quarantine.store(etag).await;
        }
        if bucket.has(key).await? {
            bucket.delete(key, etag).await?;
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
            // A run that goes through the source of these records may just have put others here.
            return self.store_refused(Some(etag)).await;
        }
        self.store_refused(None).await?;
        bucket.copy(&source.key, etag, &source.moved_to).await?;
        bucket.delete(&source.key, None).await
    }
}
