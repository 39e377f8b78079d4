//! Owns checking that alarms may publish to a topic that is given.

use emite_aws::sns;
use emite_core::arn::Arn;
use serde_json::Value;

use super::problem::Problem;
use crate::services::Services;

pub(super) async fn check(services: &Services, arn: Option<&Arn>) -> Option<Problem> {
    const PARAMETER: &str = "AlertTopicArn";
    let arn = arn?;
    let topic = match sns::topic(services.aws.sns(), arn).await {
        Ok(Some(topic)) => topic,
        Ok(None) => {
            return Some(Problem::new(format!(
                "{PARAMETER}: the topic {arn} does not exist. Correct it, or leave it empty: the stack then makes a topic."
            )));
        }
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    if !admits_alarms(&topic.policy) {
        return Some(Problem::new(format!(
            "{PARAMETER}: the policy of {arn} does not let alarms publish. Add a statement that allows sns:Publish to the service cloudwatch.amazonaws.com with aws:SourceAccount {}.",
            services.home.account
        )));
    }
    let key = topic.key.is_some_and(|key| key.ends_with("alias/aws/sns"));
    key.then(|| Problem::new(format!("{PARAMETER}: {arn} is encrypted with alias/aws/sns, which alarms cannot use. Encrypt it with a key of your own that admits cloudwatch.amazonaws.com, or not at all.")))
}

/// Whether a topic's policy lets CloudWatch publish. The policy that SNS itself gives a new topic does, by admitting
/// everything that acts for the topic's own account.
fn admits_alarms(policy: &Value) -> bool {
    let one_or_many = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let names = |value: &Value, wanted: &[&str]| {
        one_or_many(value)
            .iter()
            .filter_map(Value::as_str)
            .any(|name| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
    };
    one_or_many(&policy["Statement"]).iter().any(|statement| {
        let principal = &statement["Principal"];
        let cloudwatch = names(&principal["Service"], &["cloudwatch.amazonaws.com"]);
        let everybody = names(principal, &["*"]) || names(&principal["AWS"], &["*"]);
        statement["Effect"] == "Allow"
            && (cloudwatch || everybody)
            && names(&statement["Action"], &["sns:Publish", "sns:*", "*"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn alarms_are_admitted_by_a_statement_for_cloudwatch_or_by_the_policy_of_a_new_topic() {
        let statement = |principal: Value, action: Value| json!({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": action}]});
        assert!(admits_alarms(&statement(
            json!({"Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com"]}),
            json!("sns:Publish")
        )));
        assert!(admits_alarms(&statement(json!({"AWS": "*"}), json!(["SNS:GetTopicAttributes", "SNS:Publish"]))));
        assert!(!admits_alarms(&statement(json!({"Service": "events.amazonaws.com"}), json!("sns:Publish"))));
        assert!(!admits_alarms(&statement(json!({"AWS": "*"}), json!("sns:Subscribe"))));
        assert!(!admits_alarms(&json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish"}})));
        assert!(!admits_alarms(&Value::Null));
    }
}
