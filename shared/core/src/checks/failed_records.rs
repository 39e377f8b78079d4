//! Owns the check `failed-records`: contact records that the search domain refused and that wait in the bucket.
//!
//! They wait without end, so nothing is lost; but eMite does not show them.

use jiff::Timestamp;

use super::check::{Check, Part, Verdict, no_metrics, no_repair, seen};
use super::firehose_delivery;
use crate::command;
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::look::Look;
use crate::snapshot::{ErrorKind, FailedRecords, Snapshot};
use crate::spec::Spec;
use crate::words::{bounded, in_words};

/// The check.
pub(super) const CHECK: Check = Check {
    name: "failed-records",
    resource: |spec| folder(spec, &spec.failed_prefix),
    metrics: no_metrics,
    judge,
    repair: no_repair,
    parts: &[BUCKET, QUARANTINE, FAILED],
    unseen: "failed records cannot be checked",
    explains: &[],
};

const UNSTORED: &str = "contact records could not be stored";

/// Records that a redrive can send again.
const FAILED: Part = Part { commands: |spec| command::redrive(spec, &spec.failed_prefix), ..Part::new("", UNSTORED) };
/// The bucket is missing.
const BUCKET: Part =
    Part { suffix: "", status: Some(Status::Missing), commands: FAILED.commands, ..Part::new("bucket", UNSTORED) };
/// Records that were rejected again, in a folder of their own, which is the resource of its findings. They are never worth more
/// than Info, so no message needs to recognise them in a report that names no part.
const QUARANTINE: Part = Part {
    commands: |spec| command::redrive(spec, &spec.quarantine_prefix()),
    ..Part::new("quarantine", "contact records are in quarantine")
};

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let Some(records) = seen(&snapshot.failed_records)? else { return Ok(Some(no_bucket(spec, snapshot)).into()) };
    let failed = (records.failed > 0).then(|| failed(spec, snapshot, records));
    let quarantined = (records.quarantined > 0).then(|| quarantined(spec, records));
    Ok(failed.into_iter().chain(quarantined).collect::<Vec<_>>().into())
}

fn no_bucket(spec: &Spec, snapshot: &Snapshot) -> Finding {
    let kept = in_words(firehose_delivery::kept(spec, snapshot));
    Finding {
        summary: format!("The bucket {} for contact records that the search domain refuses does not exist.", spec.backup_bucket),
        expected: format!("a bucket named {}", spec.backup_bucket),
        observed: "no bucket of this name".to_owned(),
        impact: format!(
            "A contact record that the search domain refuses from now on is lost within {kept}, as Firehose has nowhere to put it."
        ),
        remedy: "Create the bucket again, under the same name, in this account and region; or update the stack with another BackupBucketName."
            .to_owned(),
        values: values([
            ("bucketName", spec.backup_bucket.as_str().into()),
            ("retentionHours", firehose_delivery::kept(spec, snapshot).as_hours().into()),
        ]),
        ..CHECK.finding(spec, &BUCKET, Status::Missing, Severity::Warning)
    }
}

fn folder(spec: &Spec, prefix: &str) -> String {
    format!("arn:{}:s3:::{}/{prefix}", spec.home.partition, spec.backup_bucket)
}

fn failed(spec: &Spec, snapshot: &Snapshot, records: &FailedRecords) -> Finding {
    let count = counted(records.failed, records.more);
    let why = records.kind.as_ref().map_or(UNKNOWN, Why::of);
    let since = records.oldest.map(|oldest| format!(" since {}", local(spec, oldest))).unwrap_or_default();
    let age = records.oldest.map(|oldest| format!(", the oldest for {}", in_words(snapshot.since(oldest))));
    let answer = records.kind.as_ref().map(|kind| format!("; answer to the oldest: {}", answer(kind)));
    Finding {
        summary: format!("Contact records that the search domain refused wait in the bucket{since}: {}.", why.clause(records)),
        expected: "no refused contact records".to_owned(),
        observed: bounded(format!("{count}{}{}", age.unwrap_or_default(), answer.unwrap_or_default())),
        impact: "eMite does not show these contacts. Nothing is lost: the records stay in the bucket until they are put back."
            .to_owned(),
        remedy: format!(
            "{} The records stay in the bucket until then. Then run the redrive, which puts them back: none is lost, and none comes twice.",
            why.remedy
        ),
        values: values([
            ("objects", records.failed.into()),
            ("moreObjects", records.more.into()),
            ("oldestAt", moment(records.oldest)),
            ("errorCode", records.kind.as_ref().map(|kind| kind.status.as_str()).into()),
            ("errorType", records.kind.as_ref().and_then(|kind| kind.error_type.as_deref()).into()),
            ("field", records.kind.as_ref().and_then(|kind| kind.field.as_deref()).into()),
        ]),
        ..CHECK.finding(spec, &FAILED, Status::Unhealthy, Severity::Warning)
    }
}

fn quarantined(spec: &Spec, records: &FailedRecords) -> Finding {
    Finding {
        resource: folder(spec, &spec.quarantine_prefix()),
        summary: "Contact records that the search domain refused again are kept in quarantine.".to_owned(),
        expected: "no contact records in quarantine".to_owned(),
        observed: counted(records.quarantined, records.more),
        impact: "eMite does not show these contacts. Each object is deleted 365 days after it was put there."
            .to_owned(),
        remedy: "Once the cause is mended, run the redrive with the prefix of the quarantine. Copy what is still wanted after that time elsewhere."
            .to_owned(),
        values: values([("objects", records.quarantined.into()), ("moreObjects", records.more.into())]),
        ..CHECK.finding(spec, &QUARANTINE, Status::Unhealthy, Severity::Info)
    }
}

/// Why the domain rejected the oldest records, and what to do about it.
struct Why {
    clause: &'static str,
    remedy: &'static str,
    /// The clause says which field it is, if that is known.
    names_field: bool,
}

const UNKNOWN: Why = Why {
    clause: "why is not known",
    remedy: "Look for what is wrong with the search domain and its indices, and mend that first.",
    names_field: false,
};
const FIELD: Why = Why {
    clause: "a field of the records has another type than the index expects",
    remedy: "Mend the cause first: give the field one type, in the contact flow that fills it or in the index template.",
    names_field: true,
};
const FIELD_LIMIT: Why = Why {
    clause: "the index has reached its limit of fields, because there are too many different contact attributes",
    remedy: "Mend the cause first: use fewer different names of contact attributes, or raise index.mapping.total_fields.limit in the index template.",
    names_field: false,
};
const BLOCKED: Why = Why {
    clause: "the domain does not take writes: it is read-only, or its storage is full",
    remedy: "Mend the cause first: delete old indices or give the domain more storage.",
    names_field: false,
};
const NOT_ALLOWED: Why = Why {
    clause: "Firehose is not allowed to write to the domain",
    remedy: "Mend the cause first: allow the role of the delivery stream in its own policy and in the access policy of the domain.",
    names_field: false,
};
const NO_INDEX: Why = Why {
    clause: "the index that they belong to does not exist, is closed or has an impossible name",
    remedy: "Mend the cause first: open the index or let the domain create it, and check the index name of the delivery stream.",
    names_field: false,
};
const TOO_LARGE: Why = Why {
    clause: "they were too large for the domain to take in one request",
    remedy: "Mend the cause first: lower the buffer size of the delivery stream, or use an instance type that takes larger requests.",
    names_field: false,
};
const OVERLOADED: Why = Why {
    clause: "the domain was overloaded or not available",
    remedy: "Mend the cause first: if it lasts, give the domain larger or more nodes.",
    names_field: false,
};
const ALREADY_THERE: Why = Why {
    clause: "the index has a record of the same id already",
    remedy: "Nothing to mend: the domain has a record of that id. See that no other program writes to this index.",
    names_field: false,
};

impl Why {
    fn of(kind: &ErrorKind) -> Self {
        match (kind.status.as_str(), kind.error_type.as_deref().unwrap_or_default()) {
            _ if kind.field_limit => FIELD_LIMIT,
            (_, "cluster_block_exception") => BLOCKED,
            (_, "index_closed_exception" | "index_not_found_exception" | "invalid_index_name_exception") => NO_INDEX,
            (_, "es_rejected_execution_exception" | "circuit_breaking_exception" | "unavailable_shards_exception") => {
                OVERLOADED
            }
            (_, "security_exception") => NOT_ALLOWED,
            (_, "version_conflict_engine_exception") => ALREADY_THERE,
            ("400", "mapper_parsing_exception" | "document_parsing_exception") => FIELD,
            ("400", "strict_dynamic_mapping_exception" | "illegal_argument_exception") => FIELD,
            ("401" | "403", _) => NOT_ALLOWED,
            ("404", _) => NO_INDEX,
            ("409", _) => ALREADY_THERE,
            ("413", _) => TOO_LARGE,
            ("429", _) => OVERLOADED,
            (status, _) if status.len() == 3 && status.starts_with('5') => OVERLOADED,
            _ if kind.field.is_some() => FIELD,
            _ => UNKNOWN,
        }
    }

    /// The reason, with the name of the field where there is one.
    fn clause(&self, records: &FailedRecords) -> String {
        match records.kind.as_ref().and_then(|kind| kind.field.as_ref()) {
            Some(field) if self.names_field => {
                format!("their field {} has another type than the index expects", short(field))
            }
            _ => self.clause.to_owned(),
        }
    }
}

fn answer(kind: &ErrorKind) -> String {
    let field = kind.field.as_deref().map(|field| format!(", field {}", short(field))).unwrap_or_default();
    match &kind.error_type {
        Some(error_type) => format!("{} {error_type}{field}", kind.status),
        None => format!("{}{field}", kind.status),
    }
}

/// A field's path, cut off where a sentence would get too long.
fn short(field: &str) -> String {
    match field.char_indices().nth(100) {
        Some((cut, _)) => format!("{}…", &field[..cut]),
        None => field.to_owned(),
    }
}

fn counted(objects: u64, more: bool) -> String {
    let least = if more { "at least " } else { "" };
    let noun = if objects == 1 { "object" } else { "objects" };
    format!("{least}{} {noun}", grouped(objects))
}

/// A number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn local(spec: &Spec, at: Timestamp) -> String {
    let there = at.to_zoned(spec.time_zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    format!("{there} ({})", spec.time_zone.iana_name().unwrap_or("UTC"))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::fixtures::{findings, healthy, is_unobservable_without, noon, only, spec};
    use crate::snapshot::DataStream;

    fn refused(status: &str, error_type: Option<&str>, field: Option<&str>) -> Snapshot {
        let kind = ErrorKind {
            status: status.into(),
            error_type: error_type.map(str::to_owned),
            field: field.map(str::to_owned),
            field_limit: false,
        };
        let oldest = Some(noon() - SignedDuration::from_hours(30));
        let records = FailedRecords { failed: 7, kind: Some(kind), oldest, ..FailedRecords::default() };
        Snapshot { failed_records: Ok(Some(records)), ..healthy() }
    }

    #[test]
    fn refused_records_are_told_with_their_number_their_age_and_why() {
        let mut snapshot = refused("400", Some("mapper_parsing_exception"), Some("Attributes.*"));
        snapshot.failed_records.as_mut().unwrap().as_mut().unwrap().failed = 5000;
        snapshot.failed_records.as_mut().unwrap().as_mut().unwrap().more = true;
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn each_kind_of_refusal_has_its_reason_and_its_remedy() {
        let mut limit = refused("400", Some("illegal_argument_exception"), None);
        limit.failed_records.as_mut().unwrap().as_mut().unwrap().kind.as_mut().unwrap().field_limit = true;
        let told: Vec<String> = [
            refused("400", Some("mapper_parsing_exception"), Some("Queue.Duration")),
            refused("400", Some("strict_dynamic_mapping_exception"), None),
            limit,
            refused("403", Some("cluster_block_exception"), None),
            refused("403", None, None),
            refused("401", Some("security_exception"), None),
            refused("404", Some("index_not_found_exception"), None),
            refused("400", Some("index_closed_exception"), None),
            refused("409", Some("version_conflict_engine_exception"), None),
            refused("413", None, None),
            refused("429", Some("es_rejected_execution_exception"), None),
            refused("503", None, None),
            refused("Lambda.FunctionTimedOut", None, None),
        ]
        .iter()
        .map(|snapshot| only(&CHECK, &spec(), snapshot))
        .map(|finding| format!("{}\n  {}\n  {}", finding.observed, finding.summary, finding.remedy))
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn records_of_which_nothing_is_known_are_told_all_the_same() {
        let records = FailedRecords { failed: 1, ..FailedRecords::default() };
        let finding = only(&CHECK, &spec(), &Snapshot { failed_records: Ok(Some(records)), ..healthy() });
        assert_eq!((finding.severity, finding.observed.as_str()), (Severity::Warning, "1 object"));
        assert!(finding.summary.ends_with("why is not known."), "{}", finding.summary);
        assert_eq!(finding.data_loss_at, None);
    }

    #[test]
    fn quarantine_is_worth_knowing_and_no_more() {
        let records = FailedRecords { quarantined: 12, ..FailedRecords::default() };
        let snapshot = Snapshot { failed_records: Ok(Some(records)), ..healthy() };
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn both_folders_are_told_apart() {
        let records = FailedRecords { failed: 1, quarantined: 1, ..FailedRecords::default() };
        let found = findings(&CHECK, &spec(), &Snapshot { failed_records: Ok(Some(records)), ..healthy() });
        assert_eq!(
            found.iter().map(|finding| finding.severity).collect::<Vec<_>>(),
            [Severity::Warning, Severity::Info]
        );
        assert_ne!(found[0].key(), found[1].key());
    }

    #[test]
    fn what_was_seen_stays_short() {
        let snapshot =
            refused("x".repeat(2000).as_str(), Some("mapper_parsing_exception"), Some("ä".repeat(900).as_str()));
        let finding = only(&CHECK, &spec(), &snapshot);
        assert!(finding.observed.chars().count() <= 600 && finding.summary.chars().count() <= 400);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 5000, 1_234_567].map(grouped), ["0", "999", "5,000", "1,234,567"]);
    }

    #[test]
    fn a_bucket_that_cannot_be_listed_is_neither_empty_nor_full() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.failed_records = Err(unseen));
    }

    #[test]
    fn a_bucket_that_is_gone_is_told() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &Snapshot { failed_records: Ok(None), ..healthy() }));
    }

    #[test]
    fn missing_bucket_loses_records_when_the_data_stream_drops_them() {
        let records = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/ctr".parse().unwrap();
        let spec = Spec { contact_record_stream: Some(records), ..spec() };
        let stream = DataStream {
            status: "ACTIVE".into(),
            retention_hours: 168,
            shards: 1,
            mode: "PROVISIONED".into(),
            key: None,
        };
        let snapshot = Snapshot { failed_records: Ok(None), contact_record_stream: Ok(Some(stream)), ..healthy() };
        assert!(only(&CHECK, &spec, &snapshot).impact.contains("is lost within 7 days"));
    }
}
