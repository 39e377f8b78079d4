//! Owns the check `domain-access`: the search domain's access policy admits eMite's addresses and this account, and not
//! just anybody.

use ipnet::{IpNet, Ipv4Net};

use super::check::{Check, Explains, Part, Verdict, no_metrics, seen};
use super::{failed_records, firehose_delivery};
use crate::change::Change;
use crate::command::{AwsCli, Command};
use crate::diff;
use crate::finding::{Finding, Severity, Status, texts, values};
use crate::look::Look;
use crate::policies::domain_access::{self, ACTIONS, root};
use crate::policy::merge::merged;
use crate::policy::{self, Effect, Operator, SOURCE_IP, Scope, Statement, Test, shown};
use crate::snapshot::Snapshot;
use crate::spec::{Existing, Spec};

/// The check.
pub(super) const CHECK: Check = Check {
    name: "domain-access",
    resource: |spec| spec.domain.to_string(),
    metrics: no_metrics,
    judge,
    repair,
    parts: &[PUBLIC, SERVERS, ACCOUNT, OTHERS],
    unseen: "the search domain cannot be checked",
    explains: &[Explains::of(
        &[ACCOUNT],
        &[firehose_delivery::CHECK.only(&firehose_delivery::OUTPUT), failed_records::CHECK.all()],
    )],
};

const PUBLIC: Part = part("public", "the search domain is open to everybody");
const SERVERS: Part = part("emite-servers", "eMite cannot reach the search domain");
const ACCOUNT: Part = part("this-account", "this account cannot use the search domain");
const OTHERS: Part = part("others", "access to the search domain has changed");

const fn part(name: &'static str, title: &'static str) -> Part {
    Part { commands: |spec| vec![Command::shows(access_policy(spec))], ..Part::new(name, title) }
}

fn access_policy(spec: &Spec) -> AwsCli {
    AwsCli::new(spec, "opensearch", "describe-domain-config")
        .option("--domain-name", spec.domain_name())
        .option("--query", "DomainConfig.AccessPolicies.Options")
        .option("--output", "text")
}

/// Those without which Firehose cannot deliver.
const DELIVERY: [&str; 3] = ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"];

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let Some(domain) = seen(&snapshot.domain)? else { return Ok(Verdict::Judged(Vec::new())) };
    let statements = policy::statements(&domain.access_policy);
    let found = [
        servers(spec, &statements),
        account(spec, &statements, snapshot),
        public(spec, &statements),
        others(spec, &statements),
    ];
    Ok(found.into_iter().flatten().collect::<Vec<_>>().into())
}

/// Admits, and removes no one's access: who else is admitted, or denied, is for a person to judge.
fn repair(spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<Change> {
    let live = &snapshot.domain.as_ref().ok()?.as_ref()?.access_policy;
    let statements = policy::statements(&merged(live, &domain_access::statements(spec)));
    let left = if SERVERS.is_of(finding) {
        servers(spec, &statements)
    } else if ACCOUNT.is_of(finding) {
        account(spec, &statements, snapshot)
    } else {
        return None;
    };
    if left.is_none() { diff::domain_access(spec, live) } else { None }
}

fn remedy(change: &str) -> String {
    format!(
        "In the OpenSearch Service console, open the domain, then Security configuration, and in its access policy {change}."
    )
}

/// The actions that are not allowed to the principals that `is_about` and `holds` select.
fn lacking(
    spec: &Spec,
    statements: &[Statement],
    is_about: impl Fn(&Statement) -> bool,
    holds: impl Fn(&Statement) -> bool,
) -> Vec<&'static str> {
    let everything = format!("{}/*", spec.domain);
    let says = |effect, action| {
        let about = |one: &&Statement| one.effect == effect && one.covers(action, &everything) && is_about(one);
        statements.iter().filter(about).any(&holds)
    };
    ACTIONS.into_iter().filter(|action| says(Effect::Deny, *action) || !says(Effect::Allow, *action)).collect()
}

fn servers(spec: &Spec, statements: &[Statement]) -> Option<Finding> {
    let refused = |server: &&Ipv4Net| {
        let holds = |one: &Statement| one.holds(|test| passes(test, **server, one.effect));
        !lacking(spec, statements, Statement::anybody, holds).is_empty()
    };
    let written = |servers: &[&Ipv4Net]| servers.iter().map(|server| server.to_string()).collect::<Vec<_>>();
    let refused = written(&spec.emite_servers.iter().filter(refused).collect::<Vec<_>>());
    let wanted = written(&spec.emite_servers.iter().collect::<Vec<_>>());
    (!refused.is_empty()).then(|| Finding {
        summary: "The search domain does not admit eMite's servers.".to_owned(),
        expected: format!("reading and writing is allowed from {}", shown(wanted.iter().map(String::as_str))),
        observed: format!("not admitted, or not with everything: {}", shown(refused.iter().map(String::as_str))),
        impact: "eMite cannot read contact records. They are kept in the domain, so nothing is lost.".to_owned(),
        remedy: remedy("allow es:ESHttp* from these addresses"),
        values: values([("expectedAddresses", texts(&wanted)), ("deniedAddresses", texts(&refused))]),
        ..CHECK.finding(spec, &SERVERS, Status::Incorrect, Severity::Warning)
    })
}

/// Whether a request without credentials, from anywhere in `server`, passes the test. What is allowed must be so for all
/// of its addresses; what is denied to one of them is denied.
fn passes(test: &Test, server: Ipv4Net, effect: Effect) -> Option<bool> {
    if test.key != SOURCE_IP || test.operator != Operator::Ip {
        return test.limits_who().then_some(false);
    }
    let networks = policy::joined(&test.networks());
    let all = networks.iter().any(|network| network.contains(&server));
    let some = all || networks.iter().any(|network| server.contains(network));
    match (effect, test.negated) {
        (Effect::Allow, false) => Some(all),
        (Effect::Allow, true) => Some(!some),
        (Effect::Deny, false) => Some(some),
        (Effect::Deny, true) => Some(!all),
    }
}

fn account(spec: &Spec, statements: &[Statement], snapshot: &Snapshot) -> Option<Finding> {
    let root = root(spec);
    let delivery_role = spec.delivery_role.to_string();
    // A request that is signed as a role of this account comes from an address of AWS, which cannot be listed.
    let anywhere = |test: &Test| {
        let by_address = test.key == SOURCE_IP && test.operator == Operator::Ip;
        by_address.then(|| test.networks().iter().any(policy::is_wide) != test.negated)
    };
    let about = |one: &Statement| one.names(&root) || one.names(&delivery_role);
    let lacking = lacking(spec, statements, about, |one| one.holds(anywhere));
    let delivers = !lacking.iter().any(|action| DELIVERY.contains(action));
    // The guide's policy names an address and nobody else. Within one account a role's own policy may be enough all the same, so
    // whether it is shows in what gets in.
    let denied = statements.iter().any(|one| one.effect == Effect::Deny && about(one));
    let gets_in = if denied || !spec.found(Existing::Domain) { Some(false) } else { delivered(snapshot) };
    let (severity, impact) = if !delivers && gets_in == Some(true) {
        (Severity::Info, "Contact records get in all the same, by the policy of the role that delivers them.")
    } else if !delivers && gets_in.is_none() {
        let impact = "Firehose signs as a role of this account. Whether the role's own policy is enough shows once contact records come.";
        (Severity::Warning, impact)
    } else if delivers {
        (Severity::Warning, "Contact records are still delivered, but failed ones may not be sent again.")
    } else {
        let impact = "Firehose signs as a role of this account and is refused: new contact records do not reach eMite. \
                      They are tried again, and then wait in the bucket, so nothing is lost at once.";
        (Severity::Critical, impact)
    };
    (!lacking.is_empty()).then(|| Finding {
        summary: "The search domain does not admit this account, as which contact records are delivered.".to_owned(),
        expected: format!("reading and writing is allowed to {root}"),
        observed: format!("not allowed: {}", lacking.join(", ")),
        impact: impact.to_owned(),
        remedy: remedy("allow es:ESHttp* to this account"),
        values: values([
            ("principal", root.as_str().into()),
            ("deniedActions", texts(&lacking)),
            ("delivered", gets_in.into()),
        ]),
        ..CHECK.finding(spec, &ACCOUNT, Status::Incorrect, severity)
    })
}

/// Whether contact records got into the domain when they last came, if they did within a day.
fn delivered(snapshot: &Snapshot) -> Option<bool> {
    let last = |id| snapshot.metrics.get(id).ok().and_then(|success| success.last());
    let newest =
        [last("delivery_success"), last("delivery_success_legacy")].into_iter().flatten().max_by_key(|(at, _)| *at);
    newest.map(|(_, ratio)| ratio > 0.0)
}

/// The statements that let anyone do something with at least a part of the domain.
fn open<'a>(spec: &Spec, statements: &'a [Statement]) -> Vec<&'a Statement> {
    let everything = format!("{}/*", spec.domain);
    let about = |one: &Statement, action: &str| match one.effect {
        Effect::Allow => one.covers_action(action),
        Effect::Deny => one.covers(action, &everything),
    };
    ACTIONS.into_iter().flat_map(|action| policy::open_to_anybody(statements, |one| about(one, action))).collect()
}

fn public(spec: &Spec, statements: &[Statement]) -> Option<Finding> {
    let open = *open(spec, statements).first()?;
    let name = open
        .sid
        .as_deref()
        .map_or_else(|| "a statement without a name".to_owned(), |sid| format!("the statement {}", shown([sid])));
    Some(Finding {
        summary: "The search domain is open to the whole internet.".to_owned(),
        expected: "only eMite's servers and this account are admitted".to_owned(),
        observed: format!("{name} admits anybody, from anywhere"),
        impact: "Anybody can read your contact records, with the phone numbers in them, and may be able to change or delete them."
            .to_owned(),
        remedy: remedy("remove that statement, or limit it to the addresses that need it"),
        values: values([("sid", open.sid.as_deref().into())]),
        ..CHECK.finding(spec, &PUBLIC, Status::Unexpected, Severity::Critical)
    })
}

fn others(spec: &Spec, statements: &[Statement]) -> Option<Finding> {
    let open = open(spec, statements);
    let allowing = statements.iter().filter(|one| one.effect == Effect::Allow && !open.contains(one));
    let mut others: Vec<String> = allowing.flat_map(|statement| extras(spec, statement)).collect();
    others.sort();
    others.dedup();
    (!others.is_empty()).then(|| Finding {
        summary: "The search domain admits others than eMite and this account.".to_owned(),
        expected: "only eMite's servers and this account are admitted".to_owned(),
        observed: format!("also admitted: {}", shown(others.iter().map(String::as_str))),
        impact: "They can read contact records. This may well be intended.".to_owned(),
        remedy: remedy("remove what nobody needs"),
        values: values([("alsoAdmitted", texts(&others))]),
        ..CHECK.finding(spec, &OTHERS, Status::Unexpected, Severity::Info)
    })
}

/// Whom a statement admits who is neither eMite nor this account.
fn extras(spec: &Spec, statement: &Statement) -> Vec<String> {
    if statement.anybody() {
        let by_address = |test: &&Test| test.key == SOURCE_IP && test.operator == Operator::Ip && !test.negated;
        let ours = |network: &IpNet| matches!(network, IpNet::V4(network) if spec.emite_servers.iter().any(|server| server.contains(network)));
        let mut limits = statement.tests.iter().filter(by_address).peekable();
        return match limits.peek() {
            Some(_) => limits
                .flat_map(Test::networks)
                .filter(|network| !ours(network))
                .map(|network| network.to_string())
                .collect(),
            None => vec!["anybody, within the limits of other conditions or statements".to_owned()],
        };
    }
    let root = root(spec);
    match &statement.principals {
        Scope::Only(named) => named.iter().filter(|one| !one.is(&root)).map(|one| one.id.clone()).collect(),
        Scope::Except(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{findings, flat, healthy, is_unobservable_without, only, put, spec};
    use crate::metrics::Series;

    fn with(policy: Value) -> Snapshot {
        let mut snapshot = healthy();
        snapshot.domain.as_mut().unwrap().as_mut().unwrap().access_policy = policy;
        snapshot
    }

    fn allow(principal: &str, action: Value, condition: Value) -> Value {
        json!({"Sid": "S1", "Effect": "Allow", "Principal": {"AWS": principal}, "Action": action,
            "Resource": "arn:aws:es:ap-southeast-2:111122223333:domain/emite-kinesis-connect/*", "Condition": condition})
    }

    fn from(networks: &[&str]) -> Value {
        json!({"IpAddress": {"aws:SourceIp": networks}})
    }

    fn emite() -> Value {
        allow("*", json!("es:ESHttp*"), from(&["203.0.113.0/24", "198.51.100.0/29", "198.51.100.8/29"]))
    }

    fn own() -> Value {
        allow("111122223333", json!("ES:*"), json!({}))
    }

    fn told(statements: Value) -> Vec<(Severity, String)> {
        let found = findings(&CHECK, &spec(), &with(json!({"Statement": statements})));
        found.into_iter().map(|one| (one.severity, one.part().to_owned())).collect()
    }

    #[test]
    fn by_the_guides_own_policy_records_may_get_in_and_whether_they_do_is_seen() {
        let found = Spec { existing: [Existing::Domain].into(), ..spec() };
        let account = |snapshot: &Snapshot| {
            let told = findings(&CHECK, &found, snapshot).into_iter();
            told.filter(|finding| finding.part() == "this-account").map(|finding| finding.severity).collect::<Vec<_>>()
        };
        let mut by_guide = healthy();
        if let Ok(Some(domain)) = &mut by_guide.domain {
            domain.access_policy["Statement"].as_array_mut().unwrap().truncate(1);
        }
        assert_eq!(account(&by_guide), [Severity::Info]);
        put(&mut by_guide, "delivery_success", flat(0.0));
        assert_eq!(account(&by_guide), [Severity::Critical]);
        put(&mut by_guide, "delivery_success", Series::default());
        assert_eq!(account(&by_guide), [Severity::Warning]);
        assert_eq!(account(&healthy()), []);
    }

    #[test]
    fn without_a_policy_neither_emite_nor_this_account_is_admitted() {
        insta::assert_json_snapshot!(findings(&CHECK, &spec(), &with(Value::Null)));
    }

    #[test]
    fn the_guides_policy_by_address_alone_refuses_firehose() {
        let servers = allow("*", json!("es:*"), from(&["203.0.113.10", "198.51.100.0/28"]));
        assert_eq!(told(servers), [(Severity::Critical, "this-account".to_owned())]);
    }

    #[test]
    fn one_server_that_is_left_out_is_named() {
        let servers = allow("*", json!("es:*"), from(&["203.0.113.10", "198.51.100.0/29"]));
        let found = only(&CHECK, &spec(), &with(json!({"Statement": [servers, own()]})));
        assert_eq!(found.observed, "not admitted, or not with everything: 198.51.100.0/28");
    }

    #[test]
    fn a_policy_that_is_open_to_anybody_is_critical() {
        let open = allow("*", json!("es:ESHttp*"), json!({}));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(json!({"Statement": open}))));
        let wide = allow("*", json!("es:ESHttpGet"), from(&["0.0.0.0/0"]));
        assert_eq!(told(json!([emite(), own(), wide])).first(), Some(&(Severity::Critical, "public".to_owned())));
    }

    #[test]
    fn it_stays_open_if_only_a_part_is_denied() {
        let open = allow("*", json!("es:*"), json!({}));
        let part = |action: &str, resource: &str| json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource});
        for deny in [
            part("es:ESHttpDelete", "*"),
            part("es:*", "arn:aws:es:ap-southeast-2:111122223333:domain/emite-kinesis-connect/x"),
        ] {
            let found = told(json!([open, own(), deny]));
            assert!(found.contains(&(Severity::Critical, "public".to_owned())), "{found:?}");
        }
    }

    #[test]
    fn others_are_told_once_and_are_never_a_reason_for_more() {
        let role = allow("arn:aws:iam::999999999999:role/analyst", json!("es:*"), json!({}));
        let office = allow("*", json!("es:ESHttpGet"), from(&["192.0.2.0/24", "2001:db8::/48"]));
        let servers = allow("*", json!("es:ESHttp*"), from(&["203.0.113.10", "198.51.100.0/28"]));
        insta::assert_json_snapshot!(only(
            &CHECK,
            &spec(),
            &with(json!({"Statement": [servers, own(), role, office]}))
        ));
        assert_eq!(told(json!([emite(), own()])), [(Severity::Info, "others".to_owned())]);
    }

    #[test]
    fn what_is_denied_is_not_admitted() {
        let deny = |condition: Value, action: &str| json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*", "Condition": condition});
        let servers = || allow("*", json!("es:ESHttp*"), from(&["203.0.113.10", "198.51.100.0/28"]));
        let after = |deny: Value| told(json!([servers(), own(), deny]));
        assert_eq!(after(deny(from(&["203.0.113.10"]), "es:*")), [(Severity::Warning, "emite-servers".to_owned())]);
        let elsewhere = json!({"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "198.51.100.0/24"]}});
        assert_eq!(after(deny(elsewhere, "es:*")), [(Severity::Critical, "this-account".to_owned())]);
        let both = [(Severity::Warning, "emite-servers".to_owned()), (Severity::Warning, "this-account".to_owned())];
        assert_eq!(after(deny(json!({}), "es:ESHttpDelete")), both);
        assert_eq!(after(deny(json!({"Bool": {"aws:SecureTransport": "false"}}), "es:*")), []);
    }

    #[test]
    fn a_domain_that_is_gone_is_told_by_another_check() {
        let mut snapshot = healthy();
        snapshot.domain = Ok(None);
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn a_domain_that_cannot_be_seen_is_neither() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.domain = Err(unseen));
    }
}
