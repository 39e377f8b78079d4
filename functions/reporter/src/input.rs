//! Owns the events that this function understands, and how the others are refused.
//!
//! A refusal lists everything that is wrong, in one message, and shows nothing of the event but its source and its
//! detail type. An event that is refused is an error of the invocation: Lambda tries again and then keeps it in the
//! dead-letter queue.

mod context;
mod error_name;
mod failure_record;
mod form;
mod mode;
mod redrive;

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use emite_core::handover::Handover;
use emite_core::report::{HANDOVER, HEALTH_REPORT, REDRIVE_REPORT, REPAIR_REPORT, Report, SOURCE};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::failure::Failure;
use crate::redrive::Redrive;
use crate::silence::{Silence, silenceable};
use crate::text::{ascii, stored};
pub(crate) use context::EventContext;
use form::{Form, Kind, Problems};
pub(crate) use mode::Mode;

/// An event that is understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    /// The health check looked.
    Health(Box<Report>),
    /// Repair looked after it had changed something; none if it only planned.
    Repair { after: Option<Box<Report>> },
    /// Failed records were sent to the domain again, or only counted.
    Redrive { id: String, mode: Mode, redrive: Box<Redrive> },
    /// The integration was deployed.
    Handover(Box<Handover>),
    /// The health check crashed, timed out or was not run.
    Failure(Failure),
    /// Somebody asks whether messages arrive.
    Test { id: String },
    /// Nothing is to be told of a check for a while; none: everything is, again.
    Silence { check: String, silence: Option<Silence> },
}

/// All that is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this event cannot be handled: {}", .0.join("; "))]
pub struct BadInput(pub(crate) Vec<String>);

impl Input {
    /// Understands an event.
    ///
    /// # Errors
    /// [`BadInput`] with everything that is wrong with it.
    pub(crate) fn read(payload: Value, known: &EventContext<'_>) -> Result<Self, BadInput> {
        let mut problems = Problems::default();
        let input = if payload.get("detail-type").is_some() || payload.get("source").is_some() {
            envelope(payload, known, &mut problems)
        } else if payload.get("requestContext").is_some() {
            failure_record::read(&payload, known, &mut problems).map(Self::Failure)
        } else if payload.get("test").is_some() {
            test(&payload, known, &mut problems)
        } else if payload.get("silence").is_some() {
            silence(&payload, known, &mut problems)
        } else {
            problems.add(
                "it is none that this function knows: an event of emite-connect from EventBridge, a failure record of \
                 Lambda, {\"test\":true}, or {\"silence\":{\"check\",\"until\",\"reason\"}}",
            );
            None
        };
        match (problems.finish(), input) {
            (problems, Some(input)) if problems.is_empty() => Ok(input),
            (problems, _) => Err(BadInput(problems)),
        }
    }
}

fn envelope(payload: Value, known: &EventContext<'_>, problems: &mut Problems) -> Option<Input> {
    let Ok(event) = serde_json::from_value::<EventBridgeEvent>(payload) else {
        problems
            .add("it is not an EventBridge event: source, detail-type, id and time must be texts, and detail be there");
        return None;
    };
    if event.source != SOURCE {
        problems.add(&format!("source is '{}': only events of {SOURCE} are handled", ascii(&event.source, 60)));
    }
    let form = match event.detail_type.as_str() {
        HEALTH_REPORT => form::REPORT,
        REPAIR_REPORT => form::REPAIR,
        REDRIVE_REPORT => form::REDRIVE,
        HANDOVER => form::HANDOVER,
        other => {
            let other = ascii(other, 60);
            problems.add(&format!(
                "detail-type is '{other}': must be one of {HEALTH_REPORT}, {REPAIR_REPORT}, {REDRIVE_REPORT}, {HANDOVER}"
            ));
            return None;
        }
    };
    if !of_this_stack("detail", form, &event.detail, known, problems) {
        return None;
    }
    match event.detail_type.as_str() {
        HEALTH_REPORT => report("detail", event.detail, known, problems).map(Input::Health),
        REPAIR_REPORT => repair(event.detail, known, problems),
        REDRIVE_REPORT => {
            let id = event.id.unwrap_or_else(|| known.request_id.to_owned());
            let applied = event.detail.get("mode").and_then(Value::as_str) == Some("apply");
            let mode = if applied { Mode::Apply } else { Mode::Plan };
            let redrive = Box::new(redrive::read(&event.detail, known.spec));
            Some(Input::Redrive { id: ascii(&id, 100), mode, redrive })
        }
        _ => handover(event.detail, problems),
    }
}

/// Whether `detail` has this form, in this version, and is of this stack.
fn of_this_stack(at: &str, form: Form, detail: &Value, known: &EventContext<'_>, problems: &mut Problems) -> bool {
    let before = problems.count();
    if !detail.is_object() {
        problems.add(&format!("{at} must be an object"));
        return false;
    }
    if detail.get("version").and_then(Value::as_u64) != Some(u64::from(emite_core::report::VERSION)) {
        problems.add(&format!(
            "{at}.version must be {}: bring all functions of the stack to the same release",
            emite_core::report::VERSION
        ));
        return false;
    }
    if detail.get("stackId").and_then(Value::as_str) != Some(known.spec.stack_id.to_string().as_str()) {
        problems.add(&format!("{at}.stackId must be {}, the one stack that this function serves", known.spec.stack_id));
    }
    form::check(at, form, detail, problems);
    problems.count() == before
}

fn report(at: &str, detail: Value, known: &EventContext<'_>, problems: &mut Problems) -> Option<Box<Report>> {
    const CLOCKS_DIFFER_BY: SignedDuration = SignedDuration::from_mins(5);
    let Ok(report) = serde_json::from_value::<Report>(detail) else {
        problems.add(&format!("{at} is not a health report of version {}", emite_core::report::VERSION));
        return None;
    };
    if report.checked_at > known.now + CLOCKS_DIFFER_BY {
        problems.add(&format!("{at}.checkedAt must not lie in the future"));
    }
    Some(Box::new(report))
}

fn repair(mut detail: Value, known: &EventContext<'_>, problems: &mut Problems) -> Option<Input> {
    let applied = detail.get("mode").and_then(Value::as_str) == Some("apply");
    let after = match detail.get_mut("after").map(Value::take) {
        // A plan has changed nothing: what it saw mends nothing.
        None | Some(Value::Null) => None,
        Some(_) if !applied => None,
        Some(after) => {
            if !of_this_stack("detail.after", form::REPORT, &after, known, problems) {
                return None;
            }
            Some(report("detail.after", after, known, problems)?)
        }
    };
    Some(Input::Repair { after })
}

/// A hand-over of a bounded size: it is kept, and has to fit into a mail.
fn handover(detail: Value, problems: &mut Problems) -> Option<Input> {
    for (list, most) in [("items", 8), ("changes", 8), ("notIncluded", 3)] {
        if detail[list].as_array().is_some_and(|entries| entries.len() > most) {
            problems.add(&format!("detail.{list} must have {most} entries at most"));
        }
    }
    for release in ["release", "previousRelease"] {
        if detail[release].as_str().is_some_and(|text| !is_printable(text, 100)) {
            problems.add(&format!("detail.{release} must be 1 to 100 printable characters"));
        }
    }
    let Ok(mut handover) = serde_json::from_value::<Handover>(detail) else {
        problems.add(&format!("detail is not a hand-over of version {}", emite_core::handover::VERSION));
        return None;
    };
    let bound = |text: &mut String, most| *text = stored(text, most);
    bound(&mut handover.document_uri, 1200);
    for item in &mut handover.items {
        bound(&mut item.name, 100);
        // A customer id has up to 1,224 characters, nothing else as many.
        bound(&mut item.value, 1224);
        item.problem.iter_mut().for_each(|problem| bound(problem, 400));
    }
    for change in &mut handover.changes {
        bound(&mut change.name, 100);
        change.from.iter_mut().chain(&mut change.to).for_each(|value| bound(value, 1224));
    }
    handover.not_included.iter_mut().for_each(|text| bound(text, 300));
    Some(Input::Handover(Box::new(handover)))
}

fn test(payload: &Value, known: &EventContext<'_>, problems: &mut Problems) -> Option<Input> {
    form::check("the event", &[("test", Kind::True)], payload, problems);
    form::only(payload, &["test"], "the event", problems);
    Some(Input::Test { id: known.request_id.to_owned() })
}

fn silence(payload: &Value, known: &EventContext<'_>, problems: &mut Problems) -> Option<Input> {
    let wish = payload.get("silence")?;
    form::only(payload, &["silence"], "the event", problems);
    form::only(wish, &["check", "until", "reason"], "silence", problems);
    let check = wish.get("check").and_then(Value::as_str).filter(|check| silenceable().contains(check));
    if check.is_none() {
        let names: Vec<_> = silenceable().into_iter().collect();
        problems.add(&format!("silence.check must be one of {}", names.join(", ")));
    }
    let silence = match wish.get("until") {
        Some(Value::Null) => None,
        until => Some(Silence { until: end(until, known, problems), reason: reason(wish, problems) }),
    };
    Some(Input::Silence { check: check?.to_owned(), silence })
}

/// When a silence ends.
fn end(until: Option<&Value>, known: &EventContext<'_>, problems: &mut Problems) -> Timestamp {
    const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
    let until = until.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    match until {
        Some(until) if until > known.now && until <= known.now + LONGEST => until,
        _ => {
            let example = known.now + SignedDuration::from_hours(24);
            problems.add(&format!(
                "silence.until must be a time in the next 7 days, such as {}, or null to hear of the check again",
                example.strftime("%Y-%m-%dT%H:%M:%SZ")
            ));
            known.now
        }
    }
}

fn reason(wish: &Value, problems: &mut Problems) -> String {
    let reason = wish.get("reason").and_then(Value::as_str).filter(|reason| is_printable(reason, 200));
    if reason.is_none() {
        problems.add("silence.reason must be 1 to 200 printable characters");
    }
    reason.unwrap_or_default().to_owned()
}

/// Whether `text` is 1 to `most` characters, none of which breaks a line or hides.
fn is_printable(text: &str, most: usize) -> bool {
    !text.is_empty() && text.chars().count() <= most && crate::text::clean(text, most) == text
}

#[cfg(test)]
mod tests;
