//! Owns the mails: what an admin reads when something happens, in plain words.
//!
//! What AWS or a report says in free text is bounded and made printable first; commands come from [`emite_core`] alone.
//! Pure: no I/O, no clock. The limits are those of SNS
//! (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>): a subject of fewer than 100 characters, and far less
//! text than its 262,144 bytes.

use emite_core::checks::{self, health_check};
use emite_core::command::{self, Command};
use emite_core::finding::{Finding, Severity, Status, Subject};
use emite_core::handover::{self as item, Handover};
use emite_core::offer::{self, RepairOffer};
use emite_core::spec::Spec;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::episodes::Scene;
use crate::input::Redrive;
use crate::text::{ascii, stored, wrapped};

/// What a message says of what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum News {
    Opened,
    Worsened,
    Reminder,
    Resolved,
    OpenFindings,
    Deployed,
    Redrive,
    Test,
}

impl News {
    /// The value of the message attribute `state`, for the filters of subscriptions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worsened => "worsened",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::OpenFindings => "open-findings",
            Self::Deployed => "deployed",
            Self::Redrive => "redrive",
            Self::Test => "test",
        }
    }
}

/// A message, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) state: News,
    pub(crate) check: String,
    pub(crate) severity: Severity,
    pub(crate) subject: String,
    pub(crate) body: String,
}

impl Message {
    /// The bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.check.len() + self.subject.len() + self.body.len()
    }
}

/// The value of the message attribute `severity`.
pub(crate) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    }
}

/// The check of messages that are about the whole.
const INTEGRATION: &str = "integration";
const SUBJECT: usize = 99;

/// What is known of an open episode apart from its finding.
#[derive(Clone, Debug)]
pub(crate) struct Story<'a> {
    /// When it was first seen.
    pub(crate) since: Timestamp,
    /// The time of the report that this is told from.
    pub(crate) at: Timestamp,
    /// The summaries of what follows from it.
    pub(crate) consequences: Vec<&'a str>,
}

/// The message that `finding` is there: now, worse, or still.
pub(crate) fn found(scene: &Scene, state: News, finding: &Finding, story: &Story<'_>) -> Message {
    let spec = &scene.spec;
    let tag = if state == News::Reminder { "Reminder" } else { severity_name(finding.severity) };
    let title = checks::title(finding.subject());
    let mut body = Body::default();
    match state {
        News::Worsened => body.paragraph("This has become worse, and is critical now."),
        News::Reminder => body.paragraph("This is still so. You get this reminder once a day until it is mended."),
        _ => {}
    }
    body.paragraph(&stored(&finding.summary, 600));
    body.facts(&[
        ("Integration", &spec.integration),
        ("Since", &moment(spec, story.since)),
        ("How urgent", urgency(finding)),
    ]);
    body.facts(&[("Expected", &finding.expected), ("Seen", &finding.observed), ("About", &finding.resource)]);
    let loss = finding
        .data_loss_at
        .map_or(String::new(), |loss| checks::loss(finding.subject(), &moment(spec, loss), loss <= story.at));
    body.facts(&[("What it costs", &finding.impact), ("Time left", &loss)]);
    let remedy = match RepairOffer::of(finding.repair.as_ref()) {
        RepairOffer::ByHand => finding.remedy.clone(),
        RepairOffer::Repair => format!("Run the repair below. Or by hand: {}", finding.remedy),
        RepairOffer::Interruption | RepairOffer::Replacement => {
            format!("Look what is there now, then run the repair below. Or by hand: {}", finding.remedy)
        }
    };
    body.facts(&[("What to do", &remedy)]);
    body.commands(&offer::commands(spec, finding));
    body.list("Follows from this:", &story.consequences);
    body.paragraph("To look again now, paste this into AWS CloudShell:");
    body.command(&command::check_now(spec));
    let muted = format!("To hear nothing more of the check {} for a day, while somebody works on it:", finding.check);
    body.paragraph(&stored(&muted, 200));
    body.command(&command::silence(spec, &scene.function, &finding.check));
    message(spec, state, (&finding.check, finding.severity), (tag, title), body)
}

/// What a closed episode was about.
#[derive(Clone, Debug)]
pub(crate) struct Closed<'a> {
    pub(crate) subject: Subject<'a>,
    pub(crate) severity: Severity,
    pub(crate) summary: &'a str,
    pub(crate) since: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) by_repair: bool,
    /// Something of it is left that nobody has to act on.
    pub(crate) lesser: bool,
}

/// The message that it is over.
pub(crate) fn resolved(scene: &Scene, closed: &Closed<'_>) -> Message {
    let spec = &scene.spec;
    let title = checks::title(closed.subject);
    let mut body = Body::default();
    body.paragraph(if closed.by_repair {
        "This is over: a repair looked again, and it is as it should be."
    } else if closed.subject.status == Status::Unobservable {
        "This is over: the check can look again."
    } else if closed.lesser {
        "Nobody has to act on this any more, although it is not quite as it was set up."
    } else if closed.subject.check == health_check::CHECK.name {
        "This is over: a health report has arrived again."
    } else {
        "This is over: the check has found it as it should be, twice."
    });
    body.paragraph(&format!("It was: {}", stored(closed.summary, 600)));
    body.facts(&[
        ("Integration", &spec.integration),
        ("From", &moment(spec, closed.since)),
        ("To", &moment(spec, closed.at)),
        ("About", closed.subject.resource),
    ]);
    body.paragraph("There is nothing to do.");
    message(spec, News::Resolved, (closed.subject.check, closed.severity), ("Resolved", title), body)
}

/// One line of the message of all that is open.
#[derive(Clone, Debug)]
pub(crate) struct Open<'a> {
    pub(crate) severity: Severity,
    pub(crate) summary: &'a str,
    pub(crate) since: Timestamp,
}

/// The message of all that is open, for people who have heard of none of it.
pub(crate) fn open_findings(scene: &Scene, open: &[Open<'_>]) -> Message {
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
    body.list("", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    body.paragraph("To see each of them in full, paste this into AWS CloudShell:");
    body.command(&command::check_now(spec));
    let worst = open.iter().map(|one| one.severity).max().unwrap_or(Severity::Info);
    let title = match open.len() {
        1 => "one thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    };
    message(spec, News::OpenFindings, (INTEGRATION, worst), (severity_name(worst), &title), body)
}

/// The message that the integration is deployed, with what the eMite team needs: as it was handed over, or as the stack was
/// asked for as long as nothing was.
pub(crate) fn deployed(scene: &Scene, handover: Option<&Handover>) -> Message {
    let spec = &scene.spec;
    let mut body = Body::default();
    let all_is_verified = handover.is_none_or(|handover| handover.unverified().next().is_none());
    if !all_is_verified {
        body.paragraph(
            "Not everything that the eMite team needs could be verified. Settle what is marked below before you send it.",
        );
    }
    body.paragraph(&format!(
        "The integration of {} with eMite is deployed, and is looked after from now on.",
        stored(&spec.integration, 200)
    ));
    match handover {
        Some(handover) => handed_over(&mut body, spec, handover),
        None => asked_for(&mut body, spec),
    }
    body.paragraph(&format!(
        "Every link between Amazon Connect and eMite is checked every {} minutes. You get one message when something \
         breaks, one when it is over, and a reminder once a day in between. No message means that all is well.",
        spec.interval.as_mins()
    ));
    body.paragraph("To look now, paste this into AWS CloudShell:");
    body.command(&command::check_now(spec));
    let (severity, title) = match all_is_verified {
        true => (Severity::Info, "integration deployed"),
        false => (Severity::Warning, "integration deployed, but not all of it is verified"),
    };
    message(spec, News::Deployed, (INTEGRATION, severity), ("Deployed", title), body)
}

fn handed_over(body: &mut Body, spec: &Spec, handover: &Handover) {
    let before = handover.previous_release.as_deref().filter(|before| *before != handover.release).unwrap_or_default();
    body.facts(&[("Release", &handover.release), ("Release before", before)]);
    let when = moment(spec, handover.written_at);
    body.paragraph(&format!(
        "Please send this to the eMite team. Unless marked, each was verified in your account on {when}:"
    ));
    for item in &handover.items {
        body.line(&stored(&item.name, 100), &stored(&item.value, 1224));
        if !item.verified {
            let why = stored(item.problem.as_deref().unwrap_or("nobody knows why"), 240);
            body.line("  NOT VERIFIED", &why);
        }
    }
    body.end();
    if handover.previous_release.is_some() {
        let value = |value: &Option<String>| stored(value.as_deref().unwrap_or("nothing"), 180);
        let lines: Vec<String> = handover
            .changes
            .iter()
            .map(|change| {
                format!("{}: from {} to {}", stored(&change.name, 60), value(&change.from), value(&change.to))
            })
            .collect();
        if lines.is_empty() {
            body.paragraph("None of these values has changed since you were told last.");
        }
        body.list("What has changed since you were told last:", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }
    body.list("Deliberately not in it:", &handover.not_included.iter().map(String::as_str).collect::<Vec<_>>());
    body.paragraph("The same is stored, encrypted, as a document in your bucket. This command prints it:");
    body.command(&command::handover(spec));
}

fn asked_for(body: &mut Body, spec: &Spec) {
    body.paragraph("Please send this to the eMite team:");
    if let Some(server) = &spec.server {
        body.line(item::SERVER, &server.address.to_string());
    }
    body.line(item::ROLE, &spec.emite_role.to_string());
    if let Some(emite) = &spec.emite {
        body.line(item::EXTERNAL_ID, &emite.customer_id);
    }
    body.line(item::INSTANCE, &spec.instance_arn.to_string());
    body.line(item::AGENT_EVENTS, &spec.agent_event_stream.to_string());
    body.line(item::SEARCH_ENDPOINT, &spec.search_endpoint);
    body.line(item::TIME_ZONE, spec.time_zone.iana_name().unwrap_or("UTC"));
    body.end();
    body.list("Deliberately not in it:", &[item::left_out(spec.server.is_some())]);
}

/// The message that shows whether messages arrive.
pub(crate) fn test(scene: &Scene, now: Timestamp) -> Message {
    let spec = &scene.spec;
    let mut body = Body::default();
    body.paragraph(
        "This is a test, and nothing is wrong: somebody asked whether messages of emite-connect arrive here.",
    );
    body.facts(&[("Integration", &spec.integration), ("Sent", &moment(spec, now))]);
    body.paragraph("To look at the integration now, paste this into AWS CloudShell:");
    body.command(&command::check_now(spec));
    message(spec, News::Test, ("test", Severity::Info), ("Test", "this is a test message"), body)
}

/// The message of what a redrive came to.
pub(crate) fn redrive(scene: &Scene, redrive: &Redrive) -> Message {
    let spec = &scene.spec;
    let (severity, title, next) = if redrive.is_incomplete() {
        let title = match redrive.remaining {
            0 => "failed records may be left",
            _ => "some failed records are left",
        };
        let next = "What is left stays where it is, and nothing of it is lost. Run the redrive again once the cause is mended.";
        (Severity::Warning, title, next)
    } else if redrive.quarantined > 0 {
        let next = "What is in quarantine is kept there for a year, and nothing of it is lost: its cause has to be mended first.";
        (Severity::Warning, "some failed records are in quarantine", next)
    } else if redrive.records == 0 {
        (Severity::Info, "there were no failed records", "There is nothing to do.")
    } else {
        (Severity::Info, "failed records are in the domain now", "There is nothing to do.")
    };
    let mut body = Body::default();
    outcome(&mut body, spec, redrive);
    body.paragraph(next);
    if redrive.is_incomplete() {
        let prefix = redrive.prefix.clone().unwrap_or_else(|| spec.failed_prefix.clone());
        body.commands(&command::redrive(spec, &prefix));
    } else if redrive.quarantined > 0 {
        body.commands(&command::redrive(spec, &spec.quarantine_prefix()));
    }
    message(spec, News::Redrive, ("failed-records", severity), ("Redrive", title), body)
}

fn outcome(body: &mut Body, spec: &Spec, redrive: &Redrive) {
    body.paragraph(&match (redrive.records, redrive.is_incomplete()) {
        (0, false) => "There were no failed records to send, in the place and the time that were asked for.".to_owned(),
        (0, true) => "As far as is known, no failed records were sent to the search domain.".to_owned(),
        (records, _) => format!(
            "Records that had failed were sent to the search domain again: {} of {records} are there now.",
            redrive.indexed.saturating_add(redrive.already_present),
        ),
    });
    let time = |at: Option<Timestamp>| at.map_or(String::new(), |at| moment(spec, at));
    let failed_batches = if redrive.failed_batches > 0 { redrive.failed_batches.to_string() } else { String::new() };
    body.facts(&[
        ("Integration", &spec.integration),
        ("Looked in", redrive.prefix.as_deref().unwrap_or_default()),
        ("Objects read", &redrive.objects.to_string()),
        ("Records read", &redrive.records.to_string()),
        ("Written now", &redrive.indexed.to_string()),
        ("Already there", &redrive.already_present.to_string()),
        ("Refused for good, put aside in quarantine", &redrive.quarantined.to_string()),
        ("Objects that are left for another time", &remaining(redrive)),
        ("Batches of objects that came to nothing", &failed_batches),
        ("Stopped early, as the domain answered", redrive.stopped.as_deref().unwrap_or_default()),
        ("Ended early with the error", redrive.error.as_deref().unwrap_or_default()),
        ("Oldest record", &time(redrive.oldest)),
        ("Newest record", &time(redrive.newest)),
    ]);
    let kinds: Vec<String> = redrive.by_error.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    body.list("By kind of error (status/type: records):", &kinds.iter().map(String::as_str).collect::<Vec<_>>());
    left(body, redrive);
}

/// How many objects are left: those of a batch that came to nothing, and those that were never reached, are not counted.
fn remaining(redrive: &Redrive) -> String {
    let is_cut_short = redrive.failed_batches > 0 || redrive.error.is_some();
    match (is_cut_short, redrive.remaining) {
        (false, count) => count.to_string(),
        (true, 0) => "not known".to_owned(),
        (true, count) => format!("at least {count}"),
    }
}

fn left(body: &mut Body, redrive: &Redrive) {
    const MOST: usize = 5;
    let lines: Vec<String> = redrive
        .left
        .iter()
        .take(MOST)
        .map(|left| {
            let size = left.size.map_or(String::new(), |size| format!(" ({size} bytes)"));
            format!("{}: {}{size}", stored(&left.key, 200), stored(&left.cause, 200))
        })
        .collect();
    let title = if redrive.left.len() > MOST {
        "Left where they are, and why (the first 5):"
    } else {
        "Left where they are, and why:"
    };
    body.list(title, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

fn message(
    spec: &Spec,
    state: News,
    (check, severity): (&str, Severity),
    (tag, title): (&str, &str),
    body: Body,
) -> Message {
    let integration = ascii(&spec.integration, 40);
    Message {
        state,
        check: check.to_owned(),
        severity,
        subject: ascii(&format!("[{tag}] {integration}: {title}"), SUBJECT),
        body: body.text(&spec.integration),
    }
}

fn urgency(finding: &Finding) -> &'static str {
    match (finding.severity, finding.data_loss_at) {
        (Severity::Info, _) => "nobody has to act",
        (Severity::Warning, _) => "somebody should act within days",
        (Severity::Critical, None) => "somebody should act now",
        (Severity::Critical, Some(_)) => "somebody should act now: records are being lost, or soon will be",
    }
}

/// A time as the customer's clocks show it, and in UTC.
fn moment(spec: &Spec, at: Timestamp) -> String {
    let zone = spec.time_zone.iana_name().unwrap_or("UTC");
    let local = at.to_zoned(spec.time_zone.clone()).strftime("%A %-d %B %Y, %H:%M").to_string();
    format!("{local} {zone} ({} UTC)", at.strftime("%Y-%m-%d %H:%M"))
}

/// The text of a mail while it is written.
#[derive(Debug, Default)]
struct Body(String);

impl Body {
    fn paragraph(&mut self, text: &str) {
        self.0.push_str(&wrapped(text));
        self.end();
    }

    /// Names and values, one a line; what has no value is left out.
    fn facts(&mut self, facts: &[(&str, &str)]) {
        for (name, value) in facts {
            let value = stored(value, 900);
            if !value.is_empty() {
                self.0.push_str(&wrapped(&format!("{name}: {value}")));
                self.0.push('\n');
            }
        }
        self.end();
    }

    /// A value to be copied: on one line, whatever its length.
    fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name}: {}\n", stored(value, 2048)));
    }

    fn command(&mut self, line: &str) {
        self.0.push_str(line);
        self.end();
    }

    fn commands(&mut self, commands: &[Command]) {
        for command in commands {
            self.paragraph(command.does);
            self.command(&command.line);
        }
    }

    fn list(&mut self, title: &str, entries: &[&str]) {
        const MOST: usize = 12;
        if entries.is_empty() {
            return;
        }
        if !title.is_empty() {
            self.0.push_str(title);
            self.0.push('\n');
        }
        for entry in entries.iter().take(MOST) {
            self.0.push_str(&wrapped(&format!("- {}", stored(entry, 440))));
            self.0.push('\n');
        }
        if entries.len() > MOST {
            self.0.push_str(&format!("- and {} more\n", entries.len() - MOST));
        }
        self.end();
    }

    /// Ends a paragraph; one empty line follows, never two.
    fn end(&mut self) {
        while self.0.ends_with('\n') {
            self.0.pop();
        }
        if !self.0.is_empty() {
            self.0.push_str("\n\n");
        }
    }

    fn text(mut self, integration: &str) -> String {
        self.paragraph(&format!(
            "-- emite-connect, which watches the integration of {} with eMite",
            stored(integration, 200)
        ));
        self.0.truncate(self.0.trim_end().len());
        self.0.push('\n');
        self.0
    }
}

#[cfg(test)]
mod tests;
