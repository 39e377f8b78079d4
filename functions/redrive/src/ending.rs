//! Owns what becomes of an object that was gone through, and of its quarantine object.

use bytes::Bytes;
use emite_aws::error::AwsError;

use crate::bulk::{BulkError, BulkResponse};
use crate::context::{ObjectOutcome, TimeBudget};
use crate::deliver::Halt;
use crate::object::CHANGED;
use crate::pass::{Pass, PassEnd};
use crate::request::Mode;
use crate::run_result::{Counts, Flaw, ResumePoint};

const NOT_RECORDS: &str = "it is not an object of failed records: no line of it has a document, an id and an index";
const TOO_LARGE: &str = "a document in it is too large for the domain";
const TOO_LONG: &str = "a line in it is longer than 16 MiB";
const TOO_BIG: &str = "it is too big for one run of the function: unpack it or divide it by hand";
const STILL_REFUSED: &str = "the domain refuses every record in it";
const TOO_BIG_TO_MOVE: &str =
    "its records are in the domain, but S3 copies no more than 5 GiB at once: move it by hand";

/// S3 copies no larger object in one call.
const MOST_COPIED: u64 = 5 << 30;

impl<P: AsyncFn(Bytes, usize) -> Result<BulkResponse, AwsError>> Pass<'_, P> {
    /// What becomes of the object.
    pub(crate) async fn conclude(mut self, end: PassEnd, time: TimeBudget) -> Result<ObjectOutcome, AwsError> {
        let had_whole_run = time == TimeBudget::WholeRun;
        let position = self.batch.entries.first().map_or(self.batch.start(), |entry| entry.offset);
        match end {
            PassEnd::QuarantineIncomplete => {
                self.quarantine.discard().await?;
                Ok(ObjectOutcome::Remaining {
                    counts: Counts::default(),
                    resume: ResumePoint::default(),
                    stopped: None,
                })
            }
            PassEnd::Halted(Halt::Inconclusive) => {
                self.quarantine.discard().await?;
                Ok(ObjectOutcome::Inconclusive)
            }
            PassEnd::Gone => {
                let counts = self.counts;
                self.quarantine.discard().await?;
                Ok(ObjectOutcome::Done(counts))
            }
            PassEnd::Complete if !self.has_records => self.leave_unread(NOT_RECORDS).await,
            PassEnd::Complete => match self.flaw() {
                Some(cause) => self.leave(cause).await,
                None => self.finish().await,
            },
            PassEnd::Broken(cause) if !self.has_records => self.leave_unread(cause).await,
            PassEnd::Broken(cause) => self.leave(cause).await,
            PassEnd::OutOfTime if had_whole_run && position == self.from.offset => self.leave(TOO_BIG).await,
            PassEnd::OutOfTime if had_whole_run && !self.has_records => self.leave_unread(NOT_RECORDS).await,
            PassEnd::OutOfTime | PassEnd::Halted(Halt::OutOfTime) if had_whole_run && self.is_replaced() => {
                self.leave(TOO_BIG).await
            }
            PassEnd::OutOfTime | PassEnd::Halted(Halt::OutOfTime) => self.remain(position, None).await,
            PassEnd::Halted(Halt::Stopped(bulk_error)) => self.remain(position, Some(bulk_error)).await,
        }
    }

    /// Whether the source is replaced as a whole, so that no run can go on in the middle of it.
    fn is_replaced(&self) -> bool {
        self.context.mode == Mode::Apply && self.source.is_quarantine()
    }

    /// The flaw that was found in this run or an earlier one.
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
        } else if self.context.mode == Mode::Apply && self.reader.size > MOST_COPIED {
            Some(TOO_BIG_TO_MOVE)
        } else {
            None
        }
    }

    /// Leaves an object of which nothing is of use, with no trace.
    async fn leave_unread(mut self, cause: &str) -> Result<ObjectOutcome, AwsError> {
        self.quarantine.discard().await?;
        Ok(ObjectOutcome::Left { counts: Counts::default(), cause: cause.to_owned(), size: self.reader.size })
    }

    /// Leaves an object whose records are settled as far as that goes.
    async fn leave(self, cause: &str) -> Result<ObjectOutcome, AwsError> {
        let (size, counts) = (self.reader.size, self.counts.clone());
        self.keep_rejected().await?;
        Ok(ObjectOutcome::Left { counts, cause: cause.to_owned(), size })
    }

    async fn remain(mut self, position: u64, stopped: Option<BulkError>) -> Result<ObjectOutcome, AwsError> {
        if position == self.from.offset || !self.has_records {
            // Of a run that stopped at once, this says what the domain answered.
            let counts = if position == self.from.offset { self.counts } else { Counts::default() };
            self.quarantine.discard().await?;
            return Ok(ObjectOutcome::Remaining { counts, resume: self.from, stopped });
        }
        let resume = if self.is_replaced() {
            ResumePoint::default()
        } else {
            ResumePoint { offset: position, quarantined: self.quarantine.lines, flaw: self.lasting_flaw() }
        };
        let counts = self.counts.clone();
        self.keep_rejected().await?;
        Ok(ObjectOutcome::Remaining { counts, resume, stopped })
    }

    /// Stores the quarantine object of a source that stays.
    async fn keep_rejected(mut self) -> Result<(), AwsError> {
        if self.context.mode == Mode::Plan || self.source.is_quarantine() {
            return self.quarantine.discard().await;
        }
        self.store_rejected(None).await
    }

    /// Stores the quarantine object, with `etag` only in place of that version; without a line there is to be none, not
    /// one of an earlier run either.
    async fn store_rejected(self, etag: Option<&str>) -> Result<(), AwsError> {
        let (bucket, key) = (&self.context.bucket, &self.source.quarantine_key);
        if self.quarantine.lines > 0 {
            return self.quarantine.store(etag).await;
        }
        if bucket.has(key).await? {
            bucket.delete(key, etag).await?;
        }
        Ok(())
    }

    /// Moves an object that is done.
    async fn finish(self) -> Result<ObjectOutcome, AwsError> {
        let size = self.reader.size;
        let (etag, counts) = (self.reader.etag.clone(), self.counts.clone());
        if self.context.mode == Mode::Plan {
            return Ok(ObjectOutcome::Done(counts));
        }
        match self.move_source(&etag).await {
            Ok(()) => Ok(ObjectOutcome::Done(counts)),
            // Another run was faster.
            Err(error) if error.is_not_found() => Ok(ObjectOutcome::Done(counts)),
            Err(error) if error.is_of_another_version() => {
                Ok(ObjectOutcome::Left { counts, cause: CHANGED.to_owned(), size })
            }
            Err(error) => Err(error),
        }
    }

    /// Puts the source away. One that is in quarantine is its own quarantine object, and copied before it is replaced.
    async fn move_source(mut self, etag: &str) -> Result<(), AwsError> {
        let (bucket, source) = (&self.context.bucket, self.source);
        if source.is_quarantine() {
            if let Err(error) = bucket.copy(&source.key, etag, &source.redriven_key).await {
                self.quarantine.discard().await?;
                return Err(error);
            }
            // A run that goes through the source of these records may just have put others here.
            return self.store_rejected(Some(etag)).await;
        }
        self.store_rejected(None).await?;
        bucket.copy(&source.key, etag, &source.redriven_key).await?;
        bucket.delete(&source.key, None).await
    }
}
