//! Owns what the tests of this check share.

use jiff::SignedDuration;

use super::CHECK;
use crate::finding::Severity;
use crate::fixtures::only;
pub(super) use crate::fixtures::{findings, flat, healthy, noon, put, series, spec, unseen, with};
use crate::snapshot::{Domain, Snapshot};

pub(super) fn with_domain(change: impl Fn(&mut Domain)) -> Snapshot {
    let mut snapshot = healthy();
    change(snapshot.domain.as_mut().unwrap().as_mut().unwrap());
    snapshot
}

pub(super) fn said(snapshot: &Snapshot) -> String {
    serde_json::to_string_pretty(&only(&CHECK, &spec(), snapshot)).unwrap()
}

pub(super) fn severity(snapshot: &Snapshot) -> Option<Severity> {
    findings(&CHECK, &spec(), snapshot).first().map(|finding| finding.severity)
}

pub(super) fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}
