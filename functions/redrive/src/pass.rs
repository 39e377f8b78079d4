//! Owns going through one object, batch by batch; what becomes of the object then is in [`crate::ending`].
//!
//! The order of writes is what nothing is lost by: a record's line counts as settled only after the domain or the
//! quarantine object has it, and the source goes last. A source below `quarantine/` is its own quarantine object: it is
//! copied away first, and then replaced by what still fails. Whatever is done twice comes to the same.

use bytes::Bytes;
use emite_aws::error::AwsError;
use emite_core::failed_object;

use crate::batch::{Batch, BatchLine};
use crate::bulk::BulkResponse;
use crate::context::RunContext;
use crate::deliver::{Delivered, Halt, LineStatus, deliver};
use crate::domain_state::DomainState;
use crate::keys::SourceObject;
use crate::object::{ObjectReader, ReadProgress};
use crate::quarantine::Quarantine;
use crate::request::Mode;
use crate::run_result::{Counts, Flaw, ResumePoint};

/// Going through one object.
pub(crate) struct Pass<'r, P> {
    pub(crate) context: &'r RunContext<P>,
    pub(crate) source: &'r SourceObject,
    pub(crate) reader: Box<ObjectReader<'r>>,
    pub(crate) quarantine: Quarantine<'r>,
    pub(crate) batch: Batch,
    pub(crate) counts: Counts,
    /// Where it began.
    pub(crate) from: ResumePoint,
    /// Some line is a failed record.
    pub(crate) has_records: bool,
    /// Some record can neither be brought into the domain nor quarantined.
    pub(crate) flaw: Option<Flaw>,
}

/// Why going through an object ended.
pub(crate) enum PassEnd {
    /// Lines before the beginning are not in quarantine any more, and so in the source alone.
    QuarantineIncomplete,
    Complete,
    Gone,
    Broken(&'static str),
    OutOfTime,
    Halted(Halt),
}

impl<'r, P: AsyncFn(Bytes, usize) -> Result<BulkResponse, AwsError>> Pass<'r, P> {
    pub(crate) fn new(
        context: &'r RunContext<P>,
        source: &'r SourceObject,
        reader: Box<ObjectReader<'r>>,
        from: ResumePoint,
    ) -> Self {
        Self {
            context,
            source,
            reader,
            quarantine: Quarantine::new(&context.bucket, &source.quarantine_key),
            batch: Batch::from(from.offset),
            counts: Counts::default(),
            has_records: from.offset > 0,
            flaw: from.flaw,
            from,
        }
    }

    /// Goes through the object as far as there is time and use.
    pub(crate) async fn go_through(&mut self, state: &mut DomainState) -> Result<PassEnd, AwsError> {
        let end = self.begin(state).await;
        if end.is_err() {
            // The error that is reported is the one that was first.
            let _ = self.quarantine.discard().await;
        }
        end
    }

    async fn begin(&mut self, state: &mut DomainState) -> Result<PassEnd, AwsError> {
        if self.context.mode == Mode::Apply && self.from.offset > 0 {
            self.quarantine.carry_over(self.from.offset).await?;
            if self.quarantine.lines < self.from.quarantined {
                return Ok(PassEnd::QuarantineIncomplete);
            }
        }
        self.batches(state).await
    }

    async fn batches(&mut self, state: &mut DomainState) -> Result<PassEnd, AwsError> {
        loop {
            if self.context.is_over() {
                return Ok(PassEnd::OutOfTime);
            }
            let mut end = None;
            if !self.batch.fill(&self.context.naming, state.max_body) {
                end = match self.reader.read(&mut self.batch.text).await? {
                    ReadProgress::More => continue,
                    ReadProgress::Gone => return Ok(PassEnd::Gone),
                    ReadProgress::End if !self.batch.fill(&self.context.naming, state.max_body) => {
                        self.batch.finish(&self.context.naming, state.max_body).then_some(PassEnd::Complete)
                    }
                    ReadProgress::End => None,
                    ReadProgress::Broken(cause) => {
                        let full = self.batch.fill(&self.context.naming, state.max_body);
                        (!full).then_some(PassEnd::Broken(cause))
                    }
                };
            }
            if let Some(halt) = self.settle(state).await? {
                return Ok(PassEnd::Halted(halt));
            }
            if let Some(end) = end {
                return Ok(end);
            }
            self.batch.next();
        }
    }

    /// Brings a batch to its end, as far as that goes.
    async fn settle(&mut self, state: &mut DomainState) -> Result<Option<Halt>, AwsError> {
        if self.context.mode == Mode::Plan {
            self.note_all();
            return Ok(None);
        }
        let Delivered { statuses, halt } =
            deliver(&mut self.batch, state, self.context.end, &self.context.post).await?;
        let settled = statuses.iter().take_while(|status| !matches!(status, LineStatus::Pending(_))).count();
        for (index, status) in statuses.iter().take(settled).enumerate() {
            self.count(index, *status).await?;
        }
        if let Some(Halt::Stopped(_)) = halt {
            for bulk_error in
                statuses.iter().filter_map(|status| if let LineStatus::Pending(last) = status { *last } else { None })
            {
                self.counts.count_error(bulk_error.to_string());
            }
        }
        self.batch.entries.drain(..settled);
        Ok(halt)
    }

    /// Counts what became of an entry, and puts its line into quarantine if nothing else can be done with it.
    async fn count(&mut self, index: usize, status: LineStatus) -> Result<(), AwsError> {
        let entry = &self.batch.entries[index];
        let kind = match status {
            LineStatus::Pending(_) | LineStatus::Indexed => None,
            LineStatus::AlreadyPresent => Some("409/version_conflict_engine_exception".to_owned()),
            LineStatus::Rejected(bulk_error) | LineStatus::TooLarge(bulk_error) => Some(bulk_error.to_string()),
            LineStatus::Unreadable(unreadable) => Some(format!("unreadable/{}", unreadable.name())),
        };
        match status {
            LineStatus::Indexed => self.counts.indexed += 1,
            LineStatus::AlreadyPresent => self.counts.already_present += 1,
            LineStatus::TooLarge(_) => self.flaw = Some(Flaw::TooLarge),
            LineStatus::Rejected(_) | LineStatus::Unreadable(_) => {
                self.counts.quarantined += 1;
                let line = &self.batch.text[entry.line.clone()];
                self.quarantine.add(line, entry.offset, kind.as_deref().unwrap_or_default()).await?;
            }
            LineStatus::Pending(_) => {}
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

fn is_record(entry: &BatchLine) -> bool {
    entry.frame.as_ref().err().is_none_or(|unreadable| unreadable.is_record())
}

/// What Firehose noted of a record.
fn noted(line: &[u8]) -> String {
    match failed_object::kind_of_line(line) {
        Some(kind) => format!("{}/{}", kind.status, kind.error_type.as_deref().unwrap_or("other")),
        None => "other".to_owned(),
    }
}
