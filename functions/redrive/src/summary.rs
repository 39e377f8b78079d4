//! Owns adding up the results of an execution of the state machine, and the report on them.

use emite_aws::error::AwsError;
use emite_aws::s3::objects::{Bucket, GET_OBJECT};
use emite_core::layout::{RESULTS, StreamFolders};
use emite_core::report::VERSION;
use emite_core::spec::Spec;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::elements::Elements;
use crate::object::{ObjectReader, Opened, ReadProgress};
use crate::request::{FinishedExecution, ResultLocation};
use crate::run_result::{Counts, LeftObject, RemainingObject, ResumePoint, RunResult, StopReason};

/// How much of a list is reported: an event has 256 KiB, and a key may have 1 KiB.
const MOST_REMAINING: usize = 100;
const MOST_LEFT: usize = 20;
const MOST_KINDS: usize = 60;

/// The report on an execution, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RedriveReport {
    version: u32,
    stack_id: String,
    mode: String,
    /// What was gone through, if that is known.
    prefix: Option<String>,
    objects: u64,
    #[serde(flatten)]
    counts: Counts,
    remaining: Vec<RemainingObject>,
    /// How many objects are not done, of which the lists may name only some.
    remaining_objects: u64,
    left: Vec<LeftObject>,
    stopped: Option<StopReason>,
    /// Batches of objects that came to nothing.
    failed_batches: u64,
    /// The name of the error that ended the execution early.
    error: Option<String>,
    execution: Option<String>,
}

/// Adds up.
#[derive(Debug, Default)]
struct Totals {
    total: RunResult,
    remaining_objects: u64,
    failed_batches: u64,
}

/// The name of the error that the results of an execution cannot all be read.
const UNREADABLE: &str = "ResultsUnreadable";

/// Reads the results of an execution, however many there are, and adds them up. Needs `s3:GetObject`. What cannot be read
/// is an error of the report: the rest is reported all the same.
pub(crate) async fn summarise(
    mut execution: FinishedExecution,
    spec: &Spec,
    bucket: &Bucket,
    folders: &StreamFolders,
) -> RedriveReport {
    let mut totals = Totals::default();
    match &execution.results {
        ResultLocation::Inline(outputs) => outputs.iter().for_each(|output| totals.add(output)),
        ResultLocation::Manifest { key } => {
            if let Err(error) = totals.add_listed(bucket, key, folders).await {
                tracing::error!(%error, "not all results can be read");
                execution.error.get_or_insert_with(|| UNREADABLE.to_owned());
            }
        }
        ResultLocation::Missing => {}
    }
    if execution.error.is_some() && totals.failed_batches == 0 {
        totals.failed_batches = 1;
    }
    totals.report(spec, execution)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    result_files: ResultFiles,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE", default)]
#[derive(Default)]
struct ResultFiles {
    succeeded: Vec<ResultFile>,
    failed: Vec<ResultFile>,
    pending: Vec<ResultFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultFile {
    key: String,
}

/// The keys of the files with results.
struct ResultKeys {
    /// Of children that were done.
    succeeded: Vec<String>,
    /// Of children that failed, or that were never started.
    others: Vec<String>,
}

/// Reads which files have results
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html>).
async fn result_keys(bucket: &Bucket, manifest: &str, folders: &StreamFolders) -> Result<ResultKeys, AwsError> {
    let mut found = None;
    read(bucket, manifest, |object| found = Some(object)).await?;
    let unusable = || AwsError::unusable(GET_OBJECT, "the list of results is none that this release knows".to_owned());
    let manifest: Manifest = serde_json::from_value(found.ok_or_else(unusable)?).map_err(|_| unusable())?;
    let ResultFiles { succeeded, failed, pending } = manifest.result_files;
    let keys = ResultKeys {
        succeeded: succeeded.into_iter().map(|file| file.key).collect(),
        others: failed.into_iter().chain(pending).map(|file| file.key).collect(),
    };
    let are_ours = keys.succeeded.iter().chain(&keys.others).all(|key| key.starts_with(&folders.folder(RESULTS)));
    if are_ours { Ok(keys) } else { Err(unusable()) }
}

/// Hands each object of a file to `found`.
async fn read(bucket: &Bucket, key: &str, mut found: impl FnMut(Value)) -> Result<(), AwsError> {
    let unusable = || AwsError::unusable(GET_OBJECT, "a file with results cannot be read".to_owned());
    let Opened::Open(mut file) = ObjectReader::open(bucket, key, 0).await? else { return Err(unusable()) };
    let (mut elements, mut text) = (Elements::default(), Vec::new());
    loop {
        let read = file.read(&mut text).await?;
        elements.push(&text, |element| found(serde_json::from_slice(element).unwrap_or_default()));
        text.clear();
        match read {
            ReadProgress::More => {}
            ReadProgress::End => break,
            ReadProgress::Gone | ReadProgress::Broken(_) => return Err(unusable()),
        }
    }
    (0..elements.overlong).for_each(|_| found(Value::Null));
    Ok(())
}

impl Totals {
    /// All that the list with this key names, up to what cannot be read.
    async fn add_listed(&mut self, bucket: &Bucket, key: &str, folders: &StreamFolders) -> Result<(), AwsError> {
        let ResultKeys { succeeded, others } = result_keys(bucket, key, folders).await?;
        let mut all_read = Ok(());
        for key in succeeded {
            all_read = all_read.and(read(bucket, &key, |result| self.add_result(&result)).await);
        }
        for key in others {
            all_read = all_read.and(read(bucket, &key, |result| self.add_failed(&result)).await);
        }
        all_read
    }

    /// A child's result, or what it failed with.
    fn add(&mut self, output: &Value) {
        let Ok(result) = serde_json::from_value::<RunResult>(output.clone()) else {
            return self.add_failed(output);
        };
        self.remaining_objects += (result.remaining.len() + result.left.len()) as u64;
        let stopped = self.total.stopped.take().or(result.stopped);
        let mut remaining = std::mem::take(&mut self.total.remaining);
        remaining.extend(result.remaining);
        let earlier = std::mem::take(&mut self.total);
        let whole =
            RunResult { objects: result.objects, counts: result.counts, left: result.left, ..RunResult::default() };
        self.total = RunResult { stopped, remaining, ..whole.after(earlier) };
        self.total.remaining.truncate(MOST_REMAINING);
        self.total.left.truncate(MOST_LEFT);
    }

    /// A child's entry in a file of those that were done: its output is a text, an object, or all there is.
    fn add_result(&mut self, result: &Value) {
        match result.get("Output") {
            Some(Value::String(text)) => self.add(&serde_json::from_str(text).unwrap_or_default()),
            Some(output) => self.add(output),
            None => self.add(result),
        }
    }

    /// A child that came to nothing. What it was given is still to be done.
    fn add_failed(&mut self, result: &Value) {
        self.failed_batches += 1;
        let input = match result.get("Input") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(input) => input.clone(),
            None => Value::Null,
        };
        let items = match input.get("Items").and_then(Value::as_array) {
            Some(items) => items.clone(),
            None => vec![input],
        };
        for key in items.iter().filter_map(|item| item.get("Key").and_then(Value::as_str)) {
            self.remaining_objects += 1;
            if self.total.remaining.len() < MOST_REMAINING {
                self.total.remaining.push(RemainingObject { key: key.to_owned(), resume: ResumePoint::default() });
            }
        }
    }

    fn report(self, spec: &Spec, execution: FinishedExecution) -> RedriveReport {
        let FinishedExecution { mode, prefix, error, arn, .. } = execution;
        let RunResult { objects, mut counts, remaining, left, stopped } = self.total;
        counts.by_error = bounded(counts.by_error);
        RedriveReport {
            version: VERSION,
            stack_id: spec.stack_id.to_string(),
            mode: mode.to_string(),
            prefix,
            objects,
            counts,
            remaining,
            remaining_objects: self.remaining_objects,
            left,
            stopped,
            failed_batches: self.failed_batches,
            error,
            execution: arn,
        }
    }
}

type Kinds = std::collections::BTreeMap<String, u64>;

/// The most frequent kinds, and the rest as one.
fn bounded(kinds: Kinds) -> Kinds {
    let mut sorted: Vec<(String, u64)> = kinds.into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rest: u64 = sorted.iter().skip(MOST_KINDS).map(|(_, count)| count).sum();
    let mut bounded: Kinds = sorted.into_iter().take(MOST_KINDS).collect();
    if rest > 0 {
        *bounded.entry("other".to_owned()).or_default() += rest;
    }
    bounded
}

#[cfg(test)]
mod tests;
