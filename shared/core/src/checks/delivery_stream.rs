//! Owns the check `delivery-stream`: contact records are carried to the search domain as set up.

use serde_json::Value;

use super::check::{Check, Explains, Part, Verdict, no_metrics, no_repair, seen};
use super::{failed_records, firehose_delivery};
use crate::command::{self, Command};
use crate::finding::{Finding, Severity, Status, values};
use crate::layout::failed_prefix;
use crate::look::Look;
use crate::snapshot::{DeliveryStream, Destination, Snapshot};
use crate::spec::{Existing, Spec};
use crate::words::{bounded, listed};

/// The check.
pub(super) const CHECK: Check = Check {
    name: "delivery-stream",
    resource: |spec| spec.delivery_stream.to_string(),
    metrics: no_metrics,
    judge,
    repair: no_repair,
    parts: &[DESTINATION, STREAM],
    unseen: "the delivery stream cannot be checked",
    explains: &[Explains::any(&[firehose_delivery::CHECK.all(), failed_records::CHECK.all()])],
};

const STREAM: Part = part("", "the delivery stream is not usable");
const DESTINATION: Part = part("destination", "contact records go to another place");

const fn part(name: &'static str, title: &'static str) -> Part {
    Part { commands: |spec| vec![Command::shows(command::delivery_stream(spec))], ..Part::new(name, title) }
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let finding = match seen(&snapshot.delivery_stream)? {
        None => Some(missing(spec, snapshot)),
        Some(stream) if !stream.is_active() => Some(not_active(spec, stream, snapshot)),
        Some(DeliveryStream { destination: None, .. }) => Some(elsewhere(spec, snapshot)),
        Some(DeliveryStream { destination: Some(destination), source, .. }) => {
            differs(spec, destination, source.as_deref())
        }
    };
    Ok(finding.into())
}

fn missing(spec: &Spec, snapshot: &Snapshot) -> Finding {
    Finding {
        summary: "The Firehose stream that carries contact records does not exist.".to_owned(),
        expected: format!("Firehose stream {}", spec.delivery_stream_name()),
        observed: "no stream of this name".to_owned(),
        impact: "Every contact record is lost now. Amazon Connect does not send them again.".to_owned(),
        data_loss_at: Some(snapshot.taken_at),
        remedy: anew(spec),
        values: values([("deliveryStreamName", spec.delivery_stream_name().into())]),
        ..CHECK.finding(spec, &STREAM, Status::Missing, Severity::Critical)
    }
}

/// How to get a new stream.
fn anew(spec: &Spec) -> String {
    let how = match spec.found(Existing::DeliveryStream) {
        true => "an empty ExistingDeliveryStreamName and OnExistingStreaming Replace",
        false => "another DeliveryStreamName",
    };
    format!("Update the stack with {how}: it makes a new Firehose stream and points Amazon Connect to it.")
}

fn not_active(spec: &Spec, stream: &DeliveryStream, snapshot: &Snapshot) -> Finding {
    let (what, remedy) = match stream.status.as_str() {
        "CREATING" => {
            let wait = "Wait a few minutes. If it lasts, look at the stream in the Firehose console.";
            ("is still being created", wait.to_owned())
        }
        "DELETING" => ("is being deleted", format!("Deleting cannot be stopped. {}", anew(spec))),
        _ => {
            let key = "If the failure names a key, make that key usable again. Otherwise: ";
            ("is not in service", format!("{key}{}", anew(spec)))
        }
    };
    let failure = stream.failure.as_ref().map(|failure| format!(", {failure}")).unwrap_or_default();
    Finding {
        summary: format!("The Firehose stream that carries contact records {what}."),
        expected: "status ACTIVE".to_owned(),
        observed: bounded(format!("status {}{failure}", stream.status)),
        impact: "Amazon Connect cannot deliver: contact records are lost now.".to_owned(),
        data_loss_at: Some(snapshot.taken_at),
        remedy,
        values: values([
            ("deliveryStreamStatus", stream.status.as_str().into()),
            ("expectedDeliveryStreamStatus", "ACTIVE".into()),
            ("failureType", stream.failure.as_deref().into()),
        ]),
        ..CHECK.finding(spec, &STREAM, Status::Unhealthy, Severity::Critical)
    }
}

fn elsewhere(spec: &Spec, snapshot: &Snapshot) -> Finding {
    Finding {
        summary: "The Firehose stream does not deliver contact records to the search domain.".to_owned(),
        expected: format!("search domain {}", spec.domain),
        observed: "another kind of destination".to_owned(),
        impact: "New contact records do not reach eMite.".to_owned(),
        data_loss_at: Some(snapshot.taken_at),
        remedy: format!("{} Keep the old stream until you know where its records went.", anew(spec)),
        values: values([("expectedDomainArn", spec.domain.to_string().into())]),
        ..CHECK.finding(spec, &DESTINATION, Status::Incorrect, Severity::Critical)
    }
}

/// One setting of the destination that is not as specified.
struct Difference {
    what: &'static str,
    /// The API's name.
    name: &'static str,
    expected: String,
    observed: String,
    /// Contact records go somewhere else.
    astray: bool,
}

fn differs(spec: &Spec, destination: &Destination, source: Option<&str>) -> Option<Finding> {
    let differences = differences(spec, destination, source);
    let astray = differences.iter().any(|difference| difference.astray);
    let told = |value: fn(&Difference) -> &String| {
        let all: Vec<_> = differences.iter().map(|one| format!("{} {}", one.what, shown(value(one)))).collect();
        bounded(all.join("; "))
    };
    let named = |value: fn(&Difference) -> &String| {
        let value = |one| bounded(value(one).clone()).into();
        Value::Object(differences.iter().map(|one| (one.name.to_owned(), value(one))).collect())
    };
    let severity = if astray { Severity::Critical } else { Severity::Warning };
    let whats: Vec<_> = differences.iter().map(|difference| difference.what.to_owned()).collect();
    (!differences.is_empty()).then(|| Finding {
        summary: if astray {
            format!("Contact records are delivered to another place than was set up: {} changed.", listed(&whats))
        } else {
            format!("The delivery of contact records is not as it was set up: {} changed.", listed(&whats))
        },
        expected: told(|difference| &difference.expected),
        observed: told(|difference| &difference.observed),
        impact: if astray {
            "New contact records do not reach the place where eMite looks for them."
        } else {
            "Contact records may be refused, or refused ones may be put where nobody finds them."
        }
        .to_owned(),
        remedy: format!(
            "In the Firehose console, open {}, edit its destination settings, and set back what is listed as expected. \
             If the change was meant, set it in the stack's parameters instead.",
            spec.delivery_stream_name()
        ),
        values: values([
            ("settings", named(|difference| &difference.observed)),
            ("expectedSettings", named(|difference| &difference.expected)),
        ]),
        ..CHECK.finding(spec, &DESTINATION, Status::Incorrect, severity)
    })
}

/// The settings that differ. One that AWS does not report does not count as different.
fn differences(spec: &Spec, live: &Destination, source: Option<&str>) -> Vec<Difference> {
    let bucket = format!("arn:{}:s3:::{}", spec.home.partition, spec.backup_bucket);
    let told = live.prefix.is_some() || live.error_prefix.is_some();
    let failed = told.then(|| {
        let found = failed_prefix(live.prefix.as_deref(), live.error_prefix.as_deref());
        found.unwrap_or_else(|| live.error_prefix.clone().unwrap_or_default())
    });
    let records = spec.contact_record_stream.as_ref().map(ToString::to_string).unwrap_or_default();
    let settings = [
        ("domain", "domainArn", spec.domain.to_string(), &live.domain_arn, true),
        ("index", "indexName", spec.contact_index.clone(), &live.index, true),
        ("index rotation", "indexRotationPeriod", spec.index_rotation.clone(), &live.rotation, false),
        ("document type", "typeName", spec.contact_type.clone().unwrap_or_default(), &live.document_type, false),
        ("role", "roleArn", spec.delivery_role.to_string(), &live.role_arn, false),
        ("backup bucket", "bucketArn", bucket, &live.bucket_arn, false),
        ("folder of failed records", "errorOutputPrefix", spec.failed_prefix.clone(), &failed, false),
        ("source", "kinesisStreamArn", records, &Some(source.unwrap_or_default().to_owned()), true),
    ];
    settings
        .into_iter()
        .filter_map(|(what, name, expected, observed, astray)| {
            let observed = observed.clone().filter(|observed| *observed != expected)?;
            Some(Difference { what, name, expected, observed, astray })
        })
        .collect()
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, healthy, is_unobservable_without, only, spec};

    fn with(change: impl FnOnce(&mut DeliveryStream)) -> Snapshot {
        let mut snapshot = healthy();
        change(snapshot.delivery_stream.as_mut().unwrap().as_mut().unwrap());
        snapshot
    }

    fn to(change: impl FnOnce(&mut Destination)) -> Snapshot {
        with(|stream| change(stream.destination.as_mut().unwrap()))
    }

    #[test]
    fn a_stream_that_is_gone_loses_records_now() {
        let snapshot = Snapshot { delivery_stream: Ok(None), ..healthy() };
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn a_stream_that_is_not_active_tells_the_kind_of_failure() {
        let failed = with(|stream| {
            stream.status = "CREATING_FAILED".into();
            stream.failure = Some("KMS_ACCESS_DENIED".into());
        });
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &failed));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(|stream| stream.status = "DELETING".into())));
        assert_eq!(
            only(&CHECK, &spec(), &with(|stream| stream.status = "CREATING".into())).severity,
            Severity::Critical
        );
    }

    #[test]
    fn another_kind_of_destination_is_critical() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(|stream| stream.destination = None)));
    }

    #[test]
    fn another_index_or_domain_leads_records_astray() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &to(|there| there.index = Some("other".into()))));
        let domain = only(&CHECK, &spec(), &to(|there| there.domain_arn = Some("arn:aws:es:r:a:domain/x".into())));
        assert_eq!(domain.severity, Severity::Critical);
    }

    #[test]
    fn everything_that_differs_is_told_in_one_finding() {
        let all = to(|there| {
            there.rotation = Some("NoRotation".into());
            there.document_type = Some(String::new());
            there.role_arn = Some("arn:aws:iam::111122223333:role/other".into());
            there.bucket_arn = Some("arn:aws:s3:::other".into());
            there.prefix = Some("elsewhere/".into());
            there.error_prefix = Some(String::new());
        });
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &all));
    }

    #[test]
    fn what_is_seen_is_cut_off_where_it_gets_too_long() {
        let long = only(&CHECK, &spec(), &to(|there| there.index = Some("x".repeat(5000))));
        assert_eq!(long.observed.chars().count(), 600);
    }

    #[test]
    fn what_aws_does_not_tell_is_not_taken_for_different() {
        assert_eq!(findings(&CHECK, &spec(), &to(|there| *there = Destination::default())), []);
        let untyped = Spec { contact_type: None, ..spec() };
        assert_eq!(findings(&CHECK, &untyped, &to(|there| there.document_type = None)), []);
        assert_eq!(findings(&CHECK, &untyped, &to(|there| there.document_type = Some(String::new()))), []);
        assert_eq!(only(&CHECK, &untyped, &healthy()).severity, Severity::Warning);
    }

    #[test]
    fn a_stream_that_was_there_is_compared_with_what_was_found() {
        let found = Spec { existing: [Existing::DeliveryStream].into(), failed_prefix: "ctr/".into(), ..spec() };
        let by_hand = to(|there| (there.prefix, there.error_prefix) = (Some("ctr/".into()), None));
        assert_eq!(findings(&CHECK, &found, &by_hand), []);
        let gone = Snapshot { delivery_stream: Ok(None), ..healthy() };
        assert!(only(&CHECK, &found, &gone).remedy.contains("ExistingDeliveryStreamName"));
    }

    #[test]
    fn records_are_read_from_the_stream_that_was_named() {
        let records = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/ctr";
        let through = Spec { contact_record_stream: Some(records.parse().unwrap()), ..spec() };
        assert_eq!(only(&CHECK, &through, &healthy()).severity, Severity::Critical);
        assert_eq!(findings(&CHECK, &through, &with(|stream| stream.source = Some(records.into()))), []);
        assert_eq!(
            only(&CHECK, &spec(), &with(|stream| stream.source = Some(records.into()))).severity,
            Severity::Critical
        );
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.delivery_stream = Err(unseen));
    }
}
