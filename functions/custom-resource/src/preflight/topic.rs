//! Owns checking that alarms may publish to a topic that is given.

use emite_aws::sns;
use emite_core::arn::{Arn, Home};
use emite_core::policy::{Effect, Operator, Principal, Scope, Statement, Test, statements};
use serde_json::Value;

use super::problem::Problem;
use crate::provider::Provider;

pub(super) async fn check(provider: &Provider, arn: Option<&Arn>) -> Option<Problem> {
    const PARAMETER: &str = "AlertTopicArn";
    let arn = arn?;
    let topic = match sns::topic(provider.aws.sns(), arn).await {
        Ok(Some(topic)) => topic,
        Ok(None) => {
            return Some(Problem::new(format!(
                "{PARAMETER}: the topic {arn} does not exist. Correct it, or leave it empty: the stack then makes a topic."
            )));
        }
        Err(error) => return Some(Problem::unverified(PARAMETER, &error)),
    };
    if !admits_alarms(&topic.policy, arn, &provider.home) {
        return Some(Problem::new(format!(
            "{PARAMETER}: the policy of {arn} does not let alarms publish. Add a statement that allows sns:Publish to the service cloudwatch.amazonaws.com with aws:SourceAccount {}.",
            provider.home.account
        )));
    }
    let key = topic.key.is_some_and(|key| key.ends_with("alias/aws/sns"));
    key.then(|| Problem::new(format!("{PARAMETER}: {arn} is encrypted with alias/aws/sns, which alarms cannot use. Encrypt it with a key of your own that admits cloudwatch.amazonaws.com, or not at all.")))
}

const PUBLISH: &str = "sns:Publish";

/// Whether a topic's policy lets the alarms of this account publish. The policy that SNS itself gives a new topic does, by admitting
/// everything that acts for the topic's own account.
///
/// What cannot be evaluated is no reason to refuse a deployment. So an Allow is taken to be about the topic that has it, and a Deny
/// only counts if it names that topic.
fn admits_alarms(policy: &Value, topic: &Arn, home: &Home) -> bool {
    let (statements, topic) = (statements(policy), topic.to_string());
    let applies = |one: &Statement| names_alarms(one) && one.holds(|test| holds_for_alarms(test, home));
    let allows = |one: &Statement| one.effect == Effect::Allow && one.covers_action(PUBLISH);
    let denies = |one: &Statement| one.effect == Effect::Deny && one.covers(PUBLISH, &topic);
    statements.iter().any(|one| allows(one) && applies(one))
        && !statements.iter().any(|one| denies(one) && applies(one))
}

/// Whether a statement is about CloudWatch, by name or as it is about everyone.
fn names_alarms(statement: &Statement) -> bool {
    let is = |named: &Principal| match named.kind.as_str() {
        "Service" => named.id.eq_ignore_ascii_case("cloudwatch.amazonaws.com"),
        "AWS" => named.id == "*",
        _ => false,
    };
    match &statement.principals {
        Scope::Only(named) => named.iter().any(is),
        Scope::Except(named) => !named.iter().any(is),
    }
}

/// Whether a condition holds when an alarm of this account publishes; none if that cannot be known
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>).
fn holds_for_alarms(test: &Test, home: &Home) -> Option<bool> {
    match test.key.as_str() {
        // The first of them is SNS's own older name of the other.
        "aws:sourceowner" | "aws:sourceaccount" => test.accepts(&home.account),
        // The names of the alarms are not known yet, but their account is.
        "aws:sourcearn" if test.operator == Operator::Like && !test.negated => {
            let is_ours = |value: &String| {
                value
                    .split(':')
                    .nth(4)
                    .is_none_or(|account| account.contains(['*', '?', '$']) || account == home.account)
            };
            (!test.values.iter().any(is_ours)).then_some(false)
        }
        // A service belongs to no organization, so its requests do not have these keys.
        "aws:principalorgid" | "aws:principalorgpaths" => match test.operator {
            Operator::Null => Some(test.values.iter().any(|value| value == "true")),
            Operator::Unknown => None,
            _ => Some(test.negated || test.if_exists),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn home() -> Home {
        Home { partition: "aws".into(), region: "eu-west-2".into(), account: "111122223333".into() }
    }

    fn topic() -> Arn {
        home().arn("sns", "alerts")
    }

    fn admits(policy: &Value) -> bool {
        admits_alarms(policy, &topic(), &home())
    }

    #[test]
    fn alarms_are_admitted_by_a_statement_for_cloudwatch_or_by_the_policy_of_a_new_topic() {
        let statement = |principal: Value, action: Value| json!({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": action}]});
        assert!(admits(&statement(
            json!({"Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com"]}),
            json!("sns:Publish")
        )));
        assert!(admits(&statement(json!({"AWS": "*"}), json!(["SNS:GetTopicAttributes", "SNS:Publish"]))));
        assert!(!admits(&statement(json!({"Service": "events.amazonaws.com"}), json!("sns:Publish"))));
        assert!(!admits(&statement(json!({"AWS": "*"}), json!("sns:Subscribe"))));
        assert!(!admits(&json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish"}})));
        assert!(!admits(&Value::Null));
    }

    /// A statement for CloudWatch with these fields instead.
    fn statement(effect: &str, fields: Value) -> Value {
        let mut statement = json!({"Effect": effect, "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish", "Resource": topic().to_string()});
        for (name, value) in fields.as_object().unwrap() {
            let instead = name.strip_prefix("Not").unwrap_or(name);
            statement.as_object_mut().unwrap().remove(instead);
            statement[name] = value.clone();
        }
        statement
    }

    fn allow(fields: Value) -> Value {
        statement("Allow", fields)
    }

    #[test]
    fn principals_and_actions_can_be_named_by_exception_or_by_wildcard() {
        for (fields, admitted) in [
            (json!({"NotPrincipal": {"Service": "events.amazonaws.com"}}), true),
            (json!({"NotPrincipal": {"Service": "cloudwatch.amazonaws.com"}}), false),
            (json!({"NotPrincipal": "*"}), false),
            (json!({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}}), false),
            (json!({"NotAction": "sns:Subscribe"}), true),
            (json!({"NotAction": ["sns:Publish", "sns:Subscribe"]}), false),
            (json!({"Action": "SNS:Pub*"}), true),
            (json!({"Action": "sns:*"}), true),
            (json!({"Action": "*"}), true),
            (json!({"Action": "sns:Get*"}), false),
        ] {
            assert_eq!(admits(&json!({"Statement": allow(fields.clone())})), admitted, "{fields}");
        }
    }

    #[test]
    fn deny_overrides_an_allow_where_it_applies_to_alarms() {
        for (fields, admitted) in [
            (json!({}), false),
            (json!({"Principal": "*", "Action": "sns:*"}), false),
            (json!({"NotPrincipal": {"Service": "events.amazonaws.com"}}), false),
            (json!({"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}}), false),
            (json!({"Principal": "*", "Condition": {"StringNotEquals": {"aws:SourceAccount": "999999999999"}}}), false),
            (json!({"NotPrincipal": {"Service": "cloudwatch.amazonaws.com"}}), true),
            (json!({"Principal": {"Service": "events.amazonaws.com"}}), true),
            (json!({"Action": "sns:Subscribe"}), true),
            (json!({"Resource": "arn:aws:sns:eu-west-2:111122223333:another"}), true),
            (json!({"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}), true),
            (json!({"Principal": "*", "Condition": {"StringNotEquals": {"aws:SourceAccount": "111122223333"}}}), true),
        ] {
            let policy = json!({"Statement": [allow(json!({})), statement("Deny", fields.clone())]});
            assert_eq!(admits(&policy), admitted, "{fields}");
        }
    }

    #[test]
    fn condition_that_no_alarm_of_this_account_meets_admits_none() {
        for (condition, admitted) in [
            (json!({"StringEquals": {"AWS:SourceOwner": "111122223333"}}), true),
            (json!({"StringEquals": {"AWS:SourceOwner": "999999999999"}}), false),
            (json!({"StringEquals": {"aws:SourceAccount": ["999999999999", "111122223333"]}}), true),
            (json!({"StringEquals": {"aws:SourceAccount": "999999999999"}}), false),
            (json!({"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-2:111122223333:alarm:emite-*"}}), true),
            (json!({"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:*:*:alarm:*"}}), true),
            (json!({"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-2:999999999999:alarm:*"}}), false),
            (json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), false),
            (json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}), true),
            (json!({"Bool": {"aws:SecureTransport": "true"}}), true),
            (json!({"StringEquals": {"aws:SourceOrgID": "o-1"}}), true),
        ] {
            let policy = json!({"Statement": allow(json!({"Principal": "*", "Condition": condition.clone()}))});
            assert_eq!(admits(&policy), admitted, "{condition}");
        }
    }
}
