//! Owns judging and merging the trust policy of the role that eMite assumes.
//!
//! A merged policy admits only eMite and, where the customer hosts the server, servers of this account. Third-party
//! statements stay if they admit no one: those that deny, and those about something else than assuming the role.

use serde_json::{Value, json};

use crate::policy::merge::{add, listed, parse, with_statements};
use crate::policy::{self, Effect, Operator, Principal, Scope, Statement, Test};
use crate::spec::{Emite, Spec};

/// The actions that assume a role.
pub const ASSUME: [&str; 3] = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
/// The condition key of the external id.
const EXTERNAL_ID: &str = "sts:externalid";

/// What hands a role to the instances of this account.
const EC2: &str = "ec2.amazonaws.com";

/// Who may assume the role, and what they have to present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Who at eMite, if anybody.
    pub emite: Option<Emite>,
    /// Whether a server of this account may.
    pub server: bool,
}

impl Admission {
    /// As the stack was asked for.
    pub fn of(spec: &Spec) -> Self {
        Self { emite: spec.emite.clone(), server: spec.server.is_some() }
    }

    /// Whether all who shall can assume the role, eMite presenting the external id.
    pub fn is_given(&self, statements: &[Statement]) -> bool {
        self.emite.as_ref().is_none_or(|emite| emite.is_admitted(statements))
            && (!self.server || servers_are_admitted(statements))
    }

    /// Whether the role cannot be assumed as eMite without the external id.
    pub fn is_guarded(&self, statements: &[Statement]) -> bool {
        self.emite.as_ref().is_none_or(|emite| emite.is_guarded(statements))
    }

    /// The principals that statements admit and should not. A deleted principal does not count.
    pub fn strangers(&self, statements: &[Statement]) -> Vec<String> {
        let mut strangers = Vec::new();
        for statement in allowing(statements) {
            match &statement.principals {
                Scope::Only(named) => {
                    let others = named.iter().filter(|principal| !self.knows(principal) && !principal.is_deleted());
                    strangers.extend(others.map(|principal| principal.id.clone()));
                }
                Scope::Except(_) => strangers.push("*".to_owned()),
            }
        }
        strangers
    }

    fn knows(&self, principal: &Principal) -> bool {
        self.emite.as_ref().is_some_and(|emite| principal.is(&emite.principal.to_string()))
            || (self.server && is_ec2(principal))
    }

    /// Whether [`Admission::merged_into`] would remove the access of a third party.
    pub fn drops_strangers(&self, document: &Value) -> bool {
        !self.strangers(&policy::statements(document)).is_empty()
    }

    /// Whether anyone who exists would lose access by [`Admission::merged_into`], eMite with another external id
    /// included.
    pub fn drops_anybody(&self, document: &Value) -> bool {
        let gone: Vec<Statement> =
            listed(document).iter().filter(|one| !self.may_stay(one)).filter_map(parse).collect();
        let exists = |statement: &Statement| match &statement.principals {
            Scope::Only(named) => named.iter().any(|named| !named.is_deleted()),
            Scope::Except(_) => true,
        };
        allowing(&gone).any(exists)
    }

    /// `document`, changed to admit this admission and no one else.
    pub fn merged_into(&self, document: &Value) -> Value {
        let before = listed(document);
        let mut statements: Vec<Value> = before.iter().filter(|one| self.may_stay(one)).cloned().collect();
        let stands = |statements: &[Value], admits: &dyn Fn(&[Statement]) -> bool| {
            statements.iter().filter_map(parse).any(|one| admits(&[one]))
        };
        if let Some(emite) = &self.emite
            && !stands(&statements, &|one| emite.is_admitted(one))
        {
            add(&mut statements, &emite.statement());
        }
        if self.server && !stands(&statements, &servers_are_admitted) {
            add(&mut statements, &server_statement());
        }
        if statements == before { document.clone() } else { with_statements(document, statements) }
    }

    /// Whether a statement admits only eMite with its external id, or servers of this account, or no one.
    fn may_stay(&self, statement: &Value) -> bool {
        let Some(one) = parse(statement) else { return false };
        if allowing(std::slice::from_ref(&one)).next().is_none() {
            return true;
        }
        let only =
            |is: &dyn Fn(&Principal) -> bool| matches!(&one.principals, Scope::Only(named) if named.iter().all(is));
        self.emite.as_ref().is_some_and(|emite| {
            only(&|named| named.is(&emite.principal.to_string()))
                && one.tests.iter().any(|test| emite.is_exact(test, false))
        }) || (self.server && only(&is_ec2))
    }
}

fn is_ec2(principal: &Principal) -> bool {
    principal.kind == "Service" && principal.id == EC2
}

/// Whether EC2 can hand the role to a server.
fn servers_are_admitted(statements: &[Statement]) -> bool {
    let names = |one: &&Statement| match &one.principals {
        Scope::Only(named) => named.iter().any(is_ec2),
        Scope::Except(named) => !named.iter().any(is_ec2),
    };
    let bars = |one: &&Statement| names(one) || one.anybody();
    let hits = |effect| {
        let about = |one: &&Statement| one.effect == effect && one.covers_action(ASSUME[0]);
        let mut about = statements.iter().filter(about).filter(|one| one.holds(|_| None));
        match effect {
            Effect::Allow => about.any(|one| names(&one)),
            Effect::Deny => about.any(|one| bars(&one)),
        }
    };
    hits(Effect::Allow) && !hits(Effect::Deny)
}

/// The statement for servers as the template deploys it.
fn server_statement() -> Value {
    json!({"Sid": "AllowServer", "Effect": "Allow", "Principal": {"Service": EC2}, "Action": "sts:AssumeRole"})
}

impl Emite {
    /// Whether eMite, presenting the external id, can assume the role.
    fn is_admitted(&self, statements: &[Statement]) -> bool {
        let external_id = |test: &Test| if test.key == EXTERNAL_ID { test.accepts(&self.customer_id) } else { None };
        let principal = self.principal.to_string();
        let hits = |effect| {
            let about = |statement: &&Statement| statement.effect == effect && statement.covers_action(ASSUME[0]);
            statements.iter().filter(about).any(|one| one.names(&principal) && one.holds(external_id))
        };
        hits(Effect::Allow) && !hits(Effect::Deny)
    }

    fn is_guarded(&self, statements: &[Statement]) -> bool {
        let principal = self.principal.to_string();
        let about = |statement: &&Statement| statement.covers_action(ASSUME[0]) && statement.names(&principal);
        let bars = |one: &Statement| {
            one.effect == Effect::Deny && matches!(&one.tests[..], [test] if self.is_exact(test, true))
        };
        statements.iter().filter(about).any(bars)
            || statements
                .iter()
                .filter(about)
                .filter(|one| one.effect == Effect::Allow)
                .all(|one| one.tests.iter().any(|test| self.is_exact(test, false)))
    }

    /// Whether the test lets the external id, and no other, pass.
    fn is_exact(&self, test: &Test, negated: bool) -> bool {
        let compares = matches!(test.operator, Operator::Equals | Operator::EqualsIgnoreCase | Operator::Like);
        let only = !test.values.is_empty() && test.values.iter().all(|value| *value == self.customer_id);
        test.key == EXTERNAL_ID && compares && only && test.negated == negated && (negated || !test.if_exists)
    }

    /// The statement as the template deploys it.
    fn statement(&self) -> Value {
        json!({
            "Sid": "AllowEmite", "Effect": "Allow", "Principal": {"AWS": self.principal}, "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": self.customer_id}},
        })
    }
}

/// The statements that let a principal assume the role.
pub fn allowing(statements: &[Statement]) -> impl Iterator<Item = &Statement> {
    let assuming = |statement: &&Statement| ASSUME.iter().any(|action| statement.covers_action(action));
    statements.iter().filter(|statement| statement.effect == Effect::Allow).filter(assuming)
}

/// The external ids that a statement asks for.
pub fn external_ids(statement: &Statement) -> Vec<&str> {
    let tests = statement.tests.iter().filter(|test| test.key == EXTERNAL_ID);
    tests.flat_map(|test| &test.values).map(String::as_str).collect()
}

/// Whether some statement of the trust policy `document` admits who presents this external id, and asks for it.
pub fn takes_external_id(document: &Value, id: &str) -> bool {
    let asks = |test: &Test| {
        test.key == EXTERNAL_ID && !test.negated && !test.if_exists && test.values.iter().any(|value| value == id)
    };
    allowing(&policy::statements(document)).any(|statement| statement.tests.iter().any(asks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{self_hosted, spec};

    const EMITE: &str = "arn:aws:iam::444455556666:root";
    const STRANGER: &str = "arn:aws:iam::999999999999:root";

    fn admission() -> Admission {
        Admission::of(&spec())
    }

    fn ours() -> Value {
        admission().emite.unwrap().statement()
    }

    fn both() -> Admission {
        Admission { server: true, ..admission() }
    }

    fn allow(principal: Value, external_id: Option<&str>) -> Value {
        let mut one = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
        if let Some(id) = external_id {
            one["Condition"] = json!({"StringEquals": {"sts:ExternalId": id}});
        }
        one
    }

    fn document(statements: &[Value]) -> Value {
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    #[test]
    fn an_external_id_is_taken_where_a_statement_that_admits_asks_for_it() {
        let takes = |statement: Value| takes_external_id(&document(&[statement]), "acme-support-7421");
        let id = "acme-support-7421";
        assert!(takes(allow(json!({"AWS": EMITE}), Some(id))));
        assert!(!takes(allow(json!({"AWS": EMITE}), Some("another"))));
        assert!(!takes(allow(json!({"AWS": EMITE}), None)));
        let mut other = allow(json!({"AWS": EMITE}), Some(id));
        other["Condition"] = json!({"StringNotEquals": {"sts:ExternalId": id}});
        assert!(!takes(other.clone()));
        other["Condition"] = json!({"StringEqualsIfExists": {"sts:ExternalId": id}});
        assert!(!takes(other.clone()));
        other["Condition"] = json!({"StringEquals": {"sts:ExternalId": id}});
        other["Effect"] = json!("Deny");
        assert!(!takes(other));
    }

    fn merged(statements: &[Value]) -> Vec<Value> {
        listed(&admission().merged_into(&document(statements)))
    }

    #[test]
    fn as_deployed_it_stays_as_it_is() {
        let deployed = document(&[ours()]);
        assert_eq!(admission().merged_into(&deployed), deployed);
        let unnamed = document(&[allow(json!({"AWS": "444455556666"}), Some("customer-0001"))]);
        assert_eq!(admission().merged_into(&unnamed), unnamed);
    }

    #[test]
    fn who_else_is_admitted_is_shut_out_and_that_is_told() {
        let stranger = allow(json!({"AWS": [EMITE, STRANGER]}), Some("customer-0001"));
        assert_eq!(merged(std::slice::from_ref(&stranger)), [ours()]);
        assert!(admission().drops_strangers(&document(&[stranger])));
        let unguarded = allow(json!({"AWS": EMITE}), None);
        assert!(!admission().drops_strangers(&document(std::slice::from_ref(&unguarded))));
        assert!(admission().drops_anybody(&document(std::slice::from_ref(&unguarded))));
        assert_eq!(merged(&[unguarded]), [ours()]);
        let deleted = allow(json!({"AWS": "AROAEXAMPLEEXAMPLE22"}), None);
        assert!(!admission().drops_anybody(&document(std::slice::from_ref(&deleted))));
        assert_eq!(merged(&[deleted]), [ours()]);
    }

    #[test]
    fn what_denies_or_is_about_something_else_stays() {
        let deny = json!({"Sid": "AllowEmite", "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        let tag = json!({"Effect": "Allow", "Principal": {"AWS": STRANGER}, "Action": "sts:TagSession"});
        let both = merged(&[tag.clone(), json!({"Effect": "Deny", "Principal": {"AWS": STRANGER}, "Action": "sts:*"})]);
        assert_eq!(both.len(), 3, "{both:#?}");
        assert_eq!(both[0], tag);
        let mut ours = ours();
        ours["Sid"] = "AllowEmite2".into();
        assert_eq!(merged(std::slice::from_ref(&deny)), [deny, ours]);
    }

    #[test]
    fn a_server_of_this_account_is_admitted_beside_emite_or_alone() {
        let alone = Admission::of(&self_hosted());
        let by_guide = document(&[allow(json!({"Service": EC2}), None)]);
        assert_eq!(alone.merged_into(&by_guide), by_guide);
        assert_eq!(listed(&alone.merged_into(&document(&[ours()]))), [server_statement()]);
        assert!(alone.drops_strangers(&document(&[ours()])));
        let merged = both().merged_into(&by_guide);
        assert_eq!(listed(&merged), [allow(json!({"Service": EC2}), None), ours()]);
        assert!(both().is_given(&policy::statements(&merged)));
        assert!(!both().is_given(&policy::statements(&by_guide)));
        assert!(!both().drops_anybody(&by_guide));
        let together = document(&[allow(json!({"AWS": EMITE, "Service": EC2}), Some("customer-0001"))]);
        assert_eq!(listed(&both().merged_into(&together)), [ours(), server_statement()]);
        let denied = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"});
        assert!(!alone.is_given(&policy::statements(&document(&[server_statement(), denied]))));
    }

    fn any_statement() -> impl Strategy<Value = Value> {
        let principal = proptest::sample::select(vec![
            json!({"AWS": EMITE}),
            json!({"AWS": STRANGER}),
            json!({"AWS": [EMITE, STRANGER]}),
            json!("*"),
            json!({"Service": "ec2.amazonaws.com"}),
            json!({"AWS": "AIDAEXAMPLEEXAMPLE22"}),
        ]);
        let id = proptest::sample::select(vec![None, Some("customer-0001"), Some("customer-0002")]);
        let effect = proptest::sample::select(vec!["Allow", "Allow", "Allow", "Deny"]);
        let action =
            proptest::sample::select(vec!["sts:AssumeRole", "sts:*", "sts:TagSession", "sts:AssumeRoleWithSAML"]);
        (principal, id, effect, action, any::<bool>()).prop_map(|(principal, id, effect, action, except)| {
            let mut one = allow(principal, id);
            one["Effect"] = effect.into();
            one["Action"] = action.into();
            if except {
                one["NotPrincipal"] = one["Principal"].take();
                one.as_object_mut().unwrap().remove("Principal");
            }
            one
        })
    }

    proptest! {
        #[test]
        fn whatever_stood_there_only_who_shall_is_admitted_and_nobodys_denial_is_lost(
            standing in proptest::collection::vec(any_statement(), 0..5),
            admission in proptest::sample::select(vec![admission(), both(), Admission::of(&self_hosted())]),
        ) {
            let once = admission.merged_into(&document(&standing));
            prop_assert_eq!(&admission.merged_into(&once), &once);
            let statements = policy::statements(&once);
            prop_assert_eq!(admission.strangers(&statements), Vec::<String>::new());
            prop_assert!(admission.is_guarded(&statements));
            let denies = |one: &&Value| one["Effect"] == "Deny";
            prop_assert!(standing.iter().filter(denies).all(|one| listed(&once).contains(one)));
            let barred = standing.iter().any(|one| one["Effect"] == "Deny");
            prop_assert!(barred || admission.is_given(&statements));
        }
    }
}
