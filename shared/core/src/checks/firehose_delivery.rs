//! Owns the check `firehose-delivery`: contact records get from Firehose into the search domain, and in time.
//!
//! Firehose measures only while it has something to deliver: no measurement is an idle contact centre, not a failure.
//! Its delivery metrics have two names, of which a stream uses one, so both are asked for.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::check::{Check, Part, Verdict, no_repair, seen};
use super::queries::{calls, contact_records, firehose};
use crate::command::{Command, bucket, delivery_stream};
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::look::Look;
use crate::metrics::{PERIOD_SECONDS, Point, Series, Stat, WINDOW};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::words::{bounded, in_words};

/// The check.
pub(super) const CHECK: Check = Check {
    name: "firehose-delivery",
    resource: |spec| spec.delivery_stream.to_string(),
    metrics: |spec| {
        let ask = |id, name, stat| firehose(spec, id, name, stat);
        vec![
            contact_records(spec),
            calls(spec),
            ask("firehose_throttled", "ThrottledRecords", Stat::Sum),
            ask("delivery_success", "DeliveryToAmazonOpenSearchService.Success", Stat::Average),
            ask("delivery_success_legacy", "DeliveryToElasticsearch.Success", Stat::Average),
            ask("delivery_freshness", "DeliveryToAmazonOpenSearchService.DataFreshness", Stat::Maximum),
            ask("delivery_freshness_legacy", "DeliveryToElasticsearch.DataFreshness", Stat::Maximum),
            ask("backup_success", "DeliveryToS3.Success", Stat::Average),
        ]
    },
    judge,
    repair: no_repair,
    parts: &[INPUT, OUTPUT],
    unseen: "the delivery stream cannot be checked",
    explains: &[],
};

/// What does not come in has other causes than what does not go out.
pub(super) const INPUT: Part = Part { commands, ..Part::new("input", "contact records are not arriving") };
pub(super) const OUTPUT: Part = Part { commands, ..Part::new("", "contact records are not delivered") };

fn commands(spec: &Spec) -> Vec<Command> {
    vec![
        Command {
            does: "This command shows where contact records are delivered to:",
            line: delivery_stream(spec).line(),
        },
        Command { does: "This one shows what could not be delivered:", line: bucket(spec, &spec.failed_prefix).line() },
    ]
}

/// How old the two newest measurements may be.
const RECENT: SignedDuration = SignedDuration::from_mins(30);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// What may be added to the buffer before records are late.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
/// How late is critical.
const CRITICAL: SignedDuration = SignedDuration::from_hours(12);
/// How long Firehose keeps what it cannot deliver, if Amazon Connect sends it there directly.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How long Firehose buffers if the stream could not be read, in seconds.
const USUAL_BUFFER: u32 = 300;
/// In how many periods something must be seen to be believed.
const BELIEVED: usize = 2;
/// In how many periods calls must leave no contact record for that to be no accident.
const CERTAIN: usize = 6;
const PERIOD: SignedDuration = SignedDuration::from_secs(PERIOD_SECONDS as i64);

/// What is wrong; one finding reports all of one kind, the worst first.
struct Trouble {
    severity: Severity,
    summary: String,
    observed: String,
    impact: String,
    remedy: &'static str,
    data_loss_at: Option<Timestamp>,
    values: BTreeMap<String, Value>,
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let metric = |id| snapshot.metrics.get(id);
    let records = metric("contact_records")?;
    let calls = metric("calls")?;
    let throttled_records = metric("firehose_throttled")?;
    let success = newer(metric("delivery_success")?, metric("delivery_success_legacy")?);
    let freshness = newer(metric("delivery_freshness")?, metric("delivery_freshness_legacy")?);
    let backup = metric("backup_success")?;
    let watched_since = *seen(&snapshot.watched_since)?;
    if let Ok(None) = snapshot.delivery_stream {
        return Ok(Vec::new().into());
    }
    let hour_ago = snapshot.taken_at - HOUR;
    let idle = freshness.since(hour_ago).is_empty() && !records.sum_since(hour_ago).is_some_and(|sum| sum > 0.0);
    let delivery =
        [failing(snapshot, success), late(spec, snapshot, freshness)].into_iter().flatten().filter(|_| !idle);
    let others = [nowhere_to_put(spec, snapshot, backup, freshness), throttled(snapshot, throttled_records)];
    let input = merged(spec, &INPUT, Vec::from_iter(nothing_came(snapshot, calls, records, watched_since)));
    let output = merged(spec, &OUTPUT, delivery.chain(others.into_iter().flatten()).collect());
    Ok(Vec::from_iter(output.into_iter().chain(input)).into())
}

/// Whichever of a metric's two names was measured last.
fn newer<'a>(current: &'a Series, legacy: &'a Series) -> &'a Series {
    if legacy.last().map(|(at, _)| at) > current.last().map(|(at, _)| at) { legacy } else { current }
}

/// The two newest of the recent points.
fn newest_two(points: &[Point]) -> Option<[f64; 2]> {
    let [.., (_, before), (_, newest)] = points else { return None };
    Some([*before, *newest])
}

fn failing(snapshot: &Snapshot, success: &Series) -> Option<Trouble> {
    let newest = newest_two(success.since(snapshot.taken_at - RECENT))?;
    if !newest.iter().all(|ratio| *ratio < 1.0) {
        return None;
    }
    let none_since = success.holds_since(|ratio| ratio <= 0.0);
    let none_since =
        none_since.filter(|since| snapshot.since(*since) >= RECENT && success.since(*since).len() > BELIEVED);
    let values =
        values([("noneDeliveredSince", moment(none_since)), ("deliverySuccessRatio", newest[0].min(newest[1]).into())]);
    Some(match none_since.map(|since| in_words(snapshot.since(since))) {
        Some(lasts) => Trouble {
            severity: Severity::Critical,
            summary: format!("No contact record has got into the search domain for {lasts}."),
            observed: format!("every delivery failed for {lasts}"),
            impact: "eMite does not get new contact records. Firehose puts what it cannot deliver into the backup bucket.".to_owned(),
            remedy: "Mend what is reported of the search domain first (search-domain, domain-access, delivery-stream). Then send the failed records again, as failed-records says.",
            data_loss_at: None,
            values,
        },
        None => Trouble {
            severity: Severity::Warning,
            summary: "Some contact records do not get into the search domain.".to_owned(),
            observed: format!("{} of deliveries succeeded", percent(newest)),
            impact: "Firehose tries again for 5 minutes, then puts the records into the backup bucket. eMite lacks them until they are sent again.".to_owned(),
            remedy: "Look at what is reported of the search domain and of failed records; those tell the reason.",
            data_loss_at: None,
            values,
        },
    })
}

/// The range of the two newest ratios, never rounded up to all.
fn percent(newest: [f64; 2]) -> String {
    let whole = |ratio: f64| (ratio.clamp(0.0, 1.0) * 100.0).floor() as u8;
    let (low, high) = (whole(newest[0].min(newest[1])), whole(newest[0].max(newest[1])));
    if low == high { format!("{low} %") } else { format!("{low} to {high} %") }
}

/// How long a measurement says that the oldest record waits.
fn age(seconds: f64) -> SignedDuration {
    SignedDuration::from_secs(seconds as i64)
}

/// How long a record that Firehose cannot deliver is kept: by Firehose, or by the data stream that it reads from until that one's
/// own retention ends (<https://docs.aws.amazon.com/firehose/latest/dev/retry.html>). If that is unknown, 24 hours is safe: it is the
/// shortest that Kinesis has.
pub(super) fn kept(spec: &Spec, snapshot: &Snapshot) -> SignedDuration {
    let stream = snapshot.contact_record_stream.as_ref().ok().and_then(Option::as_ref);
    let source = spec.contact_record_stream.as_ref().and(stream);
    source.map_or(KEPT, |stream| SignedDuration::from_hours(stream.retention_hours.into()).max(KEPT))
}

fn kept_in_words(spec: &Spec, snapshot: &Snapshot) -> String {
    let is_known = spec.contact_record_stream.is_none() || matches!(snapshot.contact_record_stream, Ok(Some(_)));
    let least = if is_known { "" } else { "at least " };
    format!("{least}{}", in_words(kept(spec, snapshot)))
}

/// When the record that waited for `age` is dropped.
fn dropped(spec: &Spec, snapshot: &Snapshot, age: SignedDuration) -> Timestamp {
    snapshot.taken_at + kept(spec, snapshot).saturating_sub(age).max(SignedDuration::ZERO)
}

fn late(spec: &Spec, snapshot: &Snapshot, freshness: &Series) -> Option<Trouble> {
    let [before, newest] = newest_two(freshness.since(snapshot.taken_at - HOUR))?;
    let (held, worst) = (age(before.min(newest)), age(before.max(newest)));
    let kept_for = kept_in_words(spec, snapshot);
    let stream = snapshot.delivery_stream.as_ref().ok().and_then(Option::as_ref);
    let buffer = stream.and_then(|stream| stream.destination.as_ref()?.buffer_seconds).unwrap_or(USUAL_BUFFER);
    (held > SignedDuration::from_secs(buffer.into()) + MARGIN).then(|| Trouble {
        severity: if held > CRITICAL { Severity::Critical } else { Severity::Warning },
        summary: format!("Contact records reach the search domain {} late.", in_words(worst)),
        observed: format!("the oldest record waits for {}", in_words(worst)),
        impact: match spec.contact_record_stream {
            None => format!("eMite shows contacts late. Firehose keeps records for {kept_for}; what it cannot deliver by then is lost."),
            Some(_) => format!(
                "eMite shows contacts late. The data stream that Firehose reads from keeps records for {kept_for}; what Firehose cannot deliver by then is lost."
            ),
        },
        remedy: "Look at what is reported of the search domain: it may be overloaded, full or not let Firehose in.",
        data_loss_at: Some(dropped(spec, snapshot, worst)),
        values: values([
            ("dataFreshnessSeconds", worst.as_secs().into()),
            ("bufferSeconds", buffer.into()),
            ("retentionHours", kept(spec, snapshot).as_hours().into()),
        ]),
    })
}

fn nowhere_to_put(spec: &Spec, snapshot: &Snapshot, backup: &Series, freshness: &Series) -> Option<Trouble> {
    // One failed put is tried again; it is no loss.
    let newest = newest_two(backup.since(snapshot.taken_at - HOUR))?;
    let waits = freshness.since(snapshot.taken_at - HOUR).last().map(|(_, seconds)| age(*seconds));
    let kept_for = kept_in_words(spec, snapshot);
    newest.iter().all(|ratio| *ratio < 1.0).then(|| Trouble {
        severity: Severity::Critical,
        summary: "Contact records that the search domain refused cannot be put into the backup bucket either.".to_owned(),
        observed: "writing to the backup bucket failed".to_owned(),
        impact: match spec.contact_record_stream {
            None => format!("These contact records exist only inside Firehose, which drops them {kept_for} after they came."),
            Some(_) => format!(
                "These contact records exist only in the data stream that Firehose reads from, which drops them {kept_for} after they arrived."
            ),
        },
        remedy: "Make sure that the backup bucket exists, that the role of the Firehose stream may write to it, and that the bucket's key is usable.",
        data_loss_at: Some(waits.map_or(snapshot.taken_at, |waits| dropped(spec, snapshot, waits))),
        values: values([
            ("backupSuccessRatio", newest[0].min(newest[1]).into()),
            ("retentionHours", kept(spec, snapshot).as_hours().into()),
        ]),
    })
}

fn throttled(snapshot: &Snapshot, records: &Series) -> Option<Trouble> {
    let periods = records.since(snapshot.taken_at - HOUR).iter().filter(|(_, count)| *count > 0.0).count();
    (periods >= BELIEVED).then(|| Trouble {
        severity: Severity::Warning,
        summary: "Amazon Connect sends more contact records than the Firehose stream may take.".to_owned(),
        observed: format!("records were refused in {periods} of the last 12 periods of 5 minutes"),
        impact: "Amazon Connect sends them again: contact records come late, and some may be lost.".to_owned(),
        remedy: "Ask AWS for a higher quota of the Firehose stream (Service Quotas, or Firehose limits in AWS Support).",
        data_loss_at: None,
        values: values([("throttledPeriods", periods.into()), ("periodSeconds", PERIOD_SECONDS.into())]),
    })
}

/// Calls that should have led to contact records by now, and did not. What came after the newest contact record counts:
/// that delivery worked before says nothing about now.
fn nothing_came(snapshot: &Snapshot, calls: &Series, records: &Series, watched_since: Timestamp) -> Option<Trouble> {
    let newest = records.points().iter().rev().find(|(_, count)| *count > 0.0);
    let proven = newest.map_or(watched_since + HOUR, |(at, _)| *at + PERIOD);
    let from = proven.max(snapshot.taken_at - WINDOW);
    let over = |&&(at, count): &&Point| count > 0.0 && at < snapshot.taken_at - HOUR;
    let made: Vec<_> = calls.since(from).iter().filter(over).collect();
    let (first, _) = **made.first()?;
    let lost = made.len() >= CERTAIN;
    (made.len() >= BELIEVED).then(|| Trouble {
        severity: if lost { Severity::Critical } else { Severity::Warning },
        summary: "Calls were made and no contact record arrived.".to_owned(),
        observed: format!(
            "calls in {} periods of 5 minutes since {} ago, and not one contact record",
            made.len(),
            in_words(snapshot.since(first))
        ),
        impact: "eMite does not get contact records; Amazon Connect does not send again what it could not deliver.".to_owned(),
        remedy: "Open the instance in the Amazon Connect console, choose Data streaming, and check that contact records go to the Firehose stream.",
        data_loss_at: lost.then_some(first),
        values: values([
            ("periodsWithCalls", made.len().into()),
            ("periodSeconds", PERIOD_SECONDS.into()),
            ("callsSince", moment(Some(first))),
        ]),
    })
}

fn merged(spec: &Spec, part: &Part, mut troubles: Vec<Trouble>) -> Option<Finding> {
    troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.severity));
    let all = |text: fn(&Trouble) -> &str, between| troubles.iter().map(text).collect::<Vec<_>>().join(between);
    let worst = troubles.first()?;
    Some(Finding {
        summary: worst.summary.clone(),
        expected: "every contact record is delivered within minutes".to_owned(),
        observed: bounded(all(|trouble| &trouble.observed, "; ")),
        impact: worst.impact.clone(),
        data_loss_at: troubles.iter().filter_map(|trouble| trouble.data_loss_at).min(),
        remedy: all(|trouble| trouble.remedy, " "),
        values: troubles.iter().flat_map(|trouble| trouble.values.clone()).collect(),
        ..CHECK.finding(spec, part, Status::Unhealthy, worst.severity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{
        findings, flat, healthy, is_unobservable_without, noon, only, put, series, spec, unseen, with,
    };
    use crate::look::Cause;
    use crate::snapshot::DataStream;

    fn idle() -> Snapshot {
        let mut snapshot = healthy();
        for id in ["contact_records", "calls", "delivery_success", "delivery_freshness", "backup_success"] {
            put(&mut snapshot, id, Series::default());
        }
        snapshot
    }

    /// Calls at so many minutes before noon, and no contact record.
    fn called(minutes: &[i64]) -> Snapshot {
        let mut snapshot = idle();
        let points = minutes.iter().map(|minutes| (noon() - SignedDuration::from_mins(*minutes), 1.0)).collect();
        put(&mut snapshot, "calls", Series::new(points));
        snapshot
    }

    #[test]
    fn a_contact_centre_without_contacts_is_idle() {
        assert_eq!(findings(&CHECK, &spec(), &idle()), []);
        let mut zeros = idle();
        put(&mut zeros, "contact_records", flat(0.0));
        put(&mut zeros, "delivery_success", flat(0.0));
        assert_eq!(findings(&CHECK, &spec(), &zeros), []);
    }

    #[test]
    fn some_failed_deliveries_are_worth_a_warning_and_one_dip_is_not() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with("delivery_success", series(&[1.0, 0.503, 0.999]))));
        assert_eq!(findings(&CHECK, &spec(), &with("delivery_success", series(&[1.0, 0.0, 1.0, 0.5]))), []);
        assert_eq!(findings(&CHECK, &spec(), &with("delivery_success", series(&[0.5]))), []);
    }

    #[test]
    fn half_an_hour_without_any_delivery_is_critical() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with("delivery_success", series(&[0.0; 7]))));
        assert_eq!(only(&CHECK, &spec(), &with("delivery_success", series(&[0.0; 5]))).severity, Severity::Warning);
        let old = Series::new((7..20).map(|steps| (noon() - SignedDuration::from_mins(5 * steps), 0.0)).collect());
        let mut snapshot = healthy();
        put(&mut snapshot, "delivery_success", old);
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn records_that_are_late_are_told_with_when_firehose_drops_them() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with("delivery_freshness", series(&[1200.0, 1500.0]))));
        let hours = |hours: f64| hours * 3600.0;
        let critical = only(&CHECK, &spec(), &with("delivery_freshness", series(&[hours(13.0), hours(14.0)])));
        assert_eq!(critical.severity, Severity::Critical);
        assert_eq!(critical.data_loss_at, Some(noon() + SignedDuration::from_hours(10)));
        assert_eq!(only(&CHECK, &spec(), &with("delivery_freshness", series(&[1e300; 2]))).data_loss_at, Some(noon()));
    }

    /// Records that Firehose reads from a data stream which keeps them for so long.
    fn through(retention_hours: u32, id: &'static str, values: &[f64]) -> (Spec, Snapshot) {
        let stream =
            DataStream { status: "ACTIVE".into(), retention_hours, shards: 1, mode: "PROVISIONED".into(), key: None };
        let records = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/ctr".parse().unwrap();
        let spec = Spec { contact_record_stream: Some(records), ..spec() };
        (spec, Snapshot { contact_record_stream: Ok(Some(stream)), ..with(id, series(values)) })
    }

    #[test]
    fn records_from_a_data_stream_are_lost_when_that_stream_drops_them() {
        let hours = |hours: f64| hours * 3600.0;
        let (spec, mut snapshot) = through(72, "delivery_freshness", &[hours(13.0), hours(14.0)]);
        let late = only(&CHECK, &spec, &snapshot);
        assert_eq!(late.data_loss_at, Some(noon() + SignedDuration::from_hours(58)));
        insta::assert_snapshot!(late.impact, @"eMite shows contacts late. The data stream that Firehose reads from keeps records for 3 days; what Firehose cannot deliver by then is lost.");
        // No stream keeps records for less than a day, so that much is sure.
        for unknown in [Err(unseen(Cause::Denied)), Ok(None)] {
            snapshot.contact_record_stream = unknown;
            let late = only(&CHECK, &spec, &snapshot);
            assert_eq!(late.data_loss_at, Some(noon() + SignedDuration::from_hours(10)));
            assert!(late.impact.contains("keeps records for at least 24 h;"), "{}", late.impact);
        }
        let (spec, mut snapshot) = through(48, "backup_success", &[0.0, 0.0]);
        put(&mut snapshot, "delivery_freshness", series(&[hours(0.5), hours(1.0)]));
        let nowhere = only(&CHECK, &spec, &snapshot);
        assert_eq!(nowhere.data_loss_at, Some(noon() + SignedDuration::from_hours(47)));
        insta::assert_snapshot!(nowhere.impact, @"These contact records exist only in the data stream that Firehose reads from, which drops them 2 days after they arrived.");
    }

    #[test]
    fn a_buffer_and_its_margin_are_not_late_and_neither_is_a_single_peak() {
        assert_eq!(findings(&CHECK, &spec(), &with("delivery_freshness", series(&[900.0, 900.0]))), []);
        assert_eq!(findings(&CHECK, &spec(), &with("delivery_freshness", series(&[280.0, 5000.0]))), []);
        let mut slow = with("delivery_freshness", series(&[1200.0, 1200.0]));
        let stream = slow.delivery_stream.as_mut().unwrap().as_mut().unwrap();
        stream.destination.as_mut().unwrap().buffer_seconds = Some(900);
        assert_eq!(findings(&CHECK, &spec(), &slow), []);
        slow.delivery_stream = Err(unseen(Cause::Denied));
        assert_eq!(findings(&CHECK, &spec(), &slow).len(), 1);
    }

    #[test]
    fn both_names_of_the_metrics_are_read() {
        for (id, name) in
            [("delivery_success", "delivery_success_legacy"), ("delivery_freshness", "delivery_freshness_legacy")]
        {
            let mut snapshot =
                with(name, series(if name.contains("success") { &[0.5, 0.5] } else { &[5000.0, 5000.0] }));
            put(&mut snapshot, id, Series::default());
            assert_eq!(only(&CHECK, &spec(), &snapshot).severity, Severity::Warning, "{name}");
        }
    }

    #[test]
    fn a_backup_bucket_that_takes_nothing_is_critical() {
        let mut snapshot = with("backup_success", series(&[1.0, 0.0, 0.5]));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
        put(&mut snapshot, "delivery_freshness", Series::default());
        assert_eq!(only(&CHECK, &spec(), &snapshot).data_loss_at, Some(noon()));
        for retried in [&[0.0, 1.0][..], &[1.0, 0.0], &[0.0]] {
            assert_eq!(findings(&CHECK, &spec(), &with("backup_success", series(retried))), [], "{retried:?}");
        }
        let old = Series::new(vec![(noon() - HOUR * 2, 0.0), (noon() - RECENT, 0.0)]);
        put(&mut snapshot, "backup_success", old);
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn a_stream_that_refuses_records_needs_a_higher_quota() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with("firehose_throttled", series(&[7.0, 0.0, 7.0]))));
        assert_eq!(findings(&CHECK, &spec(), &with("firehose_throttled", series(&[7.0, 0.0]))), []);
    }

    /// A contact record so many minutes before noon.
    fn came(snapshot: Snapshot, minutes: i64) -> Snapshot {
        let mut snapshot = snapshot;
        let record = (noon() - SignedDuration::from_mins(minutes), 1.0);
        put(&mut snapshot, "contact_records", Series::new(vec![record, (noon() - RECENT, 0.0)]));
        snapshot
    }

    #[test]
    fn calls_that_leave_no_contact_record_are_told() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &called(&[180, 175, 90, 20])));
        assert_eq!(findings(&CHECK, &spec(), &called(&[])), []);
        assert_eq!(findings(&CHECK, &spec(), &called(&[90])), []);
        assert_eq!(findings(&CHECK, &spec(), &called(&[90, 60, 55, 50])), []);
        assert_eq!(only(&CHECK, &spec(), &called(&[1440, 400])).severity, Severity::Warning);
        assert_eq!(findings(&CHECK, &spec(), &called(&[1445, 400])), []);
    }

    #[test]
    fn many_calls_without_any_contact_record_are_lost_since_the_first_of_them() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &called(&[700, 600, 500, 180, 175, 90, 20])));
        let fewer = only(&CHECK, &spec(), &called(&[700, 600, 500, 180, 175, 20]));
        assert_eq!((fewer.severity, fewer.data_loss_at), (Severity::Warning, None));
    }

    #[test]
    fn only_calls_after_the_newest_contact_record_count() {
        let made = &[700, 600, 500, 180, 175, 90];
        assert_eq!(findings(&CHECK, &spec(), &came(called(made), 170)), []);
        assert_eq!(findings(&CHECK, &spec(), &came(called(made), 30)), []);
        assert_eq!(findings(&CHECK, &spec(), &came(called(made), 175)), []);
        let two = only(&CHECK, &spec(), &came(called(made), 180));
        assert_eq!((two.severity, two.data_loss_at), (Severity::Warning, None));
        let all = only(&CHECK, &spec(), &came(called(made), 705));
        let first = noon() - SignedDuration::from_mins(700);
        assert_eq!((all.severity, all.data_loss_at), (Severity::Critical, Some(first)));
    }

    #[test]
    fn the_first_hour_of_a_stack_may_leave_no_contact_record() {
        let new = |hours| Snapshot { watched_since: Ok(noon() - HOUR * hours), ..called(&[180, 175, 90]) };
        assert_eq!(findings(&CHECK, &spec(), &new(3)), []);
        assert_eq!(findings(&CHECK, &spec(), &new(4)).len(), 1);
    }

    #[test]
    fn several_troubles_are_one_finding_that_begins_with_the_worst() {
        let mut snapshot = with("backup_success", series(&[0.0, 0.0]));
        put(&mut snapshot, "delivery_success", series(&[0.9, 0.9]));
        put(&mut snapshot, "delivery_freshness", series(&[4000.0, 4000.0]));
        put(&mut snapshot, "firehose_throttled", series(&[1.0, 1.0]));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn a_stream_that_is_gone_is_not_told_twice() {
        let snapshot = Snapshot { delivery_stream: Ok(None), ..called(&[180, 175]) };
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.watched_since = Err(unseen));
        for query in (CHECK.metrics)(&spec()) {
            is_unobservable_without(&CHECK, |snapshot, unseen| {
                snapshot.metrics.0.insert(query.id, Err(unseen));
            });
        }
    }
}
