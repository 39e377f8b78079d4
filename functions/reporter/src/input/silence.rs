//! Owns reading what people ask for: that a check is silenced. A refusal lists everything that is wrong with it.

use emite_core::problems::Problems;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::context::EventContext;
use super::problems::{BadInput, add_unless_only, unless_any};
use crate::silence::{Silence, silenceable};
use crate::text::is_printable;

/// The longest silence.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most characters of a reason.
const MOST_REASON: usize = 200;

/// Reads the check and its silence; none ends it.
pub(super) fn read(payload: &Value, context: &EventContext<'_>) -> Result<(String, Option<Silence>), BadInput> {
    let request = payload.get("silence").unwrap_or(&Value::Null);
    let mut problems = Problems::default();
    add_unless_only(&mut problems, payload, "the event", &["silence"]);
    add_unless_only(&mut problems, request, "silence", &["check", "until", "reason"]);
    let check = check(request, &mut problems);
    let silence = match request.get("until") {
        Some(Value::Null) => None,
        until => {
            Some(Silence { until: end(until, context.now, &mut problems), reason: reason(request, &mut problems) })
        }
    };
    unless_any(problems, (check, silence))
}

fn check(request: &Value, problems: &mut Problems) -> String {
    let check = request.get("check").and_then(Value::as_str).filter(|check| silenceable().contains(check));
    if check.is_none() {
        let names: Vec<_> = silenceable().into_iter().collect();
        problems.add(format!("silence.check must be one of {}", names.join(", ")));
    }
    check.unwrap_or_default().to_owned()
}

fn end(until: Option<&Value>, now: Timestamp, problems: &mut Problems) -> Timestamp {
    let until = until.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    match until {
        Some(until) if until > now && until <= now + LONGEST => until,
        _ => {
            let example = (now + SignedDuration::from_hours(24)).strftime("%Y-%m-%dT%H:%M:%SZ");
            problems.add(format!(
                "silence.until must be a time in the next 7 days, such as {example}, or null to hear of the check again"
            ));
            now
        }
    }
}

fn reason(request: &Value, problems: &mut Problems) -> String {
    let reason = request.get("reason").and_then(Value::as_str).filter(|reason| is_printable(reason, MOST_REASON));
    if reason.is_none() {
        problems.add(format!("silence.reason must be 1 to {MOST_REASON} printable characters"));
    }
    reason.unwrap_or_default().to_owned()
}
