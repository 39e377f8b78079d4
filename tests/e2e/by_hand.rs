//! Owns an integration that somebody made by hand years ago, as the guide says: stream, domain open to one address, delivery
//! stream with a bucket and no prefix, role with a managed policy, and an instance that streams there.

use std::sync::atomic::{AtomicUsize, Ordering};

use emite_connect_tests::instance::Instance;
use emite_connect_tests::local_aws::{LocalAws, local_aws};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::world::make_stream;

/// The names of what was made by hand.
pub(crate) struct ByHand {
    pub(crate) aws: &'static LocalAws,
    pub(crate) stream: String,
    pub(crate) domain: String,
    pub(crate) bucket: String,
    pub(crate) firehose: String,
    pub(crate) role: String,
}

/// The address of the eMite server.
pub(crate) const SERVER: &str = "203.0.113.10";

impl ByHand {
    /// All of it, but for what the instance streams to.
    pub(crate) async fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let aws = local_aws();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("hand-{what}-{number}");
        let made = Self {
            aws,
            stream: name("agentevents"),
            domain: format!("hand-{number}"),
            bucket: name("cloudbackup"),
            firehose: name("ctrfirehose"),
            role: name("role"),
        };
        made.make_delivery_role().await;
        make_stream(&made.stream).await;
        aws.make_bucket(&made.bucket, &aws.endpoints.region).await;
        made.make_domain().await;
        made.make_firehose(&json!({ "DeliveryStreamType": "DirectPut" }), &made.firehose).await;
        made.make_role().await;
        made
    }

    pub(crate) fn domain_arn(&self) -> String {
        self.aws.arn("es", &format!("domain/{}", self.domain))
    }

    pub(crate) fn stream_arn(&self) -> String {
        self.aws.arn("kinesis", &format!("stream/{}", self.stream))
    }

    pub(crate) fn firehose_arn(&self) -> String {
        self.aws.arn("firehose", &format!("deliverystream/{}", self.firehose))
    }

    pub(crate) fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/service/{}", self.aws.endpoints.account_id, self.role)
    }

    /// The role of the delivery stream, which the console made.
    pub(crate) fn delivery_role(&self) -> String {
        format!("arn:aws:iam::{}:role/hand-firehose", self.aws.endpoints.account_id)
    }

    async fn make_domain(&self) {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "es:*", "Resource": format!("{}/*", self.domain_arn()),
            "Condition": { "IpAddress": { "aws:SourceIp": [SERVER] } },
        }]});
        let input = json!({
            "DomainName": self.domain, "EngineVersion": "Elasticsearch_6.3", "AccessPolicies": policy.to_string(),
            "ClusterConfig": { "InstanceType": "m5.large.search", "InstanceCount": 1 },
            "EBSOptions": { "EBSEnabled": true, "VolumeType": "gp2", "VolumeSize": 50 },
        });
        let reply = self.aws.rest_call("es", "POST", "/2021-01-01/opensearch/domain", &input.to_string()).await;
        assert!(reply.status < 300, "{reply:?}");
    }

    /// A delivery stream to the domain, with the guide's values and the older kind of destination.
    pub(crate) async fn make_firehose(&self, more: &Value, name: &str) {
        let bucket = format!("arn:aws:s3:::{}", self.bucket);
        let mut input = json!({
            "DeliveryStreamName": name,
            "ElasticsearchDestinationConfiguration": {
                "RoleARN": self.delivery_role(), "DomainARN": self.domain_arn(), "IndexName": "emite-contacts",
                "TypeName": "contacts", "IndexRotationPeriod": "OneMonth", "S3BackupMode": "FailedDocumentsOnly",
                "S3Configuration": { "RoleARN": self.delivery_role(), "BucketARN": bucket },
            },
        });
        for (field, value) in more.as_object().expect("fields") {
            input[field] = value.clone();
        }
        self.aws.json_call("firehose", "Firehose_20150804.CreateDeliveryStream", &input).await;
    }

    /// Once for all: it is nobody's in particular.
    async fn make_delivery_role(&self) {
        static MADE: OnceCell<()> = OnceCell::const_new();
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "firehose.amazonaws.com" }, "Action": "sts:AssumeRole",
        }]});
        let create = format!(
            "Action=CreateRole&Version=2010-05-08&RoleName=hand-firehose&AssumeRolePolicyDocument={}",
            encoded(&trust.to_string())
        );
        MADE.get_or_init(|| async { drop(self.aws.form_call("iam", &create).await) }).await;
    }

    /// The role as a console makes it, in a path of its own, trusted as the guide's last step says.
    async fn make_role(&self) {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::444455556666:root" }, "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "sts:ExternalId": "acme-support-7421" } },
        }]});
        let reads = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Resource": self.stream_arn(), "Action": ["kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:DescribeStream", "kinesis:ListTagsForStream"] },
            { "Effect": "Allow", "Resource": "*", "Action": "kinesis:DescribeLimits" },
        ]});
        let iam = |action: &str, more: &[(&str, &str)]| {
            let more: String = more.iter().map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
            format!("Action={action}&Version=2010-05-08&RoleName={}{more}", self.role)
        };
        let create =
            [("Path", "/service/"), ("MaxSessionDuration", "43200"), ("AssumeRolePolicyDocument", &trust.to_string())];
        self.aws.form_call("iam", &iam("CreateRole", &create)).await;
        let put = [("PolicyName", "by-hand"), ("PolicyDocument", &reads.to_string())];
        self.aws.form_call("iam", &iam("PutRolePolicy", &put)).await;
    }

    /// Has the instance stream there.
    pub(crate) async fn stream_from(&self, instance: &Instance) {
        self.aws.stream_to(instance, "AGENT_EVENTS", &self.stream_arn()).await;
        self.aws.stream_to(instance, "CONTACT_TRACE_RECORDS", &self.firehose_arn()).await;
    }

    /// The parameters with which a stack uses all of it.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ExistingDomainName", self.domain.clone()),
            ("ExistingAgentEventStreamName", self.stream.clone()),
            ("ExistingDeliveryStreamName", self.firehose.clone()),
            ("ExistingRoleName", self.role.clone()),
            ("BackupBucketName", self.bucket.clone()),
            ("EmiteServerCidrs", SERVER.to_owned()),
        ]
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
