//! Owns one run: goes through its objects one after another, as long as there is time and the domain takes records.

use bytes::Bytes;
use emite_aws::error::AwsError;

use crate::bulk::BulkResponse;
use crate::context::{ObjectOutcome, RunContext, TimeBudget};
use crate::domain_state::DomainState;
use crate::object::{ObjectReader, Opened};
use crate::pass::Pass;
use crate::request::{Mode, RequestedObject, RunRequest};
use crate::run_result::{Counts, LeftObject, RemainingObject, ResumePoint, RunResult, StopReason};

/// A run, and how far it is.
struct Run<'c, P> {
    context: &'c RunContext<P>,
    state: DomainState,
    result: RunResult,
    first_error: Option<AwsError>,
}

/// What advancing by one object came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advance {
    /// What became of it is in the result.
    Settled,
    /// It is to be gone through again after the others.
    Inconclusive,
}

/// Goes through the objects of a request. One that cannot be read or moved does not hold up the others, but fails the run
/// in the end.
pub(crate) async fn carry_out<P>(context: &RunContext<P>, request: RunRequest) -> Result<RunResult, AwsError>
where
    P: AsyncFn(Bytes, usize) -> Result<BulkResponse, AwsError>,
{
    let mut run = Run { context, state: DomainState::default(), result: RunResult::default(), first_error: None };
    let is_in_window = |object: &&RequestedObject| object.modified.is_none_or(|at| context.window.has(at));
    let mut inconclusive = Vec::new();
    let mut time = TimeBudget::WholeRun;
    for object in request.objects.iter().filter(is_in_window) {
        if run.advance(object, time).await == Advance::Inconclusive {
            inconclusive.push(object);
        }
        time = TimeBudget::RestOfRun;
    }
    // By now the others have shown how the domain is, or there are too few of them for that.
    run.state.accept_rejections();
    for object in inconclusive {
        run.advance(object, TimeBudget::RestOfRun).await;
    }
    match (run.first_error, request.so_far) {
        (Some(error), _) => Err(error),
        (None, Some(so_far)) => Ok(run.result.after(so_far)),
        (None, None) => Ok(run.result),
    }
}

impl<P: AsyncFn(Bytes, usize) -> Result<BulkResponse, AwsError>> Run<'_, P> {
    /// Goes through one object if there is time and use, and adds what becomes of it to the result.
    async fn advance(&mut self, object: &RequestedObject, time: TimeBudget) -> Advance {
        let key = object.source.key.clone();
        if self.result.stopped.is_some() || self.context.is_over() {
            self.result.remaining.push(RemainingObject { key, resume: object.resume.clone() });
            return Advance::Settled;
        }
        match go_through(self.context, object, &mut self.state, time).await {
            Ok(ObjectOutcome::Inconclusive) => return Advance::Inconclusive,
            Ok(outcome) => add(&mut self.result, key, outcome),
            Err(error) => {
                tracing::error!(key, %error, "an object could not be gone through");
                self.first_error.get_or_insert(error);
            }
        }
        Advance::Settled
    }
}

/// Goes through one object.
async fn go_through<P>(
    context: &RunContext<P>,
    object: &RequestedObject,
    state: &mut DomainState,
    time: TimeBudget,
) -> Result<ObjectOutcome, AwsError>
where
    P: AsyncFn(Bytes, usize) -> Result<BulkResponse, AwsError>,
{
    let source = &object.source;
    // What is in quarantine is replaced as a whole, so it is gone through as a whole.
    let whole = source.is_quarantine() && context.mode == Mode::Apply;
    let resume = if whole { ResumePoint::default() } else { object.resume.clone() };
    let reader = match ObjectReader::open(&context.bucket, &source.key, resume.offset).await? {
        Opened::Open(reader) => reader,
        Opened::Gone => return Ok(ObjectOutcome::Skipped),
        Opened::Unreadable(cause) => {
            return Ok(ObjectOutcome::Left { counts: Counts::default(), cause: cause.to_owned(), size: 0 });
        }
    };
    if reader.modified.is_some_and(|at| !context.window.has(at)) {
        return Ok(ObjectOutcome::Skipped);
    }
    let mut pass = Pass::new(context, source, reader, resume);
    let end = pass.go_through(state).await?;
    pass.conclude(end, time).await
}

fn add(result: &mut RunResult, key: String, outcome: ObjectOutcome) {
    match outcome {
        ObjectOutcome::Skipped | ObjectOutcome::Inconclusive => {}
        ObjectOutcome::Done(counts) => {
            tracing::info!(key, records = counts.records, quarantined = counts.quarantined, "done");
            result.objects += 1;
            result.counts.add(counts);
        }
        ObjectOutcome::Left { counts, cause, size } => {
            tracing::warn!(key, cause, size, "left where it is");
            result.counts.add(counts);
            result.left.push(LeftObject { key, cause, size: Some(size).filter(|size| *size > 0) });
        }
        ObjectOutcome::Remaining { counts, resume, stopped } => {
            tracing::info!(key, offset = resume.offset, records = counts.records, "to be continued");
            result.counts.add(counts);
            result.stopped = stopped.map(StopReason::from);
            result.remaining.push(RemainingObject { key, resume });
        }
    }
}

#[cfg(test)]
mod tests;
