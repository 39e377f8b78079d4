//! Owns the inline policy of the role that eMite assumes: what the role may do, and for how long a session lasts.

mod reads;

use serde_json::{Value, json};

use crate::spec::Spec;

/// What Session Manager needs of a server, and nothing beyond
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html>).
pub const SESSIONS: &[&str] = &[
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
];

/// Twelve hours, the longest that AWS allows.
pub const SESSION_SECONDS: u32 = 43_200;

/// The stack's inline policy of the role.
pub const POLICY: &str = "emite-role-policy";

/// The statements of the stack's inline policy as the template deploys them.
pub fn statements(spec: &Spec) -> Vec<Value> {
    let stream = spec.agent_event_stream.to_string();
    let instance = spec.instance_arn.to_string();
    let allow = |sid: &str, actions: &[&str], resources: &[&str]| {
        let (actions, resources) = (one_or_all(actions), one_or_all(resources));
        json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources})
    };
    let mut statements = vec![
        allow(
            "AllowReadKinesis1",
            &[
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
                "kinesis:ListTagsForStream",
            ],
            &[&stream],
        ),
        allow("AllowReadKinesis2", &["kinesis:DescribeLimits"], &["*"]),
        allow("AllowReadAmazonConnect1", reads::READS, &[&instance, &format!("{instance}/*")]),
        allow("AllowReadAmazonConnect2", &["connect:ListInstances", "ds:DescribeDirectories"], &["*"]),
    ];
    if let Some(key) = &spec.agent_event_key {
        let mut decrypt = allow("AllowDecryptKinesis", &["kms:Decrypt"], &[&key.to_string()]);
        let service = format!("kinesis.{}.amazonaws.com", spec.home.region);
        decrypt["Condition"] = json!({"StringEquals": {"kms:ViaService": service}});
        statements.push(decrypt);
    }
    if spec.server.as_ref().is_some_and(|server| server.rdp_from.is_empty()) {
        statements.push(allow("AllowSessions", SESSIONS, &["*"]));
    }
    statements.push(json!({
        "Sid": "DenyFederationTokens", "Effect": "Deny", "Resource": "*",
        "Action": ["connect:AdminGetEmergencyAccessToken", "connect:GetFederationToken", "connect:GetFederationTokens"],
    }));
    statements
}

fn one_or_all(texts: &[&str]) -> Value {
    match texts {
        [one] => json!(one),
        all => json!(all),
    }
}
