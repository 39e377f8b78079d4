//! Owns the check `alert-path`: whether alerts about what the other checks find reach a recipient.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use url::Url;

use super::check::{Check, Part, Verdict, no_repair, seen, together};
use crate::command::{AwsCli, Command};
use crate::finding::{Finding, Severity, Status, texts, values};
use crate::look::Look;
use crate::metrics::{MetricQuery, Stat};
use crate::snapshot::{Snapshot, Subscription};
use crate::spec::Spec;
use crate::words::{bounded, listed};

/// The check.
pub const CHECK: Check = Check {
    name: "alert-path",
    resource: |spec| spec.alert_topic.to_string(),
    metrics,
    judge,
    repair: no_repair,
    parts: &[NO_SUBSCRIBER, DEAD_LETTERS, FILTER, DELIVERY, UNCONFIRMED],
    unseen: "the way of the alerts cannot be checked",
    explains: &[],
};

/// No subscription is confirmed, so alerts reach no one.
pub const NO_SUBSCRIBER: Part =
    Part { suffix: "", status: Some(Status::Missing), ..part("no-subscriber", "nobody hears of alerts") };
/// Events that the reporter could not handle; about their queue.
const DEAD_LETTERS: Part = Part {
    suffix: "",
    status: Some(Status::Unhealthy),
    commands: |spec| {
        let attributes =
            AwsCli::new(spec, "sqs", "get-queue-attributes").option("--queue-url", &spec.dead_letter_queue);
        vec![Command::shows(attributes.option("--attribute-names", "ApproximateNumberOfMessages"))]
    },
    ..part("dead-letters", "some events were not handled")
};
const FILTER: Part = part("filter", "nobody hears of the health check's own alarms");
const DELIVERY: Part = part("delivery", "alerts could not be delivered");
const UNCONFIRMED: Part = part("unconfirmed", "a subscription to alerts is not confirmed");

const fn part(name: &'static str, title: &'static str) -> Part {
    Part {
        commands: |spec| {
            let list = AwsCli::new(spec, "sns", "list-subscriptions-by-topic");
            vec![Command::shows(list.option("--topic-arn", &spec.alert_topic.to_string()))]
        },
        ..Part::new(name, title)
    }
}

/// How far back failed deliveries count.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// Subscriptions that one finding names.
const NAMED: usize = 10;

fn metrics(spec: &Spec) -> Vec<MetricQuery> {
    vec![MetricQuery {
        id: "alerts_failed",
        namespace: "AWS/SNS",
        name: "NumberOfNotificationsFailed",
        dimensions: vec![("TopicName", spec.alert_topic.resource.clone())],
        stat: Stat::Sum,
    }]
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let parts = [subscribers, filters, dead_letters, deliveries];
    together(&CHECK, spec, parts.map(|part| part(spec, snapshot)))
}

fn subscribers(spec: &Spec, snapshot: &Snapshot) -> Look<Vec<Finding>> {
    let all = seen(&snapshot.subscriptions)?;
    let (confirmed, unconfirmed): (Vec<_>, Vec<_>) = all.iter().partition(|subscription| subscription.confirmed);
    let mut names: Vec<String> = unconfirmed.iter().map(|subscription| masked(subscription)).collect();
    let mut told = BTreeSet::new();
    names.retain(|name| told.insert(name.clone()));
    if confirmed.is_empty() {
        return Ok(vec![no_subscriber(spec, names)]);
    }
    Ok(if names.is_empty() { Vec::new() } else { vec![unconfirmed_finding(spec, names)] })
}

/// The first names, and how many more there are.
fn named(mut names: Vec<String>) -> String {
    let others = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    names.extend((others > 0).then(|| format!("{others} more")));
    listed(&names)
}

fn warning(spec: &Spec, part: &Part, status: Status) -> Finding {
    CHECK.finding(spec, part, status, Severity::Warning)
}

fn no_subscriber(spec: &Spec, waiting: Vec<String>) -> Finding {
    const SUBSCRIBE: &str = "Subscribe an address to the alert topic and click the link in the message that it gets.";
    let values = values([("unconfirmed", texts(&waiting))]);
    let (observed, remedy) = if waiting.is_empty() {
        ("no subscription".to_owned(), SUBSCRIBE.to_owned())
    } else {
        let names = named(waiting);
        let click = format!(
            "{names} must click the link in the message 'AWS Notification - Subscription Confirmation'. It works for 2 days; after that, subscribe the address again."
        );
        (bounded(format!("not confirmed yet: {names}")), click)
    };
    Finding {
        summary: "Nobody hears the alerts of this integration: no subscription of the alert topic is confirmed."
            .to_owned(),
        expected: "at least one confirmed subscription of the alert topic".to_owned(),
        observed,
        impact: "Nobody is told when contact records or agent events stop arriving.".to_owned(),
        remedy,
        values,
        ..warning(spec, &NO_SUBSCRIBER, Status::Missing)
    }
}

fn unconfirmed_finding(spec: &Spec, names: Vec<String>) -> Finding {
    let one = names.len() == 1;
    let (were, have) = if one { ("was", "has") } else { ("were", "have") };
    let values = values([("unconfirmed", texts(&names))]);
    let names = named(names);
    Finding {
        summary: bounded(format!("{names} {were} subscribed to the alerts and {have} not confirmed it.")),
        expected: "confirmed subscriptions only".to_owned(),
        observed: bounded(format!("not confirmed: {names}")),
        impact: if one {
            "This recipient hears no alert. Others do."
        } else {
            "These recipients hear no alert. Others do."
        }
        .to_owned(),
        remedy: format!(
            "{names} must click the link in the message 'AWS Notification - Subscription Confirmation'. It works for 2 days; after that, subscribe the address again if it is wanted."
        ),
        values,
        ..warning(spec, &UNCONFIRMED, Status::Incorrect)
    }
}

/// Watchdog alarms carry no message attributes, so a filter on those lets none of them through.
fn filters(spec: &Spec, snapshot: &Snapshot) -> Look<Vec<Finding>> {
    let confirmed = seen(&snapshot.subscriptions)?.iter().filter(|subscription| subscription.confirmed);
    let filters: Vec<bool> = confirmed.map(|subscription| subscription.filtered.clone()).collect::<Look<_>>()?;
    let filtered = filters.iter().filter(|filtered| **filtered).count();
    let all = filtered == filters.len();
    let finding = (filtered > 0).then(|| Finding {
        severity: if all { Severity::Warning } else { Severity::Info },
        summary: if all {
            "Nobody would hear that the health check itself has stopped: every subscription of the alerts has a filter."
        } else {
            "Some subscriptions of the alerts have a filter, so they do not get everything."
        }
        .to_owned(),
        expected: "at least one subscription without a filter".to_owned(),
        observed: format!("{filtered} of {} confirmed subscriptions have a filter", filters.len()),
        impact: "The alarms that watch over the health check itself do not pass such a filter.".to_owned(),
        remedy: if all {
            "Remove the filter of one subscription, or add one without."
        } else {
            "None needed, as long as somebody reads what the subscriptions without a filter get."
        }
        .to_owned(),
        values: values([("filteredSubscriptions", filtered.into()), ("confirmedSubscriptions", filters.len().into())]),
        ..warning(spec, &FILTER, Status::Incorrect)
    });
    Ok(Vec::from_iter(finding))
}

fn dead_letters(spec: &Spec, snapshot: &Snapshot) -> Look<Vec<Finding>> {
    let waiting = *seen(&snapshot.dead_letters)?;
    let events = if waiting == 1 { "1 event".to_owned() } else { format!("{waiting} events") };
    let finding = Finding {
        summary: "Events that should have been told to somebody could not be handled and wait in a queue.".to_owned(),
        expected: "an empty queue".to_owned(),
        observed: format!("{events} in the queue"),
        impact: "An alert may never have been sent. Events leave the queue after at most 14 days.".to_owned(),
        remedy: "Look at the log of the reporter for the error, mend it, then purge the queue: the next report tells everything that is still wrong."
            .to_owned(),
        resource: spec.dead_letter_queue.clone(),
        values: values([("messages", waiting.into())]),
        ..warning(spec, &DEAD_LETTERS, Status::Unhealthy)
    };
    Ok((waiting > 0).then_some(finding).into_iter().collect())
}

fn deliveries(spec: &Spec, snapshot: &Snapshot) -> Look<Vec<Finding>> {
    let recent = snapshot.metrics.get("alerts_failed")?.since(snapshot.taken_at - RECENT);
    let bad = recent.iter().filter(|(_, failed)| *failed > 0.0);
    let (periods, failed) = bad.fold((0, 0.0), |(periods, sum), (_, failed)| (periods + 1, sum + failed));
    let finding = Finding {
        summary: "Alerts are sent, but do not reach everybody who subscribed to them.".to_owned(),
        expected: "every alert delivered".to_owned(),
        observed: format!("{failed:.0} deliveries failed in the last hour"),
        impact: "At least one recipient does not hear of what is wrong.".to_owned(),
        remedy: "Look at the subscriptions of the alert topic: an address that does not exist any more, or an endpoint that refuses, has to be removed or mended."
            .to_owned(),
        values: values([("failedNotifications", failed.into()), ("hours", RECENT.as_hours().into())]),
        ..warning(spec, &DELIVERY, Status::Unhealthy)
    };
    Ok((periods >= 2).then_some(finding).into_iter().collect())
}

/// Protocol and endpoint of a subscription, as much as is needed to recognise it.
fn masked(subscription: &Subscription) -> String {
    let Subscription { protocol, endpoint, .. } = subscription;
    let shown = match (protocol.as_str(), endpoint.split_once('@')) {
        ("email" | "email-json", Some((user, domain))) => {
            format!("{}…@{domain}", user.chars().next().map(String::from).unwrap_or_default())
        }
        ("http" | "https", _) => {
            let url = Url::parse(endpoint).ok();
            let host = url.as_ref().and_then(Url::host_str);
            host.map_or_else(|| "…".to_owned(), |host| format!("{protocol}://{host}/…"))
        }
        _ if endpoint.starts_with("arn:") => endpoint.rsplit([':', '/']).next().unwrap_or_default().to_owned(),
        _ => "…".to_owned(),
    };
    let printable = |character: &char| character.is_ascii_graphic() || *character == '…';
    let protocol: String = protocol.chars().filter(printable).take(20).collect();
    format!("{protocol}:{}", shown.chars().filter(printable).take(100).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, healthy, is_unobservable_without, only, put, series, spec, unseen};
    use crate::look::Cause;

    fn subscription(protocol: &str, endpoint: &str, confirmed: bool) -> Subscription {
        Subscription { protocol: protocol.into(), endpoint: endpoint.into(), confirmed, filtered: Ok(false) }
    }

    fn with(subscriptions: &[Subscription]) -> Snapshot {
        Snapshot { subscriptions: Ok(subscriptions.to_vec()), ..healthy() }
    }

    #[test]
    fn without_any_subscription_nobody_hears() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(&[])));
    }

    #[test]
    fn while_nobody_confirmed_it_says_who_has_to() {
        let snapshot = with(&[
            subscription("email", "jane.citizen@example.com", false),
            subscription("sqs", "arn:aws:sqs:ap-southeast-2:999999999999:their-queue", false),
        ]);
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn who_has_not_confirmed_is_told_to_those_who_have() {
        let snapshot = with(&[
            subscription("email", "admin@example.com", true),
            subscription("email", "jane.citizen@example.com", false),
            subscription("email", "john.citizen@example.com", false),
            subscription("email", "max@example.net", false),
        ]);
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
        let crowd: Vec<_> =
            (0..500).map(|n| subscription("https", &format!("https://{n}.example.com/"), n == 0)).collect();
        let found = only(&CHECK, &spec(), &with(&crowd));
        assert!(found.summary.len() < 700 && found.remedy.contains("489 more"), "{found:?}");
    }

    #[test]
    fn a_filter_is_a_warning_when_nobody_is_without() {
        let filtered = Subscription { filtered: Ok(true), ..subscription("email", "admin@example.com", true) };
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(std::slice::from_ref(&filtered))));
        let some = only(&CHECK, &spec(), &with(&[filtered, subscription("email", "b@example.com", true)]));
        insta::assert_json_snapshot!(some);
    }

    #[test]
    fn events_that_could_not_be_told_are_told() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &Snapshot { dead_letters: Ok(3), ..healthy() }));
    }

    #[test]
    fn deliveries_that_fail_again_and_again_are_told() {
        let mut snapshot = healthy();
        put(&mut snapshot, "alerts_failed", series(&[0.0, 2.0, 0.0, 1.0, 0.0]));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
        put(&mut snapshot, "alerts_failed", series(&[0.0, 2.0, 0.0, 0.0]));
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
        let mut long_ago = vec![5.0; 12];
        long_ago.extend([0.0; 12]);
        put(&mut snapshot, "alerts_failed", series(&long_ago));
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn endpoints_are_shown_as_far_as_needed_to_recognise_them() {
        let shown = [
            ("email", "jane.citizen@example.com"),
            ("email", "@example.com"),
            ("email", "no address"),
            ("sms", "+61412345678"),
            ("https", "https://user:secret@hooks.example.com/services/T0/B0/secret?token=secret"),
            ("https", "not a url"),
            ("lambda", "arn:aws:lambda:ap-southeast-2:999999999999:function:tell-them"),
            ("application", "arn:aws:sns:ap-southeast-2:999999999999:endpoint/APNS/app/abc"),
        ];
        insta::assert_snapshot!(
            shown.map(|(protocol, endpoint)| masked(&subscription(protocol, endpoint, false))).join("\n")
        );
    }

    #[test]
    fn what_was_seen_stays_short_however_many_subscribed() {
        let many: Vec<_> = (0..500)
            .map(|n| subscription("email", &format!("a@{}.example.com", format!("{n}").repeat(60)), false))
            .collect();
        let finding = only(&CHECK, &spec(), &with(&many));
        assert!(finding.observed.chars().count() <= 600);
    }

    #[test]
    fn each_look_that_fails_is_told() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.subscriptions = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.dead_letters = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| {
            snapshot.metrics.0.insert("alerts_failed", Err(unseen));
        });
    }

    #[test]
    fn a_look_that_fails_hides_no_other() {
        let snapshot = Snapshot { subscriptions: Err(unseen(Cause::Denied)), dead_letters: Ok(1), ..healthy() };
        let statuses: Vec<_> = findings(&CHECK, &spec(), &snapshot).iter().map(|finding| finding.status).collect();
        assert_eq!(statuses, [Status::Unhealthy, Status::Unobservable]);
    }
}
