//! Owns what a message offers about a finding: the commands, in the order in which to run them.

use crate::change::PlannedChange;
use crate::checks;
use crate::command::{Command, RepairMode, health_check_role, repair};
use crate::finding::{Finding, Status};
use crate::look::Cause;
use crate::spec::Spec;

const REPAIRS: &str = "This command mends it, and shows that it did:";
const PLANS: &str = "This command shows what a repair would change, and changes nothing:";
const INTERRUPTS: &str = "This one mends it, in all that the plan lists. Run it if nobody needs what is there now:";
const REPLACES: &str = "This one puts eMite's back in the place of what is there now, in all that the plan lists. \
                        Run it if nobody needs that any more:";

/// What a repair can do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairOffer {
    /// Only a person can fix it.
    ByHand,
    /// A repair fixes it.
    Repair,
    /// A repair fixes it, and someone else loses access by it.
    Interruption,
    /// A repair fixes it by replacing a third-party configuration, if it is asked to.
    Replacement,
}

impl RepairOffer {
    /// What the repair that a report plans means.
    pub fn of(planned: Option<&PlannedChange>) -> Self {
        match planned {
            None => Self::ByHand,
            Some(planned) if planned.replaces_foreign => Self::Replacement,
            Some(planned) if planned.interrupts => Self::Interruption,
            Some(_) => Self::Repair,
        }
    }
}

/// The commands for one finding, in the order in which to run them. There are none for an observation that failed for
/// another reason than a missing permission: the next run observes again.
pub fn commands(spec: &Spec, finding: &Finding) -> Vec<Command> {
    if finding.status == Status::Unobservable {
        let denied = finding.cause.as_ref().is_some_and(|cause| cause.kind == Cause::Denied);
        return denied.then(|| health_check_role(spec)).into_iter().collect();
    }
    let repair = |does, mode| Command { does, line: repair(spec, &finding.check, mode) };
    match RepairOffer::of(finding.repair.as_ref()) {
        RepairOffer::Repair => vec![repair(REPAIRS, RepairMode::Apply)],
        RepairOffer::Interruption => vec![repair(PLANS, RepairMode::Plan), repair(INTERRUPTS, RepairMode::Apply)],
        RepairOffer::Replacement => vec![repair(PLANS, RepairMode::Plan), repair(REPLACES, RepairMode::Replace)],
        RepairOffer::ByHand => checks::part(finding.subject()).map(|part| (part.commands)(spec)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use crate::fixtures::spec;
    use crate::look::Unseen;

    fn planned(replaces_foreign: bool, interrupts: bool) -> PlannedChange {
        PlannedChange {
            id: "x".into(),
            check: "data-streaming".into(),
            action: "associate".into(),
            resource: "$(reboot)".into(),
            from: Some("$(reboot)".into()),
            to: None,
            replaces_foreign,
            interrupts,
            iam: Vec::new(),
        }
    }

    #[test]
    fn commands_follow_what_a_repair_can_do() {
        let repairs = [None, Some(planned(false, false)), Some(planned(false, true)), Some(planned(true, true))];
        let mut text = String::new();
        for repair in repairs {
            let resource = "arn:x$(reboot)".to_owned();
            let found =
                Finding::about("data-streaming", "AGENT_EVENTS", Status::Incorrect, Severity::Critical, resource);
            let finding = Finding { repair, ..found };
            text += &format!("== {:?}\n", RepairOffer::of(finding.repair.as_ref()));
            for command in commands(&spec(), &finding) {
                text += &format!("{}\n{}\n", command.does, command.line);
            }
        }
        assert!(!text.contains("reboot"), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn only_a_denied_observation_has_a_command() {
        let lines = |cause| {
            let unseen = Unseen { action: "iam:GetRole", cause, request_id: None };
            commands(&spec(), &Finding::unobservable("emite-role", "arn:role", &unseen))
        };
        assert_eq!(lines(Cause::Denied), [health_check_role(&spec())]);
        assert_eq!(lines(Cause::TimedOut), []);
    }
}
