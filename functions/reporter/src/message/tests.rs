use std::collections::BTreeSet;

use emite_core::change::PlannedChange;
use emite_core::checks::{self, CHECKS};
use emite_core::finding::{Finding, Severity, Status, Subject, UnseenCause};
use emite_core::handover::{Handover, Item, ItemChange};
use emite_core::look::{Cause, Unseen};
use emite_core::offer::{self, RepairOffer};
use emite_core::spec::ServerSpec;
use jiff::Timestamp;

use super::*;
use crate::failure::{Failure, FailureKind};
use crate::fixtures::{handover, minutes, noon, scene, scene_of, self_hosted};
use crate::redrive::{LeftObject, Redrive};
use crate::scene::Scene;

/// A finding as the checks word them; for what is the same everywhere see [`mail`].
fn seen(subject: Subject<'_>, severity: Severity, texts: [&str; 5]) -> Finding {
    let [summary, expected, observed, impact, remedy] = texts.map(str::to_owned);
    let Subject { check, status, part, resource } = subject;
    let found = Finding::about(check, part.unwrap(), status, severity, resource.to_owned());
    Finding { summary, expected, observed, impact, remedy, ..found }
}

fn subject<'a>(check: &'a str, part: &'a str, status: Status, resource: &'a str) -> Subject<'a> {
    Subject { check, status, part: Some(part), resource }
}

/// The repair that its check plans for a finding.
fn repair_of(finding: &Finding, offer: RepairOffer) -> Option<PlannedChange> {
    let repair = PlannedChange {
        id: format!("{}/{}/associate", finding.check, finding.resource),
        check: finding.check.clone(),
        action: "associate".to_owned(),
        resource: finding.resource.clone(),
        from: Some("$(reboot) from an event".to_owned()),
        to: Some("$(reboot) from an event".to_owned()),
        replaces_foreign: offer == RepairOffer::Replacement,
        interrupts: matches!(offer, RepairOffer::Interruption | RepairOffer::Replacement),
        iam: Vec::new(),
    };
    (offer != RepairOffer::ByHand).then_some(repair)
}

fn opened(scene: &Scene, finding: &Finding) -> Message {
    let story = OpenEpisode { since: noon() - minutes(5), observed_at: noon(), consequences: vec![] };
    found(scene, MessageState::Opened, finding, &story)
}

/// The whole mail as it is published.
fn mail(message: &Message) -> String {
    let Message { state, check, severity, subject, body } = message;
    let (state, severity) = (state.name(), severity_name(*severity));
    format!("state={state} severity={severity} check={check}\nSubject: {subject}\n\n{body}")
}

const INSTANCE: &str = "arn:aws:connect:ap-southeast-2:111122223333:instance/1b2c3d4e-0000-4000-8000-000000000002";
const STREAM: &str = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/connect-agentevents";
const DELIVERY: &str = "arn:aws:firehose:ap-southeast-2:111122223333:deliverystream/emite-ctrfirehose";
const DOMAIN: &str = "arn:aws:es:ap-southeast-2:111122223333:domain/emite-kinesis-connect";
const ROLE: &str = "arn:aws:iam::111122223333:role/emite-role";
const SERVER: &str = "arn:aws:ec2:ap-southeast-2:111122223333:instance/i-0a1b2c3d4e5f60718";
const TOPIC: &str = "arn:aws:sns:ap-southeast-2:111122223333:emite-connect-AlertTopic-1A2B3C4D5E6F";
const FAILED: &str = "arn:aws:s3:::emite-connect-backup-example/emite-connect/emite-ctrfirehose/failed/";

/// One finding of every check, from Connect to eMite.
fn one_of_each() -> Vec<Finding> {
    use Severity::{Critical, Warning};
    use Status::{Incorrect, Missing, Unhealthy};
    let at = |resource: &str, part: &str| format!("{resource}#{part}");
    let origin = at(INSTANCE, "https://emite.example.com");
    let subscription = at(TOPIC, "email:a***@example.com");
    vec![
        seen(
            subject("connect-instance", "", Unhealthy, INSTANCE),
            Critical,
            [
                "The Amazon Connect instance cannot be used: its creation failed.",
                "status ACTIVE",
                "status CREATION_FAILED",
                "No calls are taken, so there is nothing for eMite to show.",
                "Open the instance in the Amazon Connect console, which names the reason.",
            ],
        ),
        Finding {
            data_loss_at: Some(noon() - minutes(5)),
            ..seen(
                subject("data-streaming", "AGENT_EVENTS", Missing, &at(INSTANCE, "AGENT_EVENTS")),
                Critical,
                [
                    "Amazon Connect sends its agent events nowhere, so eMite gets none.",
                    "agent events go to arn:aws:kinesis:ap-southeast-2:111122223333:stream/connect-agentevents",
                    "no stream is set for agent events",
                    "Agent events of this time are missing in eMite for good.",
                    "Set the stream again, with the command below or under Data streaming in the Amazon Connect console.",
                ],
            )
        },
        seen(
            subject("approved-origins", "origin", Missing, &origin),
            Warning,
            [
                "The web address of eMite is not among the approved origins of the Amazon Connect instance.",
                "https://emite.example.com is an approved origin",
                "it is not in the list of 1 approved origin",
                "Chat and the contact panel do not work inside eMite.",
                "Add it again, with the command below or under Approved origins in the Amazon Connect console.",
            ],
        ),
        seen(
            subject("agent-event-stream", "retention", Incorrect, &at(STREAM, "retention")),
            Warning,
            [
                "The agent event stream keeps records for 24 hours instead of 48.",
                "a retention of 48 hours or more",
                "a retention of 24 hours",
                "If eMite is away for longer, agent events are lost.",
                "Raise the retention, with the command below.",
            ],
        ),
        Finding {
            data_loss_at: Some(noon() + minutes(660)),
            ..seen(
                subject("iterator-age", "", Unhealthy, STREAM),
                Critical,
                [
                    "eMite is 13 hours behind in reading agent events.",
                    "less than 1 minute behind",
                    "46,800 seconds behind",
                    "Agent dashboards in eMite show an old state.",
                    "Ask the eMite team to look whether their Kinesis adapter runs, and whether it can use its role.",
                ],
            )
        },
        seen(
            subject("stream-throttling", "write", Unhealthy, STREAM),
            Warning,
            [
                "The agent event stream is too small for what is written to it.",
                "no refused writes",
                "412 writes were refused in the last hour",
                "Agent events arrive late, and some may be lost.",
                "Raise the stack parameter AgentEventShards to 2.",
            ],
        ),
        seen(
            subject("agent-event-flow", "", Unhealthy, STREAM),
            Critical,
            [
                "No agent event has arrived for 35 minutes, although calls are being taken.",
                "an agent event at least every 30 minutes while agents work",
                "none since 11:25, and 14 calls in that time",
                "Agent dashboards in eMite stand still.",
                "Look whether data streaming is on in the Amazon Connect console.",
            ],
        ),
        seen(
            subject(
                "contact-record-stream",
                "",
                Missing,
                "arn:aws:kinesis:ap-southeast-2:111122223333:stream/contact-records",
            ),
            Critical,
            [
                "The stream that contact records go through does not take any.",
                "Kinesis data stream contact-records with status ACTIVE",
                "no stream of this name",
                "Every contact record is lost now.",
                "Create it again under the same name.",
            ],
        ),
        seen(
            subject("delivery-stream", "destination", Incorrect, &at(DELIVERY, "destination")),
            Critical,
            [
                "The delivery stream does not deliver to the search domain as it was set up.",
                "index emite-contacts, rotated each month",
                "index contacts, not rotated",
                "eMite does not find new contact records.",
                "Update the stack, which puts the destination back.",
            ],
        ),
        Finding {
            data_loss_at: Some(noon() + minutes(24 * 60)),
            ..seen(
                subject("firehose-delivery", "", Unhealthy, DELIVERY),
                Critical,
                [
                    "Contact records have not been delivered to the search domain for 20 minutes.",
                    "every record is delivered within 6 minutes",
                    "the oldest record has waited for 1,200 seconds",
                    "eMite does not show the newest contacts.",
                    "Look at the state of the search domain.",
                ],
            )
        },
        seen(
            subject("failed-records", "", Unhealthy, FAILED),
            Warning,
            [
                "120 contact records could not be stored in the search domain, and wait in the bucket.",
                "nothing waits in failed/",
                "2 objects; error kind 400/mapper_parsing_exception",
                "These contacts are missing in eMite until they are sent again.",
                "Mend the mapping of the index, then run the redrive.",
            ],
        ),
        Finding {
            data_loss_at: Some(noon() + minutes(3 * 24 * 60)),
            ..seen(
                subject("search-domain", "storage", Unhealthy, &at(DOMAIN, "storage")),
                Warning,
                [
                    "The search domain has 12 % of its storage left, which lasts for about 3 days.",
                    "25 % free or more",
                    "6,100 MiB of 51,200 MiB free on the fullest node",
                    "A full domain takes no contact records.",
                    "Raise the stack parameter DomainVolumeGiB, or delete indexes of months that nobody needs.",
                ],
            )
        },
        seen(
            subject("domain-access", "emite-servers", Incorrect, &at(DOMAIN, "emite-servers")),
            Critical,
            [
                "The access policy of the search domain does not let the eMite servers in.",
                "198.51.100.0/28 and 203.0.113.10/32 are admitted",
                "203.0.113.10/32 is admitted",
                "eMite cannot read contact records.",
                "Add the missing addresses to the access policy, or update the stack.",
            ],
        ),
        seen(
            subject("emite-role", "trust", Incorrect, &at(ROLE, "trust")),
            Critical,
            [
                "eMite cannot use its role, as the trust policy was changed.",
                "arn:aws:iam::444455556666:root may assume it with the external id of this customer",
                "nobody may assume it",
                "eMite reads no agent events.",
                "Put the trust policy back, with the command below.",
            ],
        ),
        Finding {
            data_loss_at: Some(noon() + minutes(24 * 60)),
            ..seen(
                subject("emite-server", "state", Unhealthy, &at(SERVER, "state")),
                Critical,
                [
                    "The eMite server is not running.",
                    "it is running",
                    "it is stopped",
                    "eMite does not read. Agent events that it has not read after 24 hours are lost. Nobody can open eMite.",
                    "Start it in the EC2 console, or in CloudShell.",
                ],
            )
        },
        seen(
            subject("alert-path", "unconfirmed", Incorrect, &subscription),
            Warning,
            [
                "The subscription of a***@example.com to these alerts is not confirmed.",
                "every subscription is confirmed",
                "an email subscription waits for confirmation",
                "Nobody there hears when something breaks.",
                "Open the mail with the subject 'AWS Notification - Subscription Confirmation', and confirm it.",
            ],
        ),
    ]
}

#[test]
fn every_check_has_a_mail_and_these_are_they() {
    let all = one_of_each();
    let names: BTreeSet<_> = all.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(names, CHECKS.iter().map(|check| check.name).collect());
    for finding in &all {
        let scene = scene_of(&finding.check);
        insta::assert_snapshot!(format!("opened-{}", finding.check), mail(&opened(&scene, finding)));
    }
}

#[test]
fn what_a_repair_mends_comes_with_the_command_that_does() {
    let mut mails = Vec::new();
    for (number, offer) in [(1, RepairOffer::Repair), (1, RepairOffer::Replacement), (3, RepairOffer::Repair)] {
        let finding = one_of_each().remove(number);
        let finding = Finding { repair: repair_of(&finding, offer), ..finding };
        let mail = mail(&opened(&scene(), &finding));
        assert!(!mail.contains("reboot"), "{mail}");
        let (_, from_remedy) = mail.split_once("What to do").unwrap();
        mails.push(from_remedy.split_once("To look again").unwrap().0.to_owned());
    }
    insta::assert_snapshot!(mails.join("=="));
}

#[test]
fn failed_records_are_told_by_what_refused_them() {
    use Severity::{Critical, Warning};
    let impact = "These contacts are missing in eMite until they are sent again.";
    let quarantine = FAILED.replace("failed", "quarantine");
    let kind = |severity, part: &str, summary: &str, observed: &str, remedy: &str| {
        let resource = if part == "quarantine" { &quarantine } else { FAILED };
        seen(
            subject("failed-records", part, Status::Unhealthy, resource),
            severity,
            [summary, "nothing waits", observed, impact, remedy],
        )
    };
    let kinds = [
        (
            "mapping",
            kind(
                Warning,
                "",
                "40 contact records do not fit the fields of the index.",
                "1 object; error kind 400/mapper_parsing_exception",
                "Two records use one attribute in different ways. Mend the mapping of the index, then run the redrive.",
            ),
        ),
        (
            "fields",
            kind(
                Warning,
                "",
                "40 contact records have more different attributes than the index takes.",
                "1 object; error kind 400/illegal_argument_exception; the limit is 1,000 fields",
                "Raise index.mapping.total_fields.limit, or use fewer attributes, then run the redrive.",
            ),
        ),
        (
            "blocked",
            kind(
                Critical,
                "",
                "The search domain takes no contact records, as it is full or set to read-only.",
                "12 objects; error kind 403/cluster_block_exception",
                "Make room in the domain, then run the redrive.",
            ),
        ),
        (
            "quarantine",
            kind(
                Warning,
                "quarantine",
                "12 contact records were refused again by the redrive.",
                "1 object in quarantine/",
                "Mend the cause, then run the redrive with this prefix.",
            ),
        ),
    ];
    for (name, finding) in kinds {
        insta::assert_snapshot!(format!("failed-records-{name}"), mail(&opened(&scene(), &finding)));
    }
}

#[test]
fn other_parts_of_a_resource_get_commands_of_their_own() {
    use Status::{Incorrect, Missing, Unhealthy, Unobservable};
    let scene = scene();
    let queue = &scene.spec.dead_letter_queue;
    let health = scene.spec.home.arn("lambda", "function:x").to_string();
    let subjects = [
        subject("data-streaming", "AGENT_EVENTS", Incorrect, INSTANCE),
        subject("data-streaming", "CONTACT_TRACE_RECORDS", Missing, INSTANCE),
        subject("data-streaming", "CONTACT_TRACE_RECORDS", Incorrect, INSTANCE),
        subject("agent-event-stream", "", Missing, STREAM),
        subject("search-domain", "", Unhealthy, DOMAIN),
        subject("search-domain", "status", Unhealthy, DOMAIN),
        subject("emite-role", "", Missing, ROLE),
        subject("emite-role", "session", Incorrect, ROLE),
        subject("emite-role", "policy", Incorrect, ROLE),
        subject("alert-path", "no-subscriber", Missing, TOPIC),
        subject("alert-path", "dead-letters", Unhealthy, queue),
        Subject { part: None, ..subject("emite-role", "", Unobservable, ROLE) },
        subject("health-check", "", Unhealthy, &health),
    ];
    let offers = [RepairOffer::ByHand, RepairOffer::Repair, RepairOffer::Interruption, RepairOffer::Replacement];
    insta::assert_snapshot!(titles_and_commands(&scene, &subjects, &offers));
}

fn titles_and_commands(scene: &Scene, subjects: &[Subject<'_>], offers: &[RepairOffer]) -> String {
    let mut text = String::new();
    for subject in subjects {
        let Subject { check, status, part, resource } = *subject;
        text.push_str(&format!("== {check} {status:?}: {}\n", checks::title(*subject)));
        let found = Finding::about(check, part.unwrap_or_default(), status, Severity::Warning, resource.to_owned());
        let denied = UnseenCause { action: "iam:GetRole".to_owned(), kind: Cause::Denied, request_id: None };
        let found = Finding { cause: (status == Status::Unobservable).then_some(denied), ..found };
        for offer in offers {
            let finding = Finding { repair: repair_of(&found, *offer), ..found.clone() };
            for command in offer::commands(&scene.spec, &finding) {
                text.push_str(&format!("{offer:?}: {}\n{}\n", command.does, command.line));
            }
        }
    }
    text
}

#[test]
fn each_part_of_the_server_has_a_title_and_a_command_that_fits() {
    let parts = ["", "state", "status", "address", "profile", "remote-desktop", "web", "metadata"];
    let subjects = parts.map(|part| subject("emite-server", part, Status::Incorrect, SERVER));
    insta::assert_snapshot!(titles_and_commands(&self_hosted(), &subjects, &[RepairOffer::ByHand]));
    for subject in subjects {
        let title = checks::title(subject);
        assert!(title.len() <= 45, "{title}");
    }
}

#[test]
fn each_title_is_known_and_fits_a_subject() {
    for finding in one_of_each() {
        for status in [Status::Missing, Status::Incorrect, Status::Unexpected, Status::Unhealthy, Status::Unobservable]
        {
            let title = checks::title(Subject { status, ..finding.subject() });
            assert!(!title.starts_with("something") && title.len() <= 45, "{}: {title}", finding.check);
        }
    }
}

#[test]
fn consequences_follow_their_root_cause() {
    let finding = &one_of_each()[1];
    let consequences = vec!["No agent event has arrived for 35 minutes.", "eMite is 35 minutes behind."];
    let story = OpenEpisode { since: noon() - minutes(40), observed_at: noon(), consequences };
    insta::assert_snapshot!(mail(&found(&scene(), MessageState::Worsened, finding, &story)));
}

#[test]
fn a_reminder_says_that_it_is_one() {
    let story = OpenEpisode { since: noon() - minutes(1440), observed_at: noon(), consequences: vec![] };
    insta::assert_snapshot!(mail(&found(&scene(), MessageState::Reminder, &one_of_each()[4], &story)));
}

#[test]
fn what_is_over_says_what_it_was() {
    let finding = &one_of_each()[1];
    for (name, resolution) in
        [("twice-good", Resolution::Healthy), ("repaired", Resolution::Repaired), ("lesser", Resolution::Lesser)]
    {
        let over = ResolvedEpisode {
            subject: finding.subject(),
            severity: finding.severity,
            summary: &finding.summary,
            since: noon() - minutes(40),
            until: noon(),
            resolution,
        };
        insta::assert_snapshot!(format!("resolved-{name}"), mail(&resolved(&scene(), &over)));
    }
}

#[test]
fn the_health_check_itself_can_fail_in_three_ways() {
    let scene = scene();
    let function = scene.spec.home.arn("lambda", format!("function:{}", scene.spec.health_check_function));
    let kinds = [
        ("timed-out", FailureKind::TimedOut("60.00".to_owned())),
        ("crashed", FailureKind::Crashed(Some("Runtime.ExitError".to_owned()))),
        ("not-run", FailureKind::NotRun),
    ];
    for (name, kind) in kinds {
        let failure = Failure { at: noon(), due: noon(), function: function.clone(), kind };
        insta::assert_snapshot!(format!("health-check-{name}"), mail(&opened(&scene, &failure.finding(&scene.spec))));
    }
}

#[test]
fn a_check_that_cannot_look_says_what_it_lacks() {
    let unseen = Unseen { action: "iam:GetRole", cause: Cause::Denied, request_id: Some("request-1".to_owned()) };
    let finding = Finding { severity: Severity::Warning, ..Finding::unobservable("emite-role", ROLE, &unseen) };
    insta::assert_snapshot!(mail(&opened(&scene(), &finding)));
}

#[test]
fn the_whole_is_told_in_these_words() {
    let scene = scene();
    let open = [
        OpenFinding { severity: Severity::Critical, summary: "Agent events go nowhere.", since: noon() - minutes(60) },
        OpenFinding { severity: Severity::Warning, summary: "Storage is short.", since: noon() - minutes(90) },
    ];
    insta::assert_snapshot!("deployed-as-asked-for", mail(&deployed(&scene, None)));
    insta::assert_snapshot!("deployed-unverified", mail(&deployed(&scene, Some(&handover()))));
    insta::assert_snapshot!("open-findings", mail(&open_findings(&scene, &open)));
    insta::assert_snapshot!("test", mail(&test(&scene, noon())));
    let mut outcome = Redrive { objects: 4, records: 1200, indexed: 1150, already_present: 38, ..Redrive::default() };
    outcome.quarantined = 12;
    outcome.by_error.insert("400/mapper_parsing_exception".to_owned(), 12);
    (outcome.oldest, outcome.newest) = (Some(noon() - minutes(600)), Some(noon() - minutes(300)));
    insta::assert_snapshot!("redrive", mail(&redrive(&scene, &outcome)));
}

#[test]
fn a_hand_over_is_told_with_what_changed_or_that_nothing_did() {
    let scene = scene();
    let mut first = Handover { revision: 1, previous_release: None, changes: Vec::new(), ..handover() };
    for item in &mut first.items {
        (item.verified, item.problem) = (true, None);
    }
    insta::assert_snapshot!("deployed", mail(&deployed(&scene, Some(&first))));
    let again = Handover { previous_release: Some("0.1.0".to_owned()), ..first.clone() };
    assert!(deployed(&scene, Some(&again)).body.contains("None of these values has changed"));
    let mut self_hosted = scene.clone();
    self_hosted.spec.emite = None;
    self_hosted.spec.server = Some(ServerSpec {
        instance_id: "i-0a1b2c3d4e5f60718".to_owned(),
        address: "198.51.100.20".parse().unwrap(),
        allocation_id: "eipalloc-0a1b2c3d4e5f60718".to_owned(),
        profile: "arn:aws:iam::111122223333:instance-profile/server".parse().unwrap(),
        group_id: "sg-0a1b2c3d4e5f60718".to_owned(),
        rdp_from: BTreeSet::new(),
    });
    insta::assert_snapshot!("deployed-self-hosted", mail(&deployed(&self_hosted, None)));
}

/// A redrive of which nothing is left.
fn whole_redrive() -> Redrive {
    let prefix = Some("emite-connect/emite-ctrfirehose/failed/".to_owned());
    Redrive { objects: 4, records: 1200, indexed: 1162, already_present: 38, prefix, ..Redrive::default() }
}

fn left(key: &str, cause: &str, size: Option<u64>) -> LeftObject {
    LeftObject { key: key.to_owned(), cause: cause.to_owned(), size }
}

#[test]
fn what_a_redrive_came_to_is_told_in_these_words() {
    let scene = scene();
    let key = |name: &str| format!("elasticsearch-failed/2026/11/24/01/{name}");
    let stopped = Redrive {
        remaining: 9,
        stopped: Some("403/cluster_block_exception".to_owned()),
        prefix: Some("elasticsearch-failed/2026/11/".to_owned()),
        left: vec![
            left(&key("emite-ctrfirehose-1"), "it is larger than a run can hold", Some(1_073_741_824)),
            left(&key("emite-ctrfirehose-2"), "its storage class cannot be read at once", None),
        ],
        ..whole_redrive()
    };
    let error = Some("States.Timeout".to_owned());
    let ended = Redrive { failed_batches: 3, error: error.clone(), ..whole_redrive() };
    let empty = Redrive { prefix: whole_redrive().prefix, ..Redrive::default() };
    let unread = Redrive { error, ..empty.clone() };
    for (name, outcome) in
        [("whole", whole_redrive()), ("empty", empty), ("stopped", stopped), ("ended", ended), ("unread", unread)]
    {
        insta::assert_snapshot!(format!("redrive-{name}"), mail(&redrive(&scene, &outcome)));
    }
}

#[test]
fn a_redrive_that_is_incomplete_never_sounds_as_if_all_were_well() {
    let some = || Some("x".to_owned());
    for records in [0, 1200] {
        for quarantined in [0, 12] {
            let whole = Redrive { records, quarantined, ..whole_redrive() };
            for outcome in [
                Redrive { remaining: 1, ..whole.clone() },
                Redrive { left: vec![left("k", "c", None)], ..whole.clone() },
                Redrive { failed_batches: 1, ..whole.clone() },
                Redrive { stopped: some(), ..whole.clone() },
                Redrive { error: some(), ..whole.clone() },
            ] {
                let message = redrive(&scene(), &outcome);
                assert_eq!(message.severity, Severity::Warning, "{outcome:?}");
                assert!(message.subject.ends_with(" left"), "{}", message.subject);
                let text = mail(&message);
                for calms in ["in the domain now", "There is nothing to do", "There were no failed records"] {
                    assert!(!text.contains(calms), "{text}");
                }
                assert!(text.contains("start-execution"), "{text}");
            }
        }
    }
}

#[test]
fn what_is_left_is_listed_as_far_as_it_can_be_read() {
    let hostile = left(&"k".repeat(1024), &format!("a\r\nb\u{202e}{}", "c".repeat(500)), Some(u64::MAX));
    let outcome = Redrive { remaining: 20, left: vec![hostile; 20], ..whole_redrive() };
    let message = redrive(&scene(), &outcome);
    assert_within_limits(&message);
    let listed = message.body.split("Left where they are, and why (the first 5):\n").nth(1).unwrap();
    assert_eq!(listed.matches("(18446744073709551615 bytes)").count(), 5, "{listed}");
    assert!(!listed.contains(&"k".repeat(201)) && !listed.contains(&"c".repeat(201)), "{listed}");
    assert!(listed.contains("\na b\nccc"), "{listed}");
}

#[test]
fn the_place_of_a_redrive_stays_one_word_of_its_commands() {
    let prefix = Some("elasticsearch-failed/it's $(reboot)".to_owned());
    let body = redrive(&scene(), &Redrive { remaining: 1, prefix, ..whole_redrive() }).body;
    for word in [
        r"'s3://emite-connect-backup-example/elasticsearch-failed/it'\''s $(reboot)'",
        r#"--input '{"mode":"apply","prefix":"elasticsearch-failed/it'\''s $(reboot)"}'"#,
    ] {
        assert!(body.contains(word), "{body}");
    }
}

/// What SNS takes, and what people can read.
fn assert_within_limits(message: &Message) {
    let subject = &message.subject;
    assert!(subject.len() <= 99 && subject.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{subject}");
    assert!(subject.starts_with('['), "{subject}");
    assert!(message.size() <= crate::outbox::LARGEST, "{} bytes", message.size());
    assert!(message.body.chars().all(|char| char == '\n' || !char.is_control()));
    assert!(!message.body.contains("\n\n\n"));
}

#[test]
fn the_limits_of_sns_hold_whatever_the_names_contain() {
    let mut scene = scene();
    for name in [
        "x".repeat(4000),
        "a\nSubject: b\r\n\u{0}".to_owned(),
        "\u{1F600} caf\u{e9} \u{202e}gnp".repeat(40),
        String::new(),
    ] {
        scene.spec.integration = name.clone();
        for mut finding in one_of_each() {
            for text in [&mut finding.summary, &mut finding.expected, &mut finding.observed, &mut finding.impact] {
                text.push_str(&name.repeat(3));
            }
            finding.remedy = name.clone();
            finding.resource.push_str(&name);
            finding.data_loss_at = Some(noon());
            let consequences = vec![name.as_str(); 200];
            let story = OpenEpisode { since: Timestamp::MIN, observed_at: noon(), consequences };
            for state in [MessageState::Opened, MessageState::Worsened, MessageState::Reminder] {
                assert_within_limits(&found(&scene, state, &finding, &story));
            }
        }
        let open: Vec<_> = vec![OpenFinding { severity: Severity::Warning, summary: &name, since: noon() }; 200];
        assert_within_limits(&open_findings(&scene, &open));
        let item = Item { name: name.clone(), value: name.clone(), verified: false, problem: Some(name.clone()) };
        let change = ItemChange { name: name.clone(), from: None, to: Some(name.clone()) };
        let long = Handover { items: vec![item; 8], changes: vec![change; 8], release: name.clone(), ..handover() };
        let long = Handover { not_included: vec![name.clone(); 3], ..long };
        assert_within_limits(&deployed(&scene, Some(&long)));
        assert_within_limits(&test(&scene, noon()));
        assert_within_limits(&redrive(&scene, &Redrive::default()));
    }
}

#[test]
fn commands_are_never_taken_from_what_a_report_says() {
    for finding in one_of_each() {
        let scene = scene_of(&finding.check);
        let hostile = Finding { resource: format!("{}$(reboot)", finding.resource), ..finding.clone() };
        let commands = offer::commands(&scene.spec, &hostile);
        assert!(!commands.is_empty(), "{}", hostile.check);
        for command in commands {
            assert!(!command.line.contains("reboot"), "{}", command.line);
            assert!(command.line.contains(" --region ap-southeast-2 "), "{}", command.line);
        }
    }
}
