//! Owns merging statements into an existing policy document, so that nothing that it says is lost.
//!
//! Structural, and careful: a statement counts as said already only if one of the document's says all of it, and one of
//! the document's is replaced only by one of the same name that says all that it said.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{Operator, Principal, Scope, Statement, Test, any_matches, matches};

/// `document` with `wanted` in it: as it is, if it says all of them already.
pub fn merged(document: &Value, wanted: &[Value]) -> Value {
    let mut statements = listed(document);
    let before = statements.clone();
    for one in wanted {
        let Some(parsed) = parse(one) else { continue };
        let says = |standing: &Value| parse(standing).is_some_and(|standing| is_within(&parsed, &standing));
        if statements.iter().any(|standing| unnamed(standing) == unnamed(one) || says(standing)) {
            continue;
        }
        let name = parsed.sid.as_deref().unwrap_or_default();
        let lesser = |standing: &Value| {
            parse(standing)
                .is_some_and(|standing| standing.sid.as_deref() == Some(name) && is_within(&standing, &parsed))
        };
        match statements.iter_mut().find(|standing| lesser(standing)) {
            Some(standing) => *standing = one.clone(),
            None => add(&mut statements, one),
        }
    }
    if statements == before { document.clone() } else { with_statements(document, statements) }
}

/// The document's statements as they stand, which may be one or a list.
pub fn listed(document: &Value) -> Vec<Value> {
    match document.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

/// `document` with these statements instead of its own; a new one, if there was none.
pub fn with_statements(document: &Value, statements: Vec<Value>) -> Value {
    let mut document = if document.is_object() { document.clone() } else { json!({"Version": "2012-10-17"}) };
    document["Statement"] = Value::Array(statements);
    document
}

/// The statement that `value` is.
pub fn parse(value: &Value) -> Option<Statement> {
    Statement::read(value.as_object()?)
}

/// Adds `statement`, with a number behind its name if one is called so already: AWS takes each name once.
pub fn add(statements: &mut Vec<Value>, statement: &Value) {
    let mut added = statement.clone();
    if let Some(name) = statement.get("Sid").and_then(Value::as_str) {
        let taken = |name: &String| statements.iter().any(|one| one.get("Sid").and_then(Value::as_str) == Some(name));
        let mut names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}{number}")));
        added["Sid"] = names.find(|name| !taken(name)).into();
    }
    statements.push(added);
}

fn unnamed(statement: &Value) -> Value {
    let mut statement = statement.clone();
    if let Some(fields) = statement.as_object_mut() {
        fields.remove("Sid");
    }
    statement
}

/// Whether `larger` says all that `smaller` says. False if that is unclear.
fn is_within(smaller: &Statement, larger: &Statement) -> bool {
    let text =
        |smaller: &String, larger: &[String]| any_matches(larger, |larger| matches(larger, smaller)) == Some(true);
    let principal = |smaller: &Principal, larger: &[Principal]| larger.iter().any(|larger| same(smaller, larger));
    smaller.effect == larger.effect
        && scope_within(&smaller.principals, &larger.principals, principal)
        && scope_within(&smaller.actions, &larger.actions, text)
        && scope_within(&smaller.resources, &larger.resources, text)
        && larger.tests.iter().all(|larger| smaller.tests.iter().any(|smaller| test_within(smaller, larger)))
}

fn same(one: &Principal, other: &Principal) -> bool {
    one.kind == other.kind && (one.id == other.id || one.is(&other.id))
}

fn scope_within<T: PartialEq>(smaller: &Scope<T>, larger: &Scope<T>, among: impl Fn(&T, &[T]) -> bool) -> bool {
    match (smaller, larger) {
        (Scope::Only(smaller), Scope::Only(larger)) => smaller.iter().all(|one| among(one, larger)),
        (Scope::Except(smaller), Scope::Except(larger)) => smaller == larger,
        _ => false,
    }
}

/// Whether whatever passes `smaller` passes `larger`.
fn test_within(smaller: &Test, larger: &Test) -> bool {
    let alike = smaller.operator == larger.operator
        && smaller.negated == larger.negated
        && smaller.if_exists == larger.if_exists
        && smaller.key == larger.key;
    let values = || smaller.values.iter().all(|value| larger.values.contains(value));
    let networks = || {
        let larger = larger.networks();
        let inside = |network: &IpNet| larger.iter().any(|larger| larger.contains(network));
        smaller.networks().len() == smaller.values.len() && smaller.networks().iter().all(inside)
    };
    match smaller.operator {
        _ if !alike => false,
        Operator::Unknown => false,
        _ if smaller.negated => smaller.values == larger.values,
        Operator::Ip => networks(),
        _ => values(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Decision, decide, statements};

    fn servers(sid: &str, addresses: &[&str]) -> Value {
        json!({
            "Sid": sid, "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["es:ESHttpGet", "es:ESHttpPost"],
            "Resource": "arn:aws:es:r:1:domain/d/*", "Condition": {"IpAddress": {"aws:SourceIp": addresses}},
        })
    }

    fn policy(statements: &[Value]) -> Value {
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    #[test]
    fn what_is_said_already_changes_nothing() {
        let wide = json!({"Effect": "Allow", "Principal": "*", "Action": "es:*", "Resource": "arn:aws:es:r:1:domain/d/*",
            "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}});
        for document in [
            policy(&[servers("Ours", &["203.0.113.10", "198.51.100.0/28"])]),
            policy(&[servers("AnotherName", &["203.0.113.10/32"])]),
            json!({"Version": "2008-10-17", "Statement": wide}),
        ] {
            assert_eq!(merged(&document, &[servers("Ours", &["203.0.113.10"])]), document);
        }
    }

    #[test]
    fn ours_is_put_back_in_its_place_where_nothing_is_lost_by_it() {
        let theirs = servers("Theirs", &["192.0.2.1"]);
        let less = policy(&[servers("Ours", &["203.0.113.10"]), theirs.clone()]);
        let wanted = servers("Ours", &["203.0.113.10", "203.0.113.11"]);
        assert_eq!(merged(&less, std::slice::from_ref(&wanted)), policy(&[wanted, theirs]));
    }

    #[test]
    fn one_of_our_name_that_says_something_else_stays_and_ours_gets_another_name() {
        let edited = servers("Ours", &["192.0.2.1"]);
        let added = merged(&policy(std::slice::from_ref(&edited)), &[servers("Ours", &["203.0.113.10"])]);
        assert_eq!(added, policy(&[edited, servers("Ours2", &["203.0.113.10"])]));
    }

    #[test]
    fn without_a_document_there_is_a_new_one() {
        let wanted = servers("Ours", &["203.0.113.10"]);
        assert_eq!(merged(&Value::Null, std::slice::from_ref(&wanted)), policy(&[wanted]));
    }

    #[test]
    fn what_cannot_be_compared_is_not_taken_for_said() {
        let mut except = servers("Ours", &["203.0.113.10"]);
        except["NotAction"] = except["Action"].take();
        except.as_object_mut().unwrap().remove("Action");
        let document = policy(std::slice::from_ref(&except));
        let both = merged(&document, &[servers("Ours", &["203.0.113.10"])]);
        assert_eq!(listed(&both), [except, servers("Ours2", &["203.0.113.10"])]);
    }

    #[test]
    fn one_that_holds_under_more_conditions_says_less() {
        let mut dated = servers("Ours", &["203.0.113.10"]);
        dated["Condition"]["DateLessThan"] = json!({"aws:CurrentTime": "2020-01-01T00:00:00Z"});
        let ours = servers("Ours", &["203.0.113.10"]);
        assert_eq!(merged(&policy(&[dated]), std::slice::from_ref(&ours)), policy(&[ours]));
    }

    fn any_statement() -> impl Strategy<Value = Value> {
        let some = |texts: &'static [&'static str]| proptest::sample::subsequence(texts.to_vec(), 1..=texts.len());
        let sid = proptest::sample::select(vec!["A", "B", "C"]);
        let effect = proptest::sample::select(vec!["Allow", "Allow", "Deny"]);
        let condition = proptest::sample::select(vec![
            Value::Null,
            json!({"StringEquals": {"aws:PrincipalAccount": "1"}}),
            json!({"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}),
        ]);
        (sid, effect, some(&["x:A", "x:B", "x:*"]), some(&["r/1", "r/2", "r/*"]), condition).prop_map(
            |(sid, effect, actions, resources, condition)| {
                let mut one = json!({"Sid": sid, "Effect": effect, "Action": actions, "Resource": resources});
                if !condition.is_null() {
                    one["Condition"] = condition;
                }
                one
            },
        )
    }

    proptest! {
        #[test]
        fn merged_once_there_is_nothing_left_to_merge_and_nothing_that_was_allowed_or_denied_is_lost(
            standing in proptest::collection::vec(any_statement(), 0..4), wanted in proptest::collection::vec(any_statement(), 1..3),
        ) {
            let document = policy(&standing);
            let once = merged(&document, &wanted);
            prop_assert_eq!(&merged(&once, &wanted), &once);
            let (before, after) = (statements(&document), statements(&once));
            for action in ["x:A", "x:B", "x:C"] {
                for resource in ["r/1", "r/2", "r/3"] {
                    let (was, is) = (decide(&before, action, resource), decide(&after, action, resource));
                    let asked = decide(&statements(&policy(&wanted)), action, resource);
                    prop_assert!(was != Decision::Denied || is == Decision::Denied);
                    prop_assert!(was != Decision::Allowed || is == Decision::Allowed || asked == Decision::Denied);
                    prop_assert!(asked != Decision::Allowed || is != Decision::Unsaid);
                }
            }
        }
    }
}
