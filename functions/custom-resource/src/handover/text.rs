//! Owns the readable text of a handover. Pure.

use emite_core::handover::{Handover, Item, JSON, TEXT};

/// The text, for a user who sends it on to the eMite team.
pub(super) fn of(handover: &Handover) -> String {
    let mut parts = Vec::new();
    let unverified = handover.unverified().count();
    if unverified > 0 {
        let all = handover.items.len();
        parts.push(format!(
            "NOT EVERYTHING HERE IS VERIFIED: {unverified} of {all} items. Settle what is marked below before you send this."
        ));
    }
    parts.push(
        "What the eMite team needs of Amazon Connect and AWS\n==================================================="
            .to_owned(),
    );
    let written = handover.written_at.strftime("%Y-%m-%d %H:%M UTC");
    let since = handover.previous_release.as_ref().map(|before| format!(", after {before}")).unwrap_or_default();
    parts.push(format!(
        "Written by emite-connect {}{since}, number {}, on {written}.\nStack {}",
        handover.release, handover.revision, handover.stack_id
    ));
    parts.extend(handover.items.iter().map(item));
    parts.push(format!("{}\n{}", "What changed since it was last announced", changes(handover)));
    parts.push(format!("Deliberately not in it\n{}", indented(&handover.not_included)));
    let json = handover.document_uri.strip_suffix(TEXT).unwrap_or_default();
    parts.push(format!("The same for programs\n  {json}{JSON}"));
    parts.join("\n\n") + "\n"
}

fn item(item: &Item) -> String {
    let state = match &item.problem {
        None if item.verified => "verified".to_owned(),
        problem => format!("NOT VERIFIED: {}", problem.as_deref().unwrap_or("nobody knows why")),
    };
    format!("{}\n  {}\n  {state}", item.name, item.value)
}

fn changes(handover: &Handover) -> String {
    if handover.previous_release.is_none() {
        return "  This is the first one.".to_owned();
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let lines: Vec<String> = handover
        .changes
        .iter()
        .map(|change| format!("{}\n    from {}\n    to   {}", change.name, value(&change.from), value(&change.to)))
        .collect();
    if lines.is_empty() { "  None of the values.".to_owned() } else { indented(&lines) }
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
