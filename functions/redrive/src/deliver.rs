//! Owns bringing one batch into the domain: sends it, sends again what may work later, halves what is too large, and
//! stops where going on is no use. Every record keeps its id, so that sending one again is harmless.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use emite_aws::error::AwsError;
use tokio::time::Instant;

use crate::batch::{Batch, LONGEST_BODY};
use crate::bulk::{Answer, Refusal, Verdict};
use crate::pace::{OutOf, Pace};
use crate::record::Unreadable;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing yet; what the domain last said of it, if anything.
    Pending(Option<Refusal>),
    /// It is in the domain.
    Indexed,
    /// It was there before.
    AlreadyPresent,
    /// The domain never takes it.
    Refused(Refusal),
    /// The domain takes nothing that large.
    TooLarge(Refusal),
    /// It could not be sent.
    Unreadable(Unreadable),
}

/// Why a batch was not brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The run ends.
    Time,
    /// Going on is no use.
    Stopped(Refusal),
    /// Documents were refused as whole requests, and nothing has shown yet that it is the documents.
    Unsure,
}

/// What the domain has shown of itself so far, in all batches of a run.
#[derive(Debug)]
pub(crate) struct Manners {
    pub(crate) pace: Pace,
    /// The longest body that it is sent.
    pub(crate) limit: usize,
    /// A document that is refused as a whole request is taken for a bad one, as other requests were answered document by
    /// document.
    is_trusted: bool,
    /// Documents in a row that were refused as whole requests.
    refused_alone: usize,
}

impl Default for Manners {
    fn default() -> Self {
        Self { pace: Pace::default(), limit: LONGEST_BODY, is_trusted: false, refused_alone: 0 }
    }
}

impl Manners {
    /// Begins to take documents for bad ones: there was nothing that speaks against it.
    pub(crate) fn trust(&mut self) {
        (self.is_trusted, self.refused_alone) = (true, 0);
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// One for each of its entries.
    pub(crate) fates: Vec<Fate>,
    /// Why some are pending.
    pub(crate) halt: Option<Halt>,
}

/// Sends a batch with `post`, which takes a body and the number of documents in it.
pub(crate) async fn deliver(
    batch: &mut Batch,
    manners: &mut Manners,
    end: Instant,
    post: impl AsyncFn(Bytes, usize) -> Result<Answer, AwsError>,
) -> Result<Delivered, AwsError> {
    let body = Bytes::from(std::mem::take(&mut batch.body));
    let mut delivery = Delivery::of(batch, manners);
    while let Some(group) = delivery.groups.pop_front() {
        let answer = post(delivery.part(&body, &group), group.len()).await?;
        let next = delivery.take(group, answer);
        let pace = &mut delivery.manners.pace;
        match next {
            Next::GoOn => {}
            Next::Progress => pace.progress(),
            Next::Stop(refusal) => delivery.halt = Some(Halt::Stopped(refusal)),
            Next::Wait { progress, refusal } => {
                if progress {
                    pace.progress();
                }
                delivery.halt = match pace.pause(end).await {
                    Ok(()) => None,
                    Err(OutOf::Time) => Some(Halt::Time),
                    Err(OutOf::Patience) => Some(Halt::Stopped(refusal)),
                };
            }
        }
        if delivery.halt.is_some() {
            break;
        }
    }
    let delivered = delivery.end();
    // Nobody else holds it any more, so this copies nothing.
    batch.body = body.into();
    Ok(delivered)
}

/// A batch on its way.
struct Delivery<'m> {
    manners: &'m mut Manners,
    /// The part of the body that each entry has; empty for one that is not sent.
    frames: Vec<Range<usize>>,
    fates: Vec<Fate>,
    /// Entries that go together, those that are next in front.
    groups: VecDeque<Vec<usize>>,
    halt: Option<Halt>,
    /// The request was too large for the domain.
    too_large: bool,
    /// The last documents of this batch that were refused as whole requests, with no other answer since.
    refused_alone: Vec<usize>,
}

/// What to do after an answer.
enum Next {
    GoOn,
    Progress,
    Wait { progress: bool, refusal: Refusal },
    Stop(Refusal),
}

impl<'m> Delivery<'m> {
    fn of(batch: &Batch, manners: &'m mut Manners) -> Self {
        let frames = batch.entries.iter().map(|entry| entry.frame.clone().unwrap_or_default()).collect();
        let fates = batch.entries.iter().map(|entry| match entry.frame {
            Ok(_) => Fate::Pending(None),
            Err(unreadable) => Fate::Unreadable(unreadable),
        });
        let sent: Vec<usize> = (0..batch.entries.len()).filter(|index| batch.entries[*index].frame.is_ok()).collect();
        let groups = if sent.is_empty() { VecDeque::new() } else { VecDeque::from([sent]) };
        let fates = fates.collect();
        Self { manners, frames, fates, groups, halt: None, too_large: false, refused_alone: Vec::new() }
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

    fn take(&mut self, group: Vec<usize>, answer: Answer) -> Next {
        match answer {
            Answer::Each(verdicts) => self.take_each(&group, &verdicts),
            Answer::Whole(verdict) => self.take_whole(group, verdict),
        }
    }

    fn take_each(&mut self, group: &[usize], verdicts: &[Verdict]) -> Next {
        self.refused_alone.clear();
        self.manners.trust();
        let (mut again, mut stop, mut later) = (Vec::new(), None, None);
        for (&index, &verdict) in group.iter().zip(verdicts) {
            self.fates[index] = match verdict {
                Verdict::Indexed => Fate::Indexed,
                Verdict::AlreadyPresent => Fate::AlreadyPresent,
                Verdict::Refused(refusal) => Fate::Refused(refusal),
                Verdict::TooLarge(refusal) => Fate::TooLarge(refusal),
                Verdict::Stop(refusal) => {
                    stop.get_or_insert(refusal);
                    Fate::Pending(Some(refusal))
                }
                Verdict::Later(refusal) => {
                    again.push(index);
                    later.get_or_insert(refusal);
                    Fate::Pending(Some(refusal))
                }
            };
        }
        let progress = again.len() < group.len();
        if !again.is_empty() {
            self.groups.push_front(again);
        }
        match (stop, later) {
            (Some(refusal), _) => Next::Stop(refusal),
            (None, Some(refusal)) => Next::Wait { progress, refusal },
            (None, None) => Next::Progress,
        }
    }

    fn take_whole(&mut self, mut group: Vec<usize>, verdict: Verdict) -> Next {
        match verdict {
            Verdict::Refused(_) | Verdict::TooLarge(_) if group.len() > 1 => {
                self.too_large |= matches!(verdict, Verdict::TooLarge(_));
                let second = group.split_off(group.len() / 2);
                self.groups.push_front(second);
                self.groups.push_front(group);
                Next::GoOn
            }
            Verdict::Refused(refusal) => self.take_alone(&group, refusal),
            Verdict::TooLarge(refusal) => {
                self.set(&group, Fate::TooLarge(refusal));
                Next::Progress
            }
            Verdict::Later(refusal) => {
                self.set(&group, Fate::Pending(Some(refusal)));
                self.groups.push_front(group);
                Next::Wait { progress: false, refusal }
            }
            Verdict::Stop(refusal) => {
                self.set(&group, Fate::Pending(Some(refusal)));
                Next::Stop(refusal)
            }
            Verdict::Indexed | Verdict::AlreadyPresent => Next::GoOn,
        }
    }

    /// A document whose request is refused is a bad one. If many in a row are, it is not the documents: some settings of
    /// a domain refuse every request of this kind.
    fn take_alone(&mut self, group: &[usize], refusal: Refusal) -> Next {
        const MANY: usize = 10;
        self.refused_alone.extend(group);
        self.set(group, Fate::Refused(refusal));
        self.manners.refused_alone += 1;
        if self.manners.refused_alone < MANY {
            return Next::Progress;
        }
        self.doubt();
        Next::Stop(refusal)
    }

    /// Takes back that documents are bad which were refused as whole requests. Whether there are any.
    fn doubt(&mut self) -> bool {
        let refused = std::mem::take(&mut self.refused_alone);
        for index in &refused {
            if let Fate::Refused(refusal) = self.fates[*index] {
                self.fates[*index] = Fate::Pending(Some(refusal));
            }
        }
        !refused.is_empty()
    }

    /// What became of it.
    fn end(mut self) -> Delivered {
        if self.too_large {
            self.manners.limit = (self.manners.limit / 2).max(64 << 10);
        }
        if self.halt.is_none() && !self.manners.is_trusted {
            self.halt = self.doubt().then_some(Halt::Unsure);
        }
        Delivered { fates: self.fates, halt: self.halt }
    }

    fn set(&mut self, group: &[usize], fate: Fate) {
        for index in group {
            self.fates[*index] = fate;
        }
    }
}

#[cfg(test)]
mod tests;
