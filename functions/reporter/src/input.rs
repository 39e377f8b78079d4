//! Owns the events that this function understands, and how the others are refused.
//!
//! A refusal shows no value of the event but its source and its detail type. Of an event of another program it names the
//! place of the first thing that cannot be read; of what people ask for it lists everything that is wrong. An event that
//! is refused is an error of the invocation: Lambda tries again and then keeps it in the dead-letter queue.

mod context;
mod error_name;
mod failure_record;
mod handover;
mod mode;
mod problems;
mod redrive;
mod repair;
mod report;
mod silence;
mod typed;

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use emite_core::handover::Handover;
use emite_core::problems::Problems;
use emite_core::report::{HANDOVER, HEALTH_REPORT, REDRIVE_REPORT, REPAIR_REPORT, Report, SOURCE};
use serde_json::Value;

use crate::failure::Failure;
use crate::redrive::Redrive;
use crate::silence::Silence;
use crate::text::ascii;
pub(crate) use context::EventContext;
pub(crate) use mode::Mode;
pub(crate) use problems::BadInput;
use problems::{add_unless_only, unless_any};

/// An event that is understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    /// The health check has sent a report.
    Health(Box<Report>),
    /// A repair has checked again after it had changed something; none if it only planned.
    Repair { after: Option<Box<Report>> },
    /// Failed records were sent to the domain again, or only counted.
    Redrive { id: String, mode: Mode, redrive: Box<Redrive> },
    /// The integration was deployed.
    Handover(Box<Handover>),
    /// The health check crashed, timed out or was not run.
    Failure(Failure),
    /// A user asks whether messages arrive.
    Test { id: String },
    /// No message is to be sent about a check for a while; none: messages are sent again.
    Silence { check: String, silence: Option<Silence> },
}

impl Input {
    /// Understands an event.
    ///
    /// # Errors
    /// [`BadInput`] with what is wrong with it.
    pub(crate) fn read(payload: Value, context: &EventContext<'_>) -> Result<Self, BadInput> {
        if payload.get("detail-type").is_some() || payload.get("source").is_some() {
            event(payload, context)
        } else if payload.get("requestContext").is_some() {
            failure_record::read(payload, context).map(Self::Failure)
        } else if payload.get("test").is_some() {
            test(&payload, context)
        } else if payload.get("silence").is_some() {
            silence::read(&payload, context).map(|(check, silence)| Self::Silence { check, silence })
        } else {
            Err("it is none that this function knows: an event of emite-connect from EventBridge, a failure record of \
                 Lambda, {\"test\":true}, or {\"silence\":{\"check\",\"until\",\"reason\"}}"
                .to_owned()
                .into())
        }
    }
}

fn event(payload: Value, context: &EventContext<'_>) -> Result<Input, BadInput> {
    const TYPES: [&str; 4] = [HEALTH_REPORT, REPAIR_REPORT, REDRIVE_REPORT, HANDOVER];
    let event: EventBridgeEvent = serde_json::from_value(payload).map_err(|_| {
        "it is not an EventBridge event: source, detail-type, id and time must be texts, and detail be there".to_owned()
    })?;
    let mut problems = Problems::default();
    if event.source != SOURCE {
        problems.add(format!("source is '{}': only events of {SOURCE} are handled", ascii(&event.source, 60)));
    }
    if !TYPES.contains(&event.detail_type.as_str()) {
        let other = ascii(&event.detail_type, 60);
        problems.add(format!("detail-type is '{other}': must be one of {}", TYPES.join(", ")));
    }
    unless_any(problems, ())?;
    match event.detail_type.as_str() {
        HEALTH_REPORT => report::read("detail", event.detail, context).map(Box::new).map(Input::Health),
        REPAIR_REPORT => repair::read(event.detail, context).map(|after| Input::Repair { after: after.map(Box::new) }),
        REDRIVE_REPORT => {
            let id = ascii(event.id.as_deref().unwrap_or(context.request_id), 100);
            let (mode, redrive) = redrive::read(event.detail, context)?;
            Ok(Input::Redrive { id, mode, redrive: Box::new(redrive) })
        }
        _ => handover::read(event.detail, context).map(Box::new).map(Input::Handover),
    }
}

fn test(payload: &Value, context: &EventContext<'_>) -> Result<Input, BadInput> {
    let mut problems = Problems::default();
    if payload.get("test") != Some(&Value::Bool(true)) {
        problems.add("test must be true");
    }
    add_unless_only(&mut problems, payload, "the event", &["test"]);
    unless_any(problems, Input::Test { id: context.request_id.to_owned() })
}

#[cfg(test)]
mod tests;
