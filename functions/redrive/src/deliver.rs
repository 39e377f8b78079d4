//! Owns bringing one batch into the domain: sends it, sends again what may work later, halves what is too large, and
//! stops where going on is no use. Every record keeps its id, so that sending one again is harmless.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use emite_aws::error::AwsError;
use tokio::time::Instant;

use crate::backoff::GaveUp;
use crate::batch::Batch;
use crate::bulk::{BulkError, BulkResponse, WriteResult};
use crate::domain_state::DomainState;
use crate::record::Unreadable;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineStatus {
    /// Nothing yet; what the domain last said of it, if anything.
    Pending(Option<BulkError>),
    /// It is in the domain.
    Indexed,
    /// It was there before.
    AlreadyPresent,
    /// The domain never takes it.
    Rejected(BulkError),
    /// The domain takes nothing that large.
    TooLarge(BulkError),
    /// It could not be sent.
    Unreadable(Unreadable),
}

/// Why a batch was not brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The run ends.
    OutOfTime,
    /// Going on is no use.
    Stopped(BulkError),
    /// Documents were rejected as whole requests, and nothing has shown yet that it is the documents.
    Inconclusive,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// One for each of its entries.
    pub(crate) statuses: Vec<LineStatus>,
    /// Why some are pending.
    pub(crate) halt: Option<Halt>,
}

/// Sends a batch with `post`, which takes a body and the number of documents in it.
pub(crate) async fn deliver(
    batch: &mut Batch,
    state: &mut DomainState,
    end: Instant,
    post: impl AsyncFn(Bytes, usize) -> Result<BulkResponse, AwsError>,
) -> Result<Delivered, AwsError> {
    let body = Bytes::from(std::mem::take(&mut batch.body));
    let mut delivery = Delivery::of(batch, state);
    while let Some(group) = delivery.groups.pop_front() {
        let response = post(delivery.part(&body, &group), group.len()).await?;
        let next = delivery.take(group, response);
        let backoff = &mut delivery.state.backoff;
        match next {
            DeliveryStep::GoOn => {}
            DeliveryStep::Progress => backoff.progress(),
            DeliveryStep::Stop(bulk_error) => delivery.halt = Some(Halt::Stopped(bulk_error)),
            DeliveryStep::Wait { progress, bulk_error } => {
                if progress {
                    backoff.progress();
                }
                delivery.halt = match backoff.pause(end).await {
                    Ok(()) => None,
                    Err(GaveUp::OutOfTime) => Some(Halt::OutOfTime),
                    Err(GaveUp::OutOfPatience) => Some(Halt::Stopped(bulk_error)),
                };
            }
        }
        if delivery.halt.is_some() {
            break;
        }
    }
    let delivered = delivery.end();
    // Nothing else holds it any more, so this copies nothing.
    batch.body = body.into();
    Ok(delivered)
}

/// A batch on its way.
struct Delivery<'m> {
    state: &'m mut DomainState,
    /// The part of the body that each entry has; empty for one that is not sent.
    frames: Vec<Range<usize>>,
    statuses: Vec<LineStatus>,
    /// Entries that go together, those that are next in front.
    groups: VecDeque<Vec<usize>>,
    halt: Option<Halt>,
    /// The request was too large for the domain.
    too_large: bool,
    /// The last documents of this batch that were rejected as whole requests, with no other response since.
    rejected_alone: Vec<usize>,
}

/// What to do after a response.
enum DeliveryStep {
    GoOn,
    Progress,
    Wait { progress: bool, bulk_error: BulkError },
    Stop(BulkError),
}

impl<'m> Delivery<'m> {
    fn of(batch: &Batch, state: &'m mut DomainState) -> Self {
        let frames = batch.entries.iter().map(|entry| entry.frame.clone().unwrap_or_default()).collect();
        let statuses = batch.entries.iter().map(|entry| match entry.frame {
            Ok(_) => LineStatus::Pending(None),
            Err(unreadable) => LineStatus::Unreadable(unreadable),
        });
        let sent: Vec<usize> = (0..batch.entries.len()).filter(|index| batch.entries[*index].frame.is_ok()).collect();
        let groups = if sent.is_empty() { VecDeque::new() } else { VecDeque::from([sent]) };
        let statuses = statuses.collect();
        Self { state, frames, statuses, groups, halt: None, too_large: false, rejected_alone: Vec::new() }
    }

    /// The part of the body that is of these entries; copied only where others are in between.
    fn part(&self, body: &Bytes, group: &[usize]) -> Bytes {
        let frames = || group.iter().map(|index| self.frames[*index].clone());
        let (Some(first), Some(last)) = (frames().next(), frames().next_back()) else { return Bytes::new() };
        if frames().map(|frame| frame.len()).sum::<usize>() == last.end - first.start {
            return body.slice(first.start..last.end);
        }
        frames().flat_map(|frame| &body[frame]).copied().collect()
    }

    fn take(&mut self, group: Vec<usize>, response: BulkResponse) -> DeliveryStep {
        match response {
            BulkResponse::PerDocument(results) => self.take_per_document(&group, &results),
            BulkResponse::WholeRequest(result) => self.take_whole_request(group, result),
        }
    }

    fn take_per_document(&mut self, group: &[usize], results: &[WriteResult]) -> DeliveryStep {
        self.rejected_alone.clear();
        self.state.accept_rejections();
        let (mut again, mut stop, mut later) = (Vec::new(), None, None);
        for (&index, &result) in group.iter().zip(results) {
            self.statuses[index] = match result {
                WriteResult::Indexed => LineStatus::Indexed,
                WriteResult::AlreadyPresent => LineStatus::AlreadyPresent,
                WriteResult::Rejected(bulk_error) => LineStatus::Rejected(bulk_error),
                WriteResult::TooLarge(bulk_error) => LineStatus::TooLarge(bulk_error),
                WriteResult::Fatal(bulk_error) => {
                    stop.get_or_insert(bulk_error);
                    LineStatus::Pending(Some(bulk_error))
                }
                WriteResult::Retryable(bulk_error) => {
                    again.push(index);
                    later.get_or_insert(bulk_error);
                    LineStatus::Pending(Some(bulk_error))
                }
            };
        }
        let progress = again.len() < group.len();
        if !again.is_empty() {
            self.groups.push_front(again);
        }
        match (stop, later) {
            (Some(bulk_error), _) => DeliveryStep::Stop(bulk_error),
            (None, Some(bulk_error)) => DeliveryStep::Wait { progress, bulk_error },
            (None, None) => DeliveryStep::Progress,
        }
    }

    fn take_whole_request(&mut self, mut group: Vec<usize>, result: WriteResult) -> DeliveryStep {
        match result {
            WriteResult::Rejected(_) | WriteResult::TooLarge(_) if group.len() > 1 => {
                self.too_large |= matches!(result, WriteResult::TooLarge(_));
                let second = group.split_off(group.len() / 2);
                self.groups.push_front(second);
                self.groups.push_front(group);
                DeliveryStep::GoOn
            }
            WriteResult::Rejected(bulk_error) => self.take_single(&group, bulk_error),
            WriteResult::TooLarge(bulk_error) => {
                self.set(&group, LineStatus::TooLarge(bulk_error));
                DeliveryStep::Progress
            }
            WriteResult::Retryable(bulk_error) => {
                self.set(&group, LineStatus::Pending(Some(bulk_error)));
                self.groups.push_front(group);
                DeliveryStep::Wait { progress: false, bulk_error }
            }
            WriteResult::Fatal(bulk_error) => {
                self.set(&group, LineStatus::Pending(Some(bulk_error)));
                DeliveryStep::Stop(bulk_error)
            }
            WriteResult::Indexed | WriteResult::AlreadyPresent => DeliveryStep::GoOn,
        }
    }

    /// A document whose request is rejected is a bad one. If many in a row are, it is not the documents: some settings of
    /// a domain refuse every request of this kind.
    fn take_single(&mut self, group: &[usize], bulk_error: BulkError) -> DeliveryStep {
        const MANY: usize = 10;
        self.rejected_alone.extend(group);
        self.set(group, LineStatus::Rejected(bulk_error));
        self.state.rejected_alone += 1;
        if self.state.rejected_alone < MANY {
            return DeliveryStep::Progress;
        }
        self.reopen_rejected();
        DeliveryStep::Stop(bulk_error)
    }

    /// Makes documents pending again that were rejected as whole requests. Whether there are any.
    fn reopen_rejected(&mut self) -> bool {
        let rejected = std::mem::take(&mut self.rejected_alone);
        for index in &rejected {
            if let LineStatus::Rejected(bulk_error) = self.statuses[*index] {
                self.statuses[*index] = LineStatus::Pending(Some(bulk_error));
            }
        }
        !rejected.is_empty()
    }

    /// What became of it.
    fn end(mut self) -> Delivered {
        if self.too_large {
            self.state.halve_requests();
        }
        if self.halt.is_none() && !self.state.rejections_are_final {
            self.halt = self.reopen_rejected().then_some(Halt::Inconclusive);
        }
        Delivered { statuses: self.statuses, halt: self.halt }
    }

    fn set(&mut self, group: &[usize], status: LineStatus) {
        for index in group {
            self.statuses[*index] = status;
        }
    }
}

#[cfg(test)]
mod tests;
