//! Owns the healthy stack that the tests of the judges break, one thing at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::checks::{self, Check, Verdict};
use crate::finding::{Finding, Severity, Status, Subject};
use crate::links::data_streaming::{Association, Target};
use crate::links::emite_server::{Address, Profile};
use crate::look::{Cause, Unseen};
use crate::metrics::{Metrics, Series};
use crate::snapshot::{
    DataStream, DeliveryStream, Destination, Domain, FailedRecords, Ingress, Instance, Role, SecurityGroup, Server,
    Snapshot, StatusChecks, Subscription,
};
use crate::spec::Spec;

/// The text of the sample spec.
pub const SPEC: &str = include_str!("../../../infra/events/spec.json");

const SERVICE_ROLE: &str =
    "arn:aws:iam::111122223333:role/aws-service-role/connect.amazonaws.com/AWSServiceRoleForAmazonConnect_1a2b3c4d";

/// A stack with everything that can be asked for.
pub fn spec() -> Spec {
    Spec::parse(SPEC).unwrap()
}

/// The same with the eMite server in this account; no principal of eMite may assume the role.
pub fn self_hosted() -> Spec {
    let mut text: serde_json::Value = serde_json::from_str(SPEC).unwrap();
    for (name, value) in [
        ("emitePrincipal", ""),
        ("customerId", ""),
        ("emiteServers", "198.51.100.20/32"),
        ("server", "i-0a1b2c3d4e5f60718"),
        ("serverAddress", "198.51.100.20"),
        ("serverAllocation", "eipalloc-0a1b2c3d4e5f60718"),
        ("serverProfile", "arn:aws:iam::111122223333:instance-profile/emite-connect-ServerProfile-1A2B3C4D5E6F"),
        ("serverGroup", "sg-0a1b2c3d4e5f60718"),
    ] {
        text[name] = value.into();
    }
    Spec::parse(&text.to_string()).unwrap()
}

/// The same with contact records that come through a stream: everything that a check can judge.
pub fn whole() -> Spec {
    let records = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/contact-records";
    Spec { contact_record_stream: Some(records.parse().unwrap()), ..self_hosted() }
}

/// Tuesday 2026-11-24 12:00 in Sydney: agents work.
pub fn noon() -> Timestamp {
    "2026-11-24T01:00:00Z".parse().unwrap()
}

/// A series whose newest point is `values`' last one, five minutes before [`noon`], the others five minutes apart.
pub fn series(values: &[f64]) -> Series {
    let newest = noon() - SignedDuration::from_mins(5);
    let ages = (0..).map(|steps| SignedDuration::from_mins(5 * steps));
    Series::new(values.iter().rev().zip(ages).map(|(value, age)| (newest - age, *value)).collect())
}

/// The whole window of one value.
pub fn flat(value: f64) -> Series {
    series(&[value; 288])
}

/// Everything as it should be: agents and calls, eMite reading, records delivered.
pub fn healthy() -> Snapshot {
    healthy_of(&spec())
}

/// The same of another spec.
pub fn healthy_of(spec: &Spec) -> Snapshot {
    Snapshot {
        taken_at: noon(),
        took: Duration::from_millis(120),
        instance: Ok(Some(Instance {
            status: "ACTIVE".into(),
            alias: Some("example-contact-centre".into()),
            service_role: Some(SERVICE_ROLE.into()),
        })),
        agent_event_streaming: Ok(Some(Association {
            id: "a1".into(),
            target: Target::KinesisStream(spec.agent_event_stream.clone()),
        })),
        contact_record_streaming: Ok(Some(Association {
            id: "c1".into(),
            target: match &spec.contact_record_stream {
                Some(records) => Target::KinesisStream(records.clone()),
                None => Target::KinesisFirehose(spec.delivery_stream.clone()),
            },
        })),
        approved_origins: Ok(vec!["https://crm.example.com".into(), "https://emite.example.com".into()]),
        agent_event_stream: Ok(Some(data_stream())),
        contact_record_stream: Ok(spec.contact_record_stream.as_ref().map(|_| data_stream())),
        delivery_stream: Ok(Some(DeliveryStream {
            status: "ACTIVE".into(),
            failure: None,
            source: spec.contact_record_stream.as_ref().map(ToString::to_string),
            destination: Some(Destination {
                domain_arn: Some(spec.domain.to_string()),
                index: Some("emite-contacts".into()),
                rotation: Some("OneMonth".into()),
                document_type: Some("contacts".into()),
                role_arn: Some(spec.delivery_role.to_string()),
                bucket_arn: Some("arn:aws:s3:::emite-connect-backup-example".into()),
                prefix: Some("emite-connect/emite-ctrfirehose/failed/".into()),
                error_prefix: Some("emite-connect/emite-ctrfirehose/failed/!{firehose:error-output-type}/".into()),
                buffer_seconds: Some(300),
            }),
        })),
        failed_records: Ok(Some(FailedRecords::default())),
        domain: Ok(Some(domain(spec))),
        emite_role: Ok(Some(role(spec))),
        server: Ok(spec.server.as_ref().map(server)),
        subscriptions: Ok(vec![Subscription {
            protocol: "email".into(),
            endpoint: "admin@example.com".into(),
            confirmed: true,
            filtered: Ok(false),
        }]),
        dead_letters: Ok(0),
        first_read: Ok(Some(noon() - SignedDuration::from_hours(24 * 30))),
        last_read: Ok(Some(noon() - SignedDuration::from_mins(5))),
        unread_since: Ok(None),
        watched_since: Ok(noon() - SignedDuration::from_hours(24 * 31)),
        metrics: Metrics(
            checks::metrics(spec)
                .into_iter()
                .map(|query| (query.id, Ok(normal(query.id).map_or_else(Series::default, flat))))
                .collect(),
        ),
    }
}

/// What each metric shows on a normal day; nothing for those that are only there in trouble.
fn normal(id: &str) -> Option<f64> {
    match id {
        "iterator_age" => Some(500.0),
        "agent_events" => Some(20.0),
        "delivery_success" | "backup_success" => Some(1.0),
        "delivery_freshness" => Some(280.0),
        "contact_records" | "calls" => Some(3.0),
        "write_throttled" | "read_throttled" | "firehose_throttled" => Some(0.0),
        "domain_red" | "domain_writes_blocked" | "domain_snapshot_failure" => Some(0.0),
        "domain_free_storage" => Some(40_960.0),
        "domain_jvm" | "domain_cpu" => Some(30.0),
        "domain_nodes" => Some(1.0),
        _ => None,
    }
}

fn data_stream() -> DataStream {
    DataStream { status: "ACTIVE".into(), retention_hours: 24, shards: 1, mode: "PROVISIONED".into(), key: None }
}

fn domain(spec: &Spec) -> Domain {
    let actions =
        json!(["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPatch", "es:ESHttpPost", "es:ESHttpPut"]);
    let servers = match spec.server {
        None => json!(["203.0.113.10", "198.51.100.0/28"]),
        Some(_) => json!("198.51.100.20/32"),
    };
    Domain {
        engine: "Elasticsearch_6.8".into(),
        endpoint: spec.search_endpoint.strip_prefix("https://").map(Into::into),
        vpc: None,
        requires_credentials: false,
        forbids_explicit_index: false,
        deleted: false,
        processing: false,
        processing_status: Some("Active".into()),
        instance_count: 1,
        volume_gib: Some(50),
        access_policy: json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "EmiteServers", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": actions,
             "Resource": format!("{}/*", spec.domain),
             "Condition": {"IpAddress": {"aws:SourceIp": servers}}},
            {"Sid": "ThisAccount", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": actions,
             "Resource": format!("{}/*", spec.domain)},
        ]}),
        change_status: Some("Completed".into()),
        change_began: None,
        required_update_at: None,
    }
}

fn role(spec: &Spec) -> Role {
    let mut policy = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "AllowReadKinesis1", "Effect": "Allow",
         "Action": ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator",
                    "kinesis:ListShards", "kinesis:ListTagsForStream"],
         "Resource": spec.agent_event_stream.to_string()},
        {"Sid": "AllowReadKinesis2", "Effect": "Allow", "Action": "kinesis:DescribeLimits", "Resource": "*"},
        {"Sid": "AllowReadAmazonConnect1", "Effect": "Allow",
         "Action": ["connect:DescribeInstance", "connect:DescribeUser", "connect:GetCurrentMetricData", "connect:GetCurrentUserData",
                    "connect:GetMetricData", "connect:GetMetricDataV2", "connect:ListQueues", "connect:ListRoutingProfiles",
                    "connect:ListUsers"],
         "Resource": [spec.instance_arn.to_string(), format!("{}/*", spec.instance_arn)]},
        {"Sid": "AllowReadAmazonConnect2", "Effect": "Allow", "Action": ["connect:ListInstances", "ds:DescribeDirectories"], "Resource": "*"},
        {"Sid": "DenyFederationTokens", "Effect": "Deny",
         "Action": ["connect:AdminGetEmergencyAccessToken", "connect:GetFederationToken", "connect:GetFederationTokens"], "Resource": "*"},
    ]});
    if spec.server.is_some() {
        policy["Statement"].as_array_mut().unwrap().push(json!({
            "Sid": "AllowSessions", "Effect": "Allow",
            "Action": ["ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
                       "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"],
            "Resource": "*",
        }));
    }
    let admitted = match spec.server {
        None => json!({
            "Sid": "AllowEmite", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "customer-0001"}},
        }),
        Some(_) => json!({
            "Sid": "AllowEmiteServer", "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole",
        }),
    };
    Role {
        arn: spec.emite_role.to_string(),
        max_session_seconds: 43_200,
        trust: json!({"Version": "2012-10-17", "Statement": [admitted]}),
        inline: BTreeMap::from([("emite-role-policy".to_owned(), policy)]),
        attached: BTreeSet::new(),
        boundary: spec.role_boundary.as_ref().map(ToString::to_string),
    }
}

fn server(wanted: &crate::spec::ServerSpec) -> Server {
    let anybody =
        |port| Ingress { protocol: "tcp".into(), ports: Some(port..=port), from: ["0.0.0.0/0".into()].into() };
    Server {
        state: "running".into(),
        metadata_guarded: true,
        status: Ok(StatusChecks { system: "ok".into(), instance: "ok".into() }),
        address: Ok(Some(Address { holder: Some(wanted.instance_id.clone()), instead: BTreeSet::new() })),
        profile: Ok(Some(Profile {
            association_id: "iip-assoc-0a1b2c3d4e5f60718".into(),
            arn: wanted.profile.to_string(),
        })),
        groups: Ok(vec![SecurityGroup { id: wanted.group_id.clone(), rules: vec![anybody(80), anybody(443)] }]),
    }
}

/// The server of a snapshot that has one.
pub fn server_of(snapshot: &mut Snapshot) -> &mut Server {
    snapshot.server.as_mut().unwrap().as_mut().unwrap()
}

/// Puts another series in place of the metric `id`, which must be one that is asked for.
pub fn put(snapshot: &mut Snapshot, id: &'static str, series: Series) {
    let replaced = snapshot.metrics.0.insert(id, Ok(series));
    assert!(replaced.is_some(), "no check asks for {id}");
}

/// The snapshot of a healthy integration, but for the metric `id`.
pub fn with(id: &'static str, series: Series) -> Snapshot {
    let mut snapshot = healthy();
    put(&mut snapshot, id, series);
    snapshot
}

/// A read that failed for `cause`.
pub fn unseen(cause: Cause) -> Unseen {
    Unseen { action: "test:Look", cause, request_id: None }
}

/// What the check finds; it must be able to observe something.
pub fn findings(check: &Check, spec: &Spec, snapshot: &Snapshot) -> Vec<Finding> {
    match (check.judge)(spec, snapshot) {
        Ok(Verdict::Judged(findings)) => {
            findings.iter().for_each(assert_identified);
            findings
        }
        other => panic!("{}: {other:?}", check.name),
    }
}

/// Asserts that a finding names a part that its check lists, and has values; that a report of a version that did not name
/// parts is read the same, as far as there are messages about it; or, if it is unobservable, that it says why.
pub fn assert_identified(finding: &Finding) {
    if finding.status == Status::Unobservable {
        assert!(finding.cause.is_some() && finding.part.is_none(), "{finding:#?}");
        return;
    }
    let check = checks::find(&finding.check).unwrap();
    let part = check.parts.iter().find(|part| Some(part.name) == finding.part.as_deref());
    let part = part.unwrap_or_else(|| panic!("{} does not list {:?}", check.name, finding.part));
    assert!(part.status.is_none_or(|status| status == finding.status), "{finding:#?}");
    assert!(!finding.values.is_empty(), "{finding:#?}");
    let older = check.part(Subject { part: None, ..finding.subject() }).unwrap();
    assert!(older.name == part.name || finding.severity == Severity::Info, "{} is not {}", older.name, part.name);
}

/// The one thing that the check finds.
pub fn only(check: &Check, spec: &Spec, snapshot: &Snapshot) -> Finding {
    let mut found = findings(check, spec, snapshot);
    assert_eq!(found.len(), 1, "{}: {found:#?}", check.name);
    found.remove(0)
}

/// Asserts that the check is unobservable, with the cause, when the read that `blind` removes fails for each cause.
pub fn is_unobservable_without(check: &Check, blind: impl Fn(&mut Snapshot, Unseen)) {
    for spec in [spec(), self_hosted()] {
        if is_applicable(check, &spec) {
            for cause in [Cause::Denied, Cause::Throttled, Cause::TimedOut, Cause::Failed] {
                let mut snapshot = healthy_of(&spec);
                blind(&mut snapshot, unseen(cause));
                assert_eq!((check.judge)(&spec, &snapshot), Err(unseen(cause)), "{}", check.name);
            }
        }
    }
}

/// Whether a stack of this spec has something for the check to judge.
pub fn is_applicable(check: &Check, spec: &Spec) -> bool {
    (check.judge)(spec, &healthy_of(spec)) != Ok(Verdict::NotApplicable)
}

/// Breaks something in a healthy snapshot.
pub type Break = fn(&mut Snapshot);

/// One way to break what each check judges.
pub const BROKEN: &[(&str, Break)] = &[
    ("connect-instance", |snapshot| snapshot.instance = Ok(None)),
    ("data-streaming", |snapshot| snapshot.contact_record_streaming = Ok(None)),
    ("approved-origins", |snapshot| snapshot.approved_origins = Ok(Vec::new())),
    ("agent-event-stream", |snapshot| snapshot.agent_event_stream = Ok(None)),
    ("iterator-age", |snapshot| put(snapshot, "iterator_age", flat(13.0 * 3_600_000.0))),
    ("stream-throttling", |snapshot| put(snapshot, "write_throttled", flat(5.0))),
    ("agent-event-flow", |snapshot| put(snapshot, "agent_events", Series::default())),
    ("contact-record-stream", |snapshot| snapshot.contact_record_stream = Ok(None)),
    ("delivery-stream", |snapshot| snapshot.delivery_stream = Ok(None)),
    ("firehose-delivery", |snapshot| put(snapshot, "delivery_success", flat(0.0))),
    ("failed-records", |snapshot| {
        let oldest = Some(noon() - SignedDuration::from_hours(2));
        snapshot.failed_records = Ok(Some(FailedRecords { failed: 3, oldest, ..FailedRecords::default() }));
    }),
    ("search-domain", |snapshot| put(snapshot, "domain_red", flat(1.0))),
    ("domain-access", |snapshot| {
        if let Ok(Some(domain)) = &mut snapshot.domain {
            domain.access_policy = serde_json::Value::Null;
        }
    }),
    ("emite-role", |snapshot| snapshot.emite_role = Ok(None)),
    ("emite-server", |snapshot| snapshot.server = Ok(None)),
    ("alert-path", |snapshot| snapshot.subscriptions = Ok(Vec::new())),
];
