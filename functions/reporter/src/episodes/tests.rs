use emite_core::arn::Arn;
use emite_core::finding::{Finding, Severity, Status};
use emite_core::handover::Handover;
use emite_core::look::{Cause, Unseen};

use super::state::MOST_EPISODES;
use super::*;
use crate::failure::{Failure, FailureKind};
use crate::fixtures::{finding, handover, minutes, noon, report, scene};
use crate::message::MessageState;
use crate::silence::Silence;

const STREAM: &str = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/connect-agentevents";

/// The messages that are sent, event by event, after the one that the integration is deployed.
struct Told {
    state: State,
    now: Timestamp,
}

impl Told {
    /// After a first, good report a day before noon.
    fn start() -> Self {
        let mut told = Self { state: State::default(), now: noon() };
        assert_eq!(told.at(-1440, vec![]), ["deployed integration"]);
        told
    }

    /// The messages about a report so many minutes after noon.
    fn at(&mut self, after: i64, findings: Vec<Finding>) -> Vec<String> {
        self.now = noon() + minutes(after);
        self.take(&Input::Health(Box::new(report(minutes(after), findings))))
    }

    fn repaired(&mut self, after: i64, findings: Vec<Finding>) -> Vec<String> {
        self.now = noon() + minutes(after);
        self.take(&Input::Repair { after: Some(Box::new(report(minutes(after), findings))) })
    }

    fn take(&mut self, input: &Input) -> Vec<String> {
        self.state = step(std::mem::take(&mut self.state), input, self.now, &scene()).unwrap();
        let claimed = self.state.outbox.claim("me", self.now);
        let mut told = Vec::new();
        for waiting in claimed {
            self.state.outbox.mark(waiting.id, "me", self.now);
            told.push(format!("{} {}", waiting.message.state.name(), waiting.message.check));
        }
        told
    }

    fn silence(&mut self, check: &str, hours: i64) {
        let silence = Silence { until: self.now + minutes(60 * hours), reason: "x".to_owned() };
        assert!(self.take(&Input::Silence { check: check.to_owned(), silence: Some(silence) }).is_empty());
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

fn warning(check: &str) -> Vec<Finding> {
    vec![finding(check, Severity::Warning, STREAM)]
}

fn critical(check: &str) -> Vec<Finding> {
    vec![finding(check, Severity::Critical, STREAM)]
}

fn blind(check: &str) -> Vec<Finding> {
    vec![Finding { status: Status::Unobservable, ..finding(check, Severity::Info, STREAM) }]
}

fn deaf() -> Vec<Finding> {
    vec![Finding { status: Status::Missing, ..finding("alert-path", Severity::Warning, "topic") }]
}

#[test]
fn warning_opens_after_two_reports_and_resolves_after_two_good_ones() {
    let mut told = Told::start();
    assert_eq!(told.at(0, warning("iterator-age")), nothing());
    assert_eq!(told.at(5, warning("iterator-age")), ["opened iterator-age"]);
    assert_eq!(told.at(10, warning("iterator-age")), nothing());
    assert_eq!(told.at(15, vec![]), nothing());
    assert_eq!(told.at(20, vec![]), ["resolved iterator-age"]);
    assert_eq!(told.at(25, vec![]), nothing());
}

#[test]
fn reports_that_follow_too_soon_do_not_count_as_two() {
    let mut told = Told::start();
    assert_eq!(told.at(0, warning("iterator-age")), nothing());
    assert_eq!(told.at(3, warning("iterator-age")), nothing());
    assert_eq!(told.at(4, warning("iterator-age")), ["opened iterator-age"]);
    assert_eq!(told.at(5, vec![]), nothing());
    assert_eq!(told.at(6, vec![]), nothing());
    assert_eq!(told.at(9, vec![]), ["resolved iterator-age"]);
}

#[test]
fn critical_finding_opens_at_once_and_worsened_one_is_sent_at_once() {
    let mut told = Told::start();
    assert_eq!(told.at(0, critical("data-streaming")), ["opened data-streaming"]);
    assert_eq!(told.at(5, warning("iterator-age")), nothing());
    assert_eq!(told.at(10, warning("iterator-age")), ["opened iterator-age", "resolved data-streaming"]);
    assert_eq!(told.at(11, critical("iterator-age")), ["worsened iterator-age"]);
    assert_eq!(told.at(12, warning("iterator-age")), nothing());
    assert_eq!(told.at(13, critical("iterator-age")), nothing());
}

#[test]
fn finding_that_comes_and_goes_is_one_episode() {
    let mut told = Told::start();
    assert_eq!(told.at(0, critical("data-streaming")), ["opened data-streaming"]);
    assert_eq!(told.at(5, vec![]), nothing());
    assert_eq!(told.at(10, critical("data-streaming")), nothing());
    assert_eq!(told.at(15, vec![]), nothing());
    assert_eq!(told.at(20, vec![]), ["resolved data-streaming"]);
}

#[test]
fn open_episode_is_reminded_of_each_day() {
    let mut told = Told::start();
    assert_eq!(told.at(0, critical("data-streaming")), ["opened data-streaming"]);
    assert_eq!(told.at(1439, critical("data-streaming")), nothing());
    assert_eq!(told.at(1440, critical("data-streaming")), ["reminder data-streaming"]);
    assert_eq!(told.at(1445, critical("data-streaming")), nothing());
    assert_eq!(told.at(2880, critical("data-streaming")), ["reminder data-streaming"]);
}

#[test]
fn one_good_report_of_a_repair_resolves_and_its_findings_open() {
    let mut told = Told::start();
    assert_eq!(told.at(0, critical("data-streaming")), ["opened data-streaming"]);
    assert_eq!(told.repaired(2, critical("emite-role")), ["opened emite-role", "resolved data-streaming"]);
    assert_eq!(told.take(&Input::Repair { after: None }), nothing());
}

#[test]
fn finding_that_needs_no_action_sends_nothing() {
    let mut told = Told::start();
    for after in [0, 5, 10, 15] {
        assert_eq!(told.at(after, vec![finding("domain-access", Severity::Info, "x")]), nothing());
    }
}

#[test]
fn a_consequence_is_silent_and_its_open_episode_stands_still() {
    let mut told = Told::start();
    assert_eq!(told.at(0, critical("agent-event-flow")), ["opened agent-event-flow"]);
    let root = finding("data-streaming", Severity::Critical, "r");
    let follows = |check: &str| Finding { caused_by: Some(root.key()), ..finding(check, Severity::Critical, STREAM) };
    let both = || vec![root.clone(), follows("agent-event-flow"), follows("iterator-age")];
    assert_eq!(told.at(5, both()), ["opened data-streaming"]);
    for after in [10, 15] {
        assert_eq!(told.at(after, both()), nothing());
    }
    assert_eq!(told.at(1445, both()), ["reminder data-streaming"]);
    assert_eq!(told.at(1450, critical("agent-event-flow")), ["reminder agent-event-flow"]);
    assert_eq!(told.at(1455, vec![]), ["resolved data-streaming"]);
    assert_eq!(told.at(1460, vec![]), ["resolved agent-event-flow"]);
}

#[test]
fn unobservable_check_keeps_its_episodes_and_opens_after_half_an_hour() {
    let mut told = Told::start();
    assert_eq!(told.at(0, critical("search-domain")), ["opened search-domain"]);
    for after in [5, 10, 30] {
        assert_eq!(told.at(after, blind("search-domain")), nothing());
    }
    assert_eq!(told.at(35, blind("search-domain")), ["opened search-domain"]);
    assert_eq!(told.at(40, vec![]), nothing());
    assert_eq!(told.at(45, vec![]), ["resolved search-domain", "resolved search-domain"]);
}

#[test]
fn observation_in_between_restarts_the_half_hour() {
    let mut told = Told::start();
    assert_eq!(told.at(0, blind("emite-role")), nothing());
    assert_eq!(told.at(25, vec![]), nothing());
    assert_eq!(told.at(30, blind("emite-role")), nothing());
    assert_eq!(told.at(35, blind("emite-role")), nothing());
}

#[test]
fn episode_that_a_partly_blind_check_does_not_list_is_kept() {
    let mut told = Told::start();
    assert_eq!(told.at(0, vec![finding("search-domain", Severity::Critical, "d#storage")]), ["opened search-domain"]);
    let partly = || [blind("search-domain"), vec![finding("search-domain", Severity::Critical, "d#red")]].concat();
    assert_eq!(told.at(5, partly()), ["opened search-domain"]);
    assert_eq!(told.at(10, partly()), nothing());
    assert_eq!(told.at(15, partly()), nothing());
}

#[test]
fn old_and_repeated_reports_change_nothing() {
    let mut told = Told::start();
    assert_eq!(told.at(10, critical("data-streaming")), ["opened data-streaming"]);
    assert_eq!(told.at(10, vec![]), nothing());
    assert_eq!(told.at(5, critical("emite-role")), nothing());
    assert_eq!(told.at(15, vec![]), nothing());
    assert_eq!(told.at(15, vec![]), nothing());
    assert_eq!(told.at(20, vec![]), ["resolved data-streaming"]);
}

#[test]
fn first_subscriber_gets_the_handover_and_all_open_findings() {
    let mut told = Told::start();
    let streaming = || critical("data-streaming");
    assert_eq!(told.at(0, [streaming(), deaf()].concat()), ["opened data-streaming"]);
    assert_eq!(told.at(5, [streaming(), deaf()].concat()), ["opened alert-path"]);
    let unlisted = Unseen { action: "sns:ListSubscriptionsByTopic", cause: Cause::Throttled, request_id: None };
    let unlisted = [Finding::unobservable("alert-path", "topic", &unlisted)];
    assert_eq!(told.at(10, streaming().into_iter().chain(unlisted).collect()), nothing());
    assert_eq!(told.at(15, streaming()), ["deployed integration", "open-findings integration"]);
    assert_eq!(told.at(20, streaming()), nothing());
    assert_eq!(told.at(25, vec![]), nothing());
    assert_eq!(told.at(30, vec![]), ["resolved data-streaming"]);
}

#[test]
fn episode_that_ended_before_the_first_subscriber_sends_nothing() {
    let mut told = Told::start();
    assert_eq!(told.at(0, [critical("data-streaming"), deaf()].concat()), ["opened data-streaming"]);
    assert_eq!(told.at(5, vec![]), ["deployed integration"]);
    assert_eq!(told.at(10, vec![]), nothing());
}

#[test]
fn silenced_episode_opens_when_the_silence_ends() {
    let mut told = Told::start();
    told.now = noon();
    told.silence("data-streaming", 1);
    assert_eq!(told.at(1, critical("data-streaming")), nothing());
    assert_eq!(told.at(59, critical("data-streaming")), nothing());
    assert_eq!(told.at(60, critical("data-streaming")), ["opened data-streaming"]);
    told.silence("data-streaming", 24);
    assert_eq!(told.at(65, vec![]), nothing());
    assert_eq!(told.at(70, vec![]), ["resolved data-streaming"]);
    assert_eq!(told.at(75, critical("data-streaming")), nothing());
    assert_eq!(told.at(80, vec![]), nothing());
    assert_eq!(told.at(85, vec![]), nothing());
    assert_eq!(told.at(90, critical("data-streaming")), nothing());
    assert_eq!(told.take(&Input::Silence { check: "data-streaming".to_owned(), silence: None }), nothing());
    assert_eq!(told.at(95, critical("data-streaming")), ["opened data-streaming"]);
}

fn failure(after: i64) -> Input {
    let function: Arn = "arn:aws:lambda:ap-southeast-2:111122223333:function:health".parse().unwrap();
    let at = noon() + minutes(after);
    Input::Failure(Failure { at, due: at - minutes(3), function, kind: FailureKind::Crashed(None) })
}

#[test]
fn failed_health_check_opens_once_until_a_later_report_arrives() {
    let mut told = Told::start();
    assert_eq!(told.take(&failure(0)), ["opened health-check"]);
    assert_eq!(told.take(&failure(0)), nothing());
    assert_eq!(told.take(&failure(5)), nothing());
    assert_eq!(told.at(4, vec![]), nothing());
    assert_eq!(told.repaired(6, vec![]), nothing());
    assert_eq!(told.at(10, vec![]), ["resolved health-check"]);
    assert_eq!(told.take(&failure(7)), nothing(), "a report has arrived since");
}

#[test]
fn failed_run_before_a_later_report_sends_nothing() {
    let mut told = Told::start();
    assert_eq!(told.at(5, vec![]), nothing());
    assert_eq!(told.take(&failure(8)), nothing());
    assert_eq!(told.take(&failure(9)), ["opened health-check"]);
}

#[test]
fn episode_that_improved_is_worsened_again_after_its_reminder() {
    let mut told = Told::start();
    assert_eq!(told.at(0, critical("iterator-age")), ["opened iterator-age"]);
    assert_eq!(told.at(5, warning("iterator-age")), nothing());
    assert_eq!(told.at(10, critical("iterator-age")), nothing(), "it only wavers");
    assert_eq!(told.at(15, warning("iterator-age")), nothing());
    assert_eq!(told.at(1440, warning("iterator-age")), ["reminder iterator-age"]);
    assert_eq!(told.at(1445, critical("iterator-age")), ["worsened iterator-age"]);
}

#[test]
fn consequence_of_a_silenced_finding_opens_on_its_own() {
    let mut told = Told::start();
    told.now = noon();
    told.silence("search-domain", 24);
    let consequence = Finding {
        caused_by: Some("search-domain|r".to_owned()),
        ..finding("firehose-delivery", Severity::Critical, "r")
    };
    let found = || [critical("search-domain"), vec![consequence.clone()]].concat();
    assert_eq!(told.at(0, found()), ["opened firehose-delivery"]);
    assert_eq!(told.at(5, found()), nothing());
}

/// The sample's handover under another number.
fn handed_over(revision: u64) -> Input {
    Input::Handover(Box::new(Handover { revision, ..handover() }))
}

#[test]
fn handovers_tests_and_redrives_are_sent_once_each() {
    let mut told = Told::start();
    assert_eq!(told.take(&handed_over(1)), ["deployed integration"]);
    assert_eq!(told.take(&handed_over(1)), nothing());
    assert_eq!(told.take(&handed_over(3)), ["deployed integration"]);
    assert_eq!(told.take(&handed_over(2)), nothing(), "one that comes late is out of date");
    let test = || Input::Test { id: "t".to_owned() };
    assert_eq!(told.take(&test()), ["test test"]);
    assert_eq!(told.take(&test()), nothing());
    let redrive = |mode| Input::Redrive { id: "r".to_owned(), mode, redrive: Default::default() };
    assert_eq!(told.take(&redrive(Mode::Plan)), nothing());
    assert_eq!(told.take(&redrive(Mode::Apply)), ["redrive failed-records"]);
    assert_eq!(told.take(&redrive(Mode::Apply)), nothing());
}

#[test]
fn handover_before_the_first_report_is_sent_once() {
    let mut told = Told { state: State::default(), now: noon() };
    assert_eq!(told.take(&handed_over(1)), nothing(), "nobody may hear yet");
    assert_eq!(told.at(0, vec![]), ["deployed integration"]);
    assert_eq!(told.take(&handed_over(1)), nothing());
}

#[test]
fn first_subscriber_gets_the_last_handover_unchanged() {
    let mut told = Told { state: State::default(), now: noon() };
    told.take(&handed_over(1));
    told.at(0, deaf());
    told.at(5, deaf());
    told.take(&handed_over(7));
    told.now = noon() + minutes(10);
    let report = Input::Health(Box::new(report(minutes(10), vec![])));
    told.state = step(std::mem::take(&mut told.state), &report, told.now, &scene()).unwrap();
    let mails: Vec<_> = told.state.outbox.claim("me", told.now).into_iter().map(|waiting| waiting.message).collect();
    let [mail] = &mails[..] else { panic!("{mails:#?}") };
    assert!(
        mail.body.contains("Release: 0.2.0") && mail.body.contains("NOT VERIFIED: it could not be looked at"),
        "{mail:#?}"
    );
}

/// The worst that reports can do to the entry: as many episodes and messages as there may be, of the longest texts.
#[test]
fn entry_stays_small_and_what_does_not_fit_is_sent_later() {
    let mut state = State::default();
    let text = "\u{1F600}\"\\".repeat(1000);
    let long = |number: i64| Finding {
        summary: text.clone(),
        observed: text.clone(),
        remedy: text.clone(),
        ..finding("search-domain", Severity::Critical, &format!("{number}{text}"))
    };
    let mut opened = 0;
    for round in 0..60 {
        let now = noon() + minutes(round * 5);
        let input = Input::Health(Box::new(report(minutes(round * 5), (0..300).map(long).collect())));
        state = step(state, &input, now, &scene()).unwrap();
        let size = serde_json::to_string(&state).unwrap().len();
        assert!(size < 310_000, "{size} bytes: DynamoDB takes 409,600 at most");
        for waiting in state.outbox.claim("me", now) {
            opened += usize::from(waiting.message.state == MessageState::Opened);
            state.outbox.mark(waiting.id, "me", now);
        }
    }
    assert_eq!((state.episodes.len(), opened), (MOST_EPISODES, MOST_EPISODES));
}

#[test]
fn entry_of_an_older_form_is_read() {
    assert_eq!(serde_json::from_str::<State>("{}").unwrap(), State::default());
}

/// What a release stored that did not name parts.
const OLDER_ENTRY: &str = r#"{
    "checkedAt": "2026-11-24T01:00:00Z", "deployed": true, "handover": null, "unheard": false, "handled": ["t"],
    "silences": {"iterator-age": {"until": "2026-11-24T02:00:00Z", "reason": "x"}},
    "episodes": {
        "emite-role|arn:aws:iam::111122223333:role/emite-role#trust": {
            "status": "Incorrect", "severity": "Critical", "summary": "eMite cannot use its role.",
            "firstSeen": "2026-11-24T00:00:00Z", "lastSeen": "2026-11-24T01:00:00Z", "open": true, "goodSince": null,
            "told": "Critical", "toldAt": "2026-11-24T00:00:00Z"
        },
        "unobservable:search-domain|arn:aws:es:x:y:domain/z#es:DescribeDomain": {
            "status": "Unobservable", "severity": "Warning", "summary": "It could not look.",
            "firstSeen": "2026-11-24T00:00:00Z", "lastSeen": "2026-11-24T01:00:00Z", "open": true, "goodSince": null,
            "told": "Warning", "toldAt": "2026-11-24T00:30:00Z"
        }
    },
    "outbox": {"last": 7, "waiting": [{
        "id": 7, "episode": "emite-role|arn:aws:iam::111122223333:role/emite-role#trust",
        "message": {"state": "opened", "check": "emite-role", "severity": "Critical", "subject": "s", "body": "b"},
        "claim": {"by": "someone", "until": "2026-11-24T00:01:00Z"}
    }]}
}"#;

#[test]
fn entry_of_an_older_release_is_stored_again_unchanged() {
    let entry: serde_json::Value = serde_json::from_str(OLDER_ENTRY).unwrap();
    let mut told = Told { state: serde_json::from_str(OLDER_ENTRY).unwrap(), now: noon() };
    assert_eq!(serde_json::to_value(&told.state).unwrap(), entry);
    assert_eq!(told.at(5, vec![]), ["opened emite-role"], "it still waits");
    told.now = noon() + minutes(10);
    let good = Input::Health(Box::new(report(minutes(10), vec![])));
    told.state = step(std::mem::take(&mut told.state), &good, told.now, &scene()).unwrap();
    let subjects: Vec<_> = told.state.outbox.waiting().iter().map(|waiting| waiting.message.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "[Resolved] example-contact-centre: eMite cannot use its role",
            "[Resolved] example-contact-centre: the search domain cannot be checked",
        ]
    );
}

#[test]
fn title_of_a_resolved_episode_follows_its_part() {
    let mut told = Told::start();
    let quarantined = finding("failed-records", Severity::Critical, "arn:aws:s3:::bucket/quarantine/");
    told.at(0, vec![Finding { part: Some("quarantine".to_owned()), ..quarantined }]);
    told.at(5, vec![]);
    told.now = noon() + minutes(10);
    let good = Input::Health(Box::new(report(minutes(10), vec![])));
    told.state = step(std::mem::take(&mut told.state), &good, told.now, &scene()).unwrap();
    let [over] = told.state.outbox.waiting() else { panic!() };
    assert_eq!(over.message.subject, "[Resolved] example-contact-centre: contact records are in quarantine");
}
