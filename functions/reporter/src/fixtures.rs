//! Owns what the tests of several modules start from.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use emite_core::checks::CHECKS;
use emite_core::finding::{Finding, Severity, Status as Kind};
use emite_core::handover::Handover;
use emite_core::report::{CheckOutcome, CheckResult, Report, Status, VERSION};
use emite_core::spec::{ServerSpec, Spec};
use jiff::{SignedDuration, Timestamp};

use crate::scene::Scene;

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let spec = Spec::parse(include_str!("../../../infra/events/spec.json")).unwrap();
    Scene { spec, function: "emite-connect-ReporterFunction-1A2B3C4D5E6F".to_owned() }
});

pub(crate) fn scene() -> Scene {
    SCENE.clone()
}

/// The same with the eMite server in this account.
pub(crate) fn self_hosted() -> Scene {
    let mut scene = scene();
    scene.spec.server = Some(ServerSpec {
        instance_id: "i-0a1b2c3d4e5f60718".to_owned(),
        address: Ipv4Addr::new(198, 51, 100, 20),
        allocation_id: "eipalloc-0a1b2c3d4e5f60718".to_owned(),
        profile: "arn:aws:iam::111122223333:instance-profile/emite-connect-ServerProfile-1A2B3C4D5E6F".parse().unwrap(),
        group_id: "sg-0a1b2c3d4e5f60718".to_owned(),
        rdp_from: BTreeSet::new(),
    });
    scene
}

/// The scene in which the check is applicable.
pub(crate) fn scene_of(check: &str) -> Scene {
    if check == "emite-server" { self_hosted() } else { scene() }
}

/// Tuesday 2026-11-24 12:00 in Sydney.
pub(crate) fn noon() -> Timestamp {
    "2026-11-24T01:00:00Z".parse().unwrap()
}

pub(crate) fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// The handover of the sample event: the second, of which one item is not verified.
pub(crate) fn handover() -> Handover {
    let event: serde_json::Value = serde_json::from_str(include_str!("../../../infra/events/handover.json")).unwrap();
    serde_json::from_value(event["detail"].clone()).unwrap()
}

/// A report `after` noon with these findings.
pub(crate) fn report(after: SignedDuration, findings: Vec<Finding>) -> Report {
    let spec = &SCENE.spec;
    let outcome = |name: &str| {
        let of_it = |finding: &&Finding| finding.check == name;
        if findings.iter().filter(of_it).any(|finding| finding.severity > Severity::Info) {
            CheckResult::Failed
        } else if findings.iter().filter(of_it).any(|finding| finding.status == Kind::Unobservable) {
            CheckResult::Unobservable
        } else {
            CheckResult::Passed
        }
    };
    let checks = CHECKS
        .iter()
        .map(|check| CheckOutcome { name: check.name.to_owned(), outcome: outcome(check.name), duration_ms: 1 })
        .collect();
    Report {
        version: VERSION,
        integration: spec.integration.clone(),
        stack_id: spec.stack_id.clone(),
        instance_arn: spec.instance_arn.clone(),
        checked_at: noon() + after,
        status: Status::of(&findings),
        checks,
        findings,
    }
}

pub(crate) fn finding(check: &str, severity: Severity, resource: &str) -> Finding {
    Finding {
        summary: format!("{check} is not well."),
        expected: "well".to_owned(),
        observed: "not well".to_owned(),
        impact: "Something is missing.".to_owned(),
        remedy: "Mend it.".to_owned(),
        part: None,
        ..Finding::about(check, "", Kind::Unhealthy, severity, resource.to_owned())
    }
}
