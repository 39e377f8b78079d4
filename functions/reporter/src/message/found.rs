//! Owns the messages about findings: one that is there, one that is over, and all that are open.

use emite_core::finding::{Finding, Severity, Subject};
use emite_core::offer::{self, RepairOffer};
use emite_core::{checks, command};
use jiff::Timestamp;

use super::body::{Body, moment};
use super::envelope::{Heading, INTEGRATION, Message, MessageState, severity_name};
use crate::scene::Scene;
use crate::text::stored;

/// What is known of an open episode apart from its finding.
#[derive(Clone, Debug)]
pub(crate) struct OpenEpisode<'a> {
    /// When it was first observed.
    pub(crate) since: Timestamp,
    /// The time of the report that lists it now.
    pub(crate) observed_at: Timestamp,
    /// The summaries of what follows from it.
    pub(crate) consequences: Vec<&'a str>,
}

/// The message about an open episode: that it is new, worse, or still open.
pub(crate) fn found(scene: &Scene, state: MessageState, finding: &Finding, episode: &OpenEpisode<'_>) -> Message {
    let spec = &scene.spec;
    let mut body = Body::default();
    match state {
        MessageState::Worsened => body.paragraph("This has become worse, and is critical now."),
        MessageState::Reminder => {
            body.paragraph("This is still so. You get this reminder once a day until it is mended.");
        }
        _ => {}
    }
    body.paragraph(&stored(&finding.summary, 600));
    body.facts(&[
        ("Integration", &spec.integration),
        ("Since", &moment(spec, episode.since)),
        ("How urgent", urgency(finding)),
    ]);
    body.facts(&[("Expected", &finding.expected), ("Seen", &finding.observed), ("About", &finding.resource)]);
    let loss = |from| checks::loss(finding.subject(), &moment(spec, from), from <= episode.observed_at);
    let loss = finding.data_loss_at.map(loss).unwrap_or_default();
    body.facts(&[("What it costs", &finding.impact), ("Time left", &loss)]);
    body.facts(&[("What to do", &what_to_do(finding))]);
    body.commands(&offer::commands(spec, finding));
    body.list("Follows from this:", &episode.consequences);
    next_steps(&mut body, scene, finding);
    let tag = if state == MessageState::Reminder { "Reminder" } else { severity_name(finding.severity) };
    let title = checks::title(finding.subject());
    Heading { state, check: &finding.check, severity: finding.severity, tag, title }.message(spec, body)
}

fn urgency(finding: &Finding) -> &'static str {
    match (finding.severity, finding.data_loss_at) {
        (Severity::Info, _) => "nobody has to act",
        (Severity::Warning, _) => "somebody should act within days",
        (Severity::Critical, None) => "somebody should act now",
        (Severity::Critical, Some(_)) => "somebody should act now: records are being lost, or soon will be",
    }
}

fn what_to_do(finding: &Finding) -> String {
    let remedy = &finding.remedy;
    match RepairOffer::of(finding.repair.as_ref()) {
        RepairOffer::ByHand => remedy.clone(),
        RepairOffer::Repair => format!("Run the repair below. Or by hand: {remedy}"),
        RepairOffer::Interruption | RepairOffer::Replacement => {
            format!("Look what is there now, then run the repair below. Or by hand: {remedy}")
        }
    }
}

fn next_steps(body: &mut Body, scene: &Scene, finding: &Finding) {
    body.paragraph("To look again now, paste this into AWS CloudShell:");
    body.command(&command::check_now(&scene.spec));
    let silences =
        format!("To hear nothing more of the check {} for a day, while somebody works on it:", finding.check);
    body.paragraph(&stored(&silences, 200));
    body.command(&command::silence(&scene.spec, &scene.function, &finding.check));
}

/// An episode that is over.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedEpisode<'a> {
    pub(crate) subject: Subject<'a>,
    pub(crate) severity: Severity,
    pub(crate) summary: &'a str,
    pub(crate) since: Timestamp,
    /// When it was over.
    pub(crate) until: Timestamp,
    pub(crate) resolution: Resolution,
}

/// What shows that an episode is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// A repair checked after it had changed something.
    Repaired,
    /// The check can observe again what it could not.
    Observed,
    /// What is left needs no action.
    Lesser,
    /// The health check, which had failed, has sent a report.
    Reported,
    /// Two reports in a row do not list it.
    Healthy,
}

/// The message that an episode is over.
pub(crate) fn resolved(scene: &Scene, episode: &ResolvedEpisode<'_>) -> Message {
    let spec = &scene.spec;
    let mut body = Body::default();
    body.paragraph(match episode.resolution {
        Resolution::Repaired => "This is over: a repair looked again, and it is as it should be.",
        Resolution::Observed => "This is over: the check can look again.",
        Resolution::Lesser => "Nobody has to act on this any more, although it is not quite as it was set up.",
        Resolution::Reported => "This is over: a health report has arrived again.",
        Resolution::Healthy => "This is over: the check has found it as it should be, twice.",
    });
    body.paragraph(&format!("It was: {}", stored(episode.summary, 600)));
    body.facts(&[
        ("Integration", &spec.integration),
        ("From", &moment(spec, episode.since)),
        ("To", &moment(spec, episode.until)),
        ("About", episode.subject.resource),
    ]);
    body.paragraph("There is nothing to do.");
    let (state, title) = (MessageState::Resolved, checks::title(episode.subject));
    let heading = Heading { state, check: episode.subject.check, severity: episode.severity, tag: "Resolved", title };
    heading.message(spec, body)
}

/// One line of the message of all that is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenFinding<'a> {
    pub(crate) severity: Severity,
    pub(crate) summary: &'a str,
    pub(crate) since: Timestamp,
}

/// The message of all that is open, for people who have received none of them.
pub(crate) fn open_findings(scene: &Scene, open: &[OpenFinding<'_>]) -> Message {
    let spec = &scene.spec;
    let mut body = Body::default();
    body.paragraph("Nobody was subscribed to these messages until now. This is what is wrong at present:");
    let lines: Vec<String> = open
        .iter()
        .map(|one| {
            let since = moment(spec, one.since);
            format!("{}: {} (since {since})", severity_name(one.severity), stored(one.summary, 240))
        })
        .collect();
    body.list("", &lines);
    body.paragraph("To see each of them in full, paste this into AWS CloudShell:");
    body.command(&command::check_now(spec));
    let worst = open.iter().map(|one| one.severity).max().unwrap_or(Severity::Info);
    let title = match open.len() {
        1 => "one thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    };
    let (state, check, tag) = (MessageState::OpenFindings, INTEGRATION, severity_name(worst));
    Heading { state, check, severity: worst, tag, title: &title }.message(spec, body)
}
