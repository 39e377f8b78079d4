//! Owns reading policy documents in IAM's language: trust policies, role policies, and the access policy of a search domain
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
//!
//! Pure, and it never fails: what is not a statement says nothing, as AWS would not have stored it. A judge must not cry wolf
//! over what it cannot evaluate, so a condition that is not understood, or a policy variable, is taken to let an Allow through
//! and to keep a Deny from biting.

pub mod merge;

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Map, Value};

/// What a statement does with a request that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Lets it through.
    Allow,
    /// Refuses it, whatever allows it.
    Deny,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name in the document.
    pub sid: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// The principals that it is about; a role's own policy names none.
    pub principals: Scope<Principal>,
    /// The conditions, all of which must hold.
    pub tests: Vec<Test>,
    actions: Scope<String>,
    resources: Scope<String>,
}

/// What a part of a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope<T> {
    /// These; nothing, if the part is missing.
    Only(Vec<T>),
    /// Everything but these: `NotPrincipal`, `NotAction`, `NotResource`.
    Except(Vec<T>),
}

/// A principal that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `AWS`, `Service`, `Federated` or `CanonicalUser`.
    pub kind: String,
    /// An ARN, an account, a service, or `*`.
    pub id: String,
}

/// One key of a condition with what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// How it is compared.
    pub operator: Operator,
    /// The comparison must fail.
    pub negated: bool,
    /// A request without the key passes.
    pub if_exists: bool,
    /// The condition key in lower case.
    pub key: String,
    /// One of these must do.
    pub values: Vec<String>,
}

/// How a condition compares; whether it is negated is [`Test::negated`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal texts.
    Equals,
    /// Equal texts, whatever their case.
    EqualsIgnoreCase,
    /// Texts with `*` and `?`, ARNs included.
    Like,
    /// An address within networks.
    Ip,
    /// The key is absent, or with `false`, present.
    Null,
    /// One that is not evaluated here.
    Unknown,
}

/// What the policies of a role say of one action on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, and not denied.
    Allowed,
    /// Denied, so that no other policy can allow it.
    Denied,
    /// Neither.
    Unsaid,
}

/// The statements of a document, which may be one or a list.
pub fn statements(document: &Value) -> Vec<Statement> {
    let statements = match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_object).collect(),
        Some(Value::Object(one)) => vec![one],
        _ => Vec::new(),
    };
    statements.into_iter().filter_map(Statement::read).collect()
}

/// What statements of a role's own policies say of `action` on `resource`.
pub fn decide(statements: &[Statement], action: &str, resource: &str) -> Decision {
    let says = |effect| {
        let concerns = |statement: &Statement| statement.covers(action, resource) && statement.holds(|_| None);
        statements.iter().any(|statement| statement.effect == effect && concerns(statement))
    };
    match (says(Effect::Deny), says(Effect::Allow)) {
        (true, _) => Decision::Denied,
        (false, true) => Decision::Allowed,
        (false, false) => Decision::Unsaid,
    }
}

/// The statements with which one thing is open to anybody: no condition of theirs says who or where from, and no other
/// statement refuses everybody else. `covers` tells which statements are about that thing, all of it where they deny.
pub fn open_to_anybody(statements: &[Statement], covers: impl Fn(&Statement) -> bool) -> Vec<&Statement> {
    let about: Vec<_> = statements.iter().filter(|statement| statement.anybody() && covers(statement)).collect();
    let bars =
        |statement: &&Statement| statement.effect == Effect::Deny && statement.tests.iter().all(Test::bars_others);
    if about.iter().any(bars) {
        return Vec::new();
    }
    let open =
        |statement: &&Statement| statement.effect == Effect::Allow && !statement.tests.iter().any(Test::limits_who);
    about.into_iter().filter(open).collect()
}

impl Statement {
    fn read(fields: &Map<String, Value>) -> Option<Self> {
        let effect = match fields.get("Effect")?.as_str()? {
            "Allow" => Effect::Allow,
            "Deny" => Effect::Deny,
            _ => return None,
        };
        Some(Self {
            sid: fields.get("Sid").and_then(Value::as_str).map(str::to_owned),
            effect,
            principals: Scope::read(fields, ["Principal", "NotPrincipal"], principals),
            actions: Scope::read(fields, ["Action", "NotAction"], |value| {
                texts(value).iter().map(|action| action.to_ascii_lowercase()).collect()
            }),
            resources: Scope::read(fields, ["Resource", "NotResource"], texts),
            tests: fields.get("Condition").map(tests).unwrap_or_default(),
        })
    }

    /// Whether it is about `action`, for which case does not matter.
    pub fn covers_action(&self, action: &str) -> bool {
        self.within(&self.actions, &action.to_ascii_lowercase())
    }

    /// Whether it is about `action` on `resource`.
    pub fn covers(&self, action: &str, resource: &str) -> bool {
        self.covers_action(action) && self.within(&self.resources, resource)
    }

    /// Whether it is about everybody, those without any credentials included.
    pub fn anybody(&self) -> bool {
        match &self.principals {
            Scope::Only(named) => named.iter().any(Principal::is_anybody),
            Scope::Except(_) => true,
        }
    }

    /// Whether it is about `principal`, by name, through its account, or as it is about everybody.
    pub fn names(&self, principal: &str) -> bool {
        let named = |principals: &[Principal]| principals.iter().any(|named| named.includes(principal));
        match &self.principals {
            Scope::Only(principals) => named(principals),
            Scope::Except(principals) => !named(principals),
        }
    }

    /// Whether its conditions hold, as far as `known` can tell of each.
    pub fn holds(&self, known: impl Fn(&Test) -> Option<bool>) -> bool {
        self.tests.iter().all(|test| known(test).unwrap_or(self.effect == Effect::Allow))
    }

    fn within(&self, scope: &Scope<String>, text: &str) -> bool {
        let hit = |patterns: &[String]| any_matches(patterns, |pattern| matches(pattern, text));
        let inside = match scope {
            Scope::Only(patterns) => hit(patterns),
            Scope::Except(patterns) => hit(patterns).map(|hit| !hit),
        };
        inside.unwrap_or(self.effect == Effect::Allow)
    }
}

impl<T> Scope<T> {
    fn read(fields: &Map<String, Value>, [only, except]: [&str; 2], list: impl Fn(&Value) -> Vec<T>) -> Self {
        match (fields.get(only), fields.get(except)) {
            (Some(value), _) => Self::Only(list(value)),
            (None, Some(value)) => Self::Except(list(value)),
            (None, None) => Self::Only(Vec::new()),
        }
    }
}

impl Principal {
    fn is_anybody(&self) -> bool {
        self.kind == "AWS" && self.id == "*"
    }

    /// It is `principal`. An account can be written as its number.
    pub fn is(&self, principal: &str) -> bool {
        let same_account = || account_root(&self.id).is_some_and(|account| account_root(principal) == Some(account));
        self.kind == "AWS" && (self.id == principal || same_account())
    }

    /// It is `principal`, its account, or everybody.
    fn includes(&self, principal: &str) -> bool {
        let account = principal.split(':').nth(4);
        let root = || self.kind == "AWS" && account.is_some() && account_root(&self.id) == account;
        self.is_anybody() || self.is(principal) || root()
    }

    /// IAM writes the unique id in place of a user or role that was deleted. A new one of the same name is not it.
    pub fn is_deleted(&self) -> bool {
        let id = |prefix: &str| self.id.starts_with(prefix) && self.id.len() >= 16;
        let plain = self.id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        self.kind == "AWS" && plain && (id("AIDA") || id("AROA"))
    }
}

impl Test {
    fn read(operator: &str, key: &str, values: &Value) -> Self {
        let name = operator.to_ascii_lowercase();
        let (name, if_exists) = name.strip_suffix("ifexists").map_or((name.as_str(), false), |name| (name, true));
        let (name, any) = name.strip_prefix("foranyvalue:").map_or((name, false), |name| (name, true));
        let (operator, negated) = match name {
            "stringequals" => (Operator::Equals, false),
            "stringnotequals" => (Operator::Equals, true),
            "stringequalsignorecase" => (Operator::EqualsIgnoreCase, false),
            "stringnotequalsignorecase" => (Operator::EqualsIgnoreCase, true),
            "stringlike" | "arnlike" | "arnequals" => (Operator::Like, false),
            "stringnotlike" | "arnnotlike" | "arnnotequals" => (Operator::Like, true),
            "ipaddress" => (Operator::Ip, false),
            "notipaddress" => (Operator::Ip, true),
            "null" => (Operator::Null, false),
            _ => (Operator::Unknown, false),
        };
        let operator = if any && negated { Operator::Unknown } else { operator };
        Self { operator, negated, if_exists, key: key.to_ascii_lowercase(), values: texts(values) }
    }

    /// Whether a request whose key is `text` passes; nothing, if that cannot be told.
    pub fn accepts(&self, text: &str) -> Option<bool> {
        let hit = match self.operator {
            Operator::Equals => any_matches(&self.values, |value| value == text),
            Operator::EqualsIgnoreCase => any_matches(&self.values, |value| value.eq_ignore_ascii_case(text)),
            Operator::Like => any_matches(&self.values, |value| matches(value, text)),
            Operator::Null => Some(self.values.iter().any(|value| value == "false")),
            Operator::Ip | Operator::Unknown => None,
        };
        hit.map(|hit| hit != self.negated)
    }

    /// The networks that an address is compared with. One that cannot be read has no address in it.
    pub fn networks(&self) -> Vec<IpNet> {
        let network = |value: &String| value.parse().or_else(|_| value.parse::<IpAddr>().map(IpNet::from)).ok();
        self.values.iter().filter_map(network).collect()
    }

    /// It lets only some callers, or some places, through.
    pub fn limits_who(&self) -> bool {
        !self.negated && !self.if_exists && self.is_narrow()
    }

    /// In a Deny: it refuses all but some callers, or some places.
    fn bars_others(&self) -> bool {
        self.negated && self.is_narrow()
    }

    /// It is about who calls, or where from, and its values do not take in the whole world.
    fn is_narrow(&self) -> bool {
        match self.operator {
            Operator::Ip => self.key == SOURCE_IP && !self.networks().iter().any(is_wide),
            Operator::Equals | Operator::EqualsIgnoreCase | Operator::Like if ARN_KEYS.contains(&self.key.as_str()) => {
                self.values.iter().all(|value| value.split(':').nth(4).is_some_and(|account| !is_open(account)))
            }
            Operator::Equals | Operator::EqualsIgnoreCase | Operator::Like if WHO_KEYS.contains(&self.key.as_str()) => {
                !self.values.iter().any(|value| is_open(value))
            }
            _ => false,
        }
    }
}

/// The condition key of the caller's address.
pub const SOURCE_IP: &str = "aws:sourceip";
/// Condition keys that hold an ARN with the account of the caller.
const ARN_KEYS: [&str; 2] = ["aws:principalarn", "aws:sourcearn"];
/// Other condition keys that tell who calls or where from.
const WHO_KEYS: [&str; 10] = [
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourceorgid",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:username",
    "sts:externalid",
];

/// Wider than any one owner's network: AWS too counts such a range as the public.
pub fn is_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) => network.prefix_len() < 32,
    }
}

/// The IPv4 networks among them, neighbours joined.
pub fn joined(networks: &[IpNet]) -> Vec<Ipv4Net> {
    let v4 = |network: &IpNet| if let IpNet::V4(network) = network { Some(*network) } else { None };
    Ipv4Net::aggregate(&networks.iter().filter_map(v4).collect())
}

/// Texts of a document for people to read: plain characters, few, and short, whatever the document holds.
pub fn shown<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    const FEW: usize = 4;
    const SHORT: usize = 90;
    let plain = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
    let short = |text: &str| {
        let cut = if text.chars().nth(SHORT).is_some() { "..." } else { "" };
        text.chars().take(SHORT).map(plain).collect::<String>() + cut
    };
    let mut texts = texts.into_iter();
    let mut shown: Vec<String> = texts.by_ref().take(FEW).map(short).collect();
    match texts.count() {
        0 => {}
        more => shown.push(format!("{more} more")),
    }
    shown.join(", ")
}

/// The texts of a value that may be one or a list. AWS stores numbers and booleans of conditions as texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(list) => list.iter().filter(|item| !item.is_array()).flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

fn principals(value: &Value) -> Vec<Principal> {
    let named = |kind: &str, value: &Value| {
        let kind = kind.to_owned();
        texts(value).into_iter().map(move |id| Principal { kind: kind.clone(), id })
    };
    match value.as_object() {
        Some(kinds) => kinds.iter().flat_map(|(kind, value)| named(kind, value)).collect(),
        None => named("AWS", value).collect(),
    }
}

/// The tests of a condition. What cannot be read is one that nobody can evaluate.
fn tests(condition: &Value) -> Vec<Test> {
    let unknown = |key: &str| Test::read("", key, &Value::Null);
    let Some(operators) = condition.as_object() else { return vec![unknown("")] };
    operators
        .iter()
        .flat_map(|(operator, keys)| match keys.as_object() {
            Some(keys) => keys.iter().map(|(key, values)| Test::read(operator, key, values)).collect(),
            None => vec![unknown("")],
        })
        .collect()
}

/// The account whose root `principal` is, which stands for the whole account; written as its ARN or its 12 digits.
fn account_root(principal: &str) -> Option<&str> {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match principal.split(':').collect::<Vec<_>>()[..] {
        [account] if is_account(account) => Some(account),
        ["arn", _, "iam", "", account, "root"] if is_account(account) => Some(account),
        _ => None,
    }
}

/// A pattern that leaves it open who is meant.
fn is_open(pattern: &str) -> bool {
    pattern.contains(['*', '?']) && pattern.bytes().all(|byte| b"*?-/:".contains(&byte))
}

/// Whether `hit` is true of any pattern; nothing, if that depends on a policy variable.
fn any_matches(patterns: &[String], hit: impl Fn(&str) -> bool) -> Option<bool> {
    let (open, plain): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.contains("${"));
    if plain.iter().any(|pattern| hit(pattern)) { Some(true) } else { open.is_empty().then_some(false) }
}

/// Whether the whole text is as the pattern says: `*` stands for any characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(in_text) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, in_text));
                at += 1;
            }
            Some(wanted) if wanted == letter || *wanted == b'?' => {
                at += 1;
                in_text += 1;
            }
            _ => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                at = behind;
                in_text = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn one(statement: Value) -> Statement {
        statements(&json!({"Statement": statement})).remove(0)
    }

    #[test]
    fn one_or_a_list_are_the_same_and_case_of_actions_does_not_matter() {
        for (actions, resources) in [
            (json!("KINESIS:getrecords"), json!("arn:x:stream/a")),
            (json!(["s3:Get?bject", "kinesis:Get*"]), json!(["arn:x:stream/?"])),
            (json!("*"), json!("*")),
        ] {
            let fields = json!({"Effect": "Allow", "Action": actions, "Resource": resources});
            for statement in [fields.clone(), json!([fields])] {
                let statement = one(statement);
                assert!(statement.covers("kinesis:GetRecords", "arn:x:stream/a"), "{statement:?}");
                assert_eq!(statement.covers("kinesis:PutRecord", "arn:x:stream/a"), actions == "*");
            }
        }
    }

    #[test]
    fn not_means_everything_else() {
        let statement = one(
            json!({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:x:b", "NotPrincipal": "111122223333"}),
        );
        assert!(statement.covers("kinesis:GetRecords", "arn:x:a"));
        assert!(!statement.covers("IAM:PassRole", "arn:x:a") && !statement.covers("kinesis:GetRecords", "arn:x:b"));
        assert!(statement.anybody() && statement.names("arn:aws:iam::444455556666:root"));
        assert!(!statement.names("arn:aws:iam::111122223333:root"));
    }

    #[test]
    fn a_missing_part_is_about_nothing() {
        let statement = one(json!({"Effect": "Allow"}));
        assert!(!statement.covers("a:b", "c") && !statement.anybody() && !statement.names("111122223333"));
    }

    #[test]
    fn a_principal_is_meant_by_its_own_name_by_its_account_and_by_everybody() {
        let role = "arn:aws:iam::444455556666:role/reader";
        let named = |principal: Value| one(json!({"Effect": "Allow", "Principal": principal})).names(role);
        for principal in [
            json!("*"),
            json!({"AWS": "*"}),
            json!({"AWS": ["444455556666"]}),
            json!({"Service": "ec2.amazonaws.com", "AWS": role}),
            json!({"AWS": "arn:aws:iam::444455556666:root"}),
        ] {
            assert!(named(principal.clone()), "{principal}");
        }
        for principal in [
            json!({"Service": "*"}),
            json!({"AWS": "arn:aws:iam::444455556666:role/*"}),
            json!({"AWS": "999999999999"}),
        ] {
            assert!(!named(principal.clone()), "{principal}");
        }
    }

    #[test]
    fn what_is_not_understood_lets_an_allow_through_and_keeps_a_deny_from_biting() {
        let decision = |effect: &str, resource: &str, condition: Value| {
            let statement = json!({"Effect": effect, "Action": "a:b", "Resource": resource, "Condition": condition});
            decide(&statements(&json!({"Statement": [statement]})), "a:b", "c")
        };
        for (resource, condition) in [
            ("c", json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}})),
            ("c", json!("nonsense")),
            ("c", json!({"StringEquals": 7})),
            ("x/${aws:username}", json!({})),
        ] {
            assert_eq!(decision("Allow", resource, condition.clone()), Decision::Allowed, "{condition}");
            assert_eq!(decision("Deny", resource, condition.clone()), Decision::Unsaid, "{condition}");
        }
        assert_eq!(decision("Deny", "*", json!({})), Decision::Denied);
    }

    #[test]
    fn open_means_that_nothing_says_who_or_where_from() {
        let open = |condition: Value, other: Value| {
            let all = json!({"Statement": [
                {"Effect": "Allow", "Principal": "*", "Action": "es:*", "Resource": "*", "Condition": condition}, other]});
            !open_to_anybody(&statements(&all), |statement| statement.covers_action("es:ESHttpGet")).is_empty()
        };
        for condition in [
            json!({}),
            json!({"IpAddress": {"aws:SourceIp": ["203.0.113.10", "0.0.0.0/0"]}}),
            json!({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}),
            json!({"IpAddress": {"aws:SourceIp": "::/0"}}),
            json!({"IpAddressIfExists": {"aws:SourceIp": "203.0.113.10"}}),
            json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.10"}}),
            json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/emite"}}),
            json!({"StringLike": {"aws:PrincipalAccount": "*"}}),
            json!({"StringLike": {"aws:UserAgent": "emite"}}),
            json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        ] {
            assert!(open(condition.clone(), Value::Null), "{condition}");
        }
        for condition in [
            json!({"IpAddress": {"AWS:sourceIP": "203.0.113.10"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/*"}}),
        ] {
            assert!(!open(condition.clone(), Value::Null), "{condition}");
        }
        let barred = json!({"Effect": "Deny", "Principal": "*", "Action": "es:*", "Resource": "*",
            "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}});
        assert!(!open(json!({}), barred));
    }

    #[test]
    fn what_is_shown_is_short_and_plain_whatever_it_was() {
        let long = "ä\n".repeat(500);
        let shown = shown([long.as_str(); 9]);
        assert!(shown.len() < 420 && shown.ends_with("5 more") && shown.is_ascii(), "{shown}");
        assert!(!shown.contains('\n'));
    }

    /// Documents that are nearly policies.
    fn documents() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "*",
            "Allow",
            "Deny",
            "es:*",
            "arn:aws:iam::111122223333:root",
            "203.0.113.10/33",
            "::/0",
            "0.0.0.0/0",
            "${a}",
            "?",
            "ä",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        let key = prop::sample::select(vec![
            "Statement",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
            "AWS",
            "IpAddress",
            "NotIpAddress",
            "StringLike",
            "ForAnyValue:StringNotEqualsIfExists",
            "aws:SourceIp",
            "sts:ExternalId",
        ]);
        leaf.prop_recursive(6, 96, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..8)
                    .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(document in documents(), statement in documents()) {
            for document in [document, json!({"Statement": statement})] {
                let statements = statements(&document);
                let _ = decide(&statements, "es:ESHttpGet", "arn:x");
                let _ = open_to_anybody(&statements, |statement| statement.covers("es:ESHttpGet", "arn:x"));
                for statement in &statements {
                    let _ = statement.names("arn:aws:iam::111122223333:root");
                    let _ = statement.holds(|test| { let _ = joined(&test.networks()); test.accepts("x") });
                }
            }
        }

        #[test]
        fn a_star_stands_for_anything(head in "[a-z*?]{0,6}", middle in ".{0,12}", tail in "[a-z]{0,6}") {
            let (pattern, text) = (format!("{head}*{tail}"), format!("{head}{middle}{tail}"));
            prop_assert!(matches(&pattern, &text));
            prop_assert!(matches(&head, &head));
        }
    }
}
