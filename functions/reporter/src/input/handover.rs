//! Owns reading handovers. They are kept and have to fit into a message, so their size is bounded.

use emite_core::handover::Handover;
use emite_core::problems::Problems;
use serde_json::Value;

use super::context::EventContext;
use super::problems::{BadInput, unless_any};
use super::typed::read_ours;
use crate::text::{is_printable, stored};

/// The most entries of the lists.
const MOST_ITEMS: usize = 8;
const MOST_CHANGES: usize = 8;
const MOST_NOT_INCLUDED: usize = 3;
/// The most characters of a release.
const MOST_RELEASE: usize = 100;
/// The most bytes of a value: a customer id has up to 1,224 characters, nothing else as many.
const MOST_VALUE: usize = 1224;

/// Reads a handover, with its texts cut to a size that can be kept.
pub(super) fn read(detail: Value, context: &EventContext<'_>) -> Result<Handover, BadInput> {
    let handover: Handover = read_ours("detail", detail, context.spec)?;
    let mut problems = Problems::default();
    let mut is_at_most = |list: &str, entries: usize, most: usize| {
        if entries > most {
            problems.add(format!("detail.{list} must have {most} entries at most"));
        }
    };
    is_at_most("items", handover.items.len(), MOST_ITEMS);
    is_at_most("changes", handover.changes.len(), MOST_CHANGES);
    is_at_most("notIncluded", handover.not_included.len(), MOST_NOT_INCLUDED);
    let releases = [("release", Some(&handover.release)), ("previousRelease", handover.previous_release.as_ref())];
    for (field, release) in releases {
        if release.is_some_and(|release| !is_printable(release, MOST_RELEASE)) {
            problems.add(format!("detail.{field} must be 1 to {MOST_RELEASE} printable characters"));
        }
    }
    unless_any(problems, handover).map(bounded)
}

fn bounded(mut handover: Handover) -> Handover {
    let bound = |text: &mut String, most| *text = stored(text, most);
    bound(&mut handover.document_uri, 1200);
    for item in &mut handover.items {
        bound(&mut item.name, 100);
        bound(&mut item.value, MOST_VALUE);
        item.problem.iter_mut().for_each(|problem| bound(problem, 400));
    }
    for change in &mut handover.changes {
        bound(&mut change.name, 100);
        change.from.iter_mut().chain(&mut change.to).for_each(|value| bound(value, MOST_VALUE));
    }
    handover.not_included.iter_mut().for_each(|text| bound(text, 300));
    handover
}
