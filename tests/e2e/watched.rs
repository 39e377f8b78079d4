//! Owns a deployed stack that is watched: an ear on its alert topic, metrics as AWS would publish them about a healthy
//! integration, and a clock by which its health reports come.
//!
//! What is told depends on the time between two reports, which is minutes at least. So the real health check looks, and its
//! report is put onto the bus once more with a time by that clock. The rule to the reporter is open only then.

use std::sync::atomic::{AtomicUsize, Ordering};

use emite_connect_tests::alerts::{Ear, Mail};
use emite_connect_tests::functions::until;
use emite_connect_tests::local_aws::LocalAws;
use emite_connect_tests::metrics::{Metric, Points, flat};
use emite_connect_tests::stack::Deployment;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::life_cycles::Stack;
use crate::scenario::Before;

/// The whole window that a check asks for, in minutes.
pub(crate) const WINDOW: u64 = 24 * 60 - 5;

/// See the module.
pub(crate) struct Watched {
    pub(crate) aws: &'static LocalAws,
    pub(crate) stack: Stack,
    pub(crate) deployment: Deployment,
    /// The stack's settings as it wrote them down for its functions.
    pub(crate) spec: Value,
    pub(crate) ear: Ear,
    now: Timestamp,
    /// How many events the reporter has got from here.
    told: usize,
}

impl Watched {
    /// The stack that tests share which only look, one at a time.
    pub(crate) async fn shared() -> MutexGuard<'static, Self> {
        static SHARED: OnceCell<Mutex<Watched>> = OnceCell::const_new();
        let shared = SHARED.get_or_init(|| async { Mutex::new(Watched::healthy().await) }).await;
        shared.lock().await
    }

    /// A stack that checks itself this often. Nobody has looked yet.
    pub(crate) async fn new(minutes: &str) -> Self {
        Self::on(Stack::new(Before::Nothing).await, minutes).await
    }

    /// The same of a stack that is not deployed yet.
    pub(crate) async fn on(mut stack: Stack, minutes: &str) -> Self {
        stack.parameters.push(("HealthCheckMinutes", minutes.to_owned()));
        // So that it can be shortened: 24 hours is the least.
        stack.parameters.push(("AgentEventRetentionHours", "48".to_owned()));
        // Always open: the tests run at any time of any day.
        stack.parameters.push(("BusinessHours", "Mon-Sun 00:00-24:00".to_owned()));
        let deployment = stack.created().await;
        let aws = stack.aws;
        let ear = Ear::on(aws, &deployment.outputs["AlertTopicArn"], &format!("{}-ear", stack.name)).await;
        let parameter = json!({ "Name": physical_id(&deployment, "Spec") });
        let answer = aws.json_call("ssm", "AmazonSSM.GetParameter", &parameter).await;
        let spec = serde_json::from_str(answer["Parameter"]["Value"].as_str().expect("a value")).expect("JSON");
        // The deployment itself handed over.
        Self { aws, stack, deployment, spec, ear, now: long_ago(), told: 1 }
    }

    /// A stack whose own schedule is too slow to be in the way, watched for a month already, and all is well.
    pub(crate) async fn healthy() -> Self {
        Self::healthy_on(Stack::new(Before::Nothing).await).await
    }

    /// The same of a stack that is not deployed yet.
    pub(crate) async fn healthy_on(stack: Stack) -> Self {
        let mut watched = Self::on(stack, "60").await;
        watched.switch_rule("ReportRule", false).await;
        watched.put_healthy_metrics().await;
        watched.check().await;
        watched.age().await;
        let report = watched.check().await;
        assert_eq!(report["status"], "Healthy", "{report:#}");
        let mails = watched.tell(&report).await;
        assert_eq!(mails.len(), 1, "{mails:#?}");
        assert!(mails[0].subject.starts_with("[Deployed] "), "{mails:#?}");
        watched
    }

    /// The physical id of a resource.
    pub(crate) fn id(&self, logical_id: &str) -> &str {
        physical_id(&self.deployment, logical_id)
    }

    /// A text of the stack's settings.
    pub(crate) fn setting(&self, name: &str) -> &str {
        self.spec[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.spec))
    }

    /// The name behind the last slash or colon of a setting.
    pub(crate) fn name_in(&self, setting: &str) -> &str {
        self.setting(setting).rsplit(['/', ':']).next().unwrap_or_default()
    }

    /// Lets a rule pass on events, or not.
    pub(crate) async fn switch_rule(&self, logical_id: &str, on: bool) {
        let target = if on { "AWSEvents.EnableRule" } else { "AWSEvents.DisableRule" };
        let name = self.id(logical_id).rsplit(['/', '|']).next().unwrap_or_default();
        self.aws.json_call("events", target, &json!({ "Name": name })).await;
    }

    /// What the real health check says now. Nobody is told.
    pub(crate) async fn check(&self) -> Value {
        let report = self.aws.invoke(self.id("HealthCheckFunction"), &json!({})).await;
        report.unwrap_or_else(|error| panic!("the health check failed: {error}"))
    }

    /// The same report, an interval after the one before it.
    pub(crate) fn later(&mut self, report: &Value) -> Value {
        let minutes = self.setting("healthCheckMinutes").parse().expect("minutes");
        self.now += SignedDuration::from_mins(minutes);
        let mut report = report.clone();
        report["checkedAt"] = json!(self.now.to_string());
        report
    }

    /// Puts reports onto the bus, all at once; what people were sent once the reporter is done with them.
    pub(crate) async fn put(&mut self, reports: &[Value]) -> Vec<Mail> {
        self.put_all("Integration Health Report", reports).await
    }

    async fn put_all(&mut self, kind: &str, reports: &[Value]) -> Vec<Mail> {
        let entries: Vec<Value> = reports
            .iter()
            .map(|report| json!({ "Source": "emite-connect", "DetailType": kind, "Detail": report.to_string() }))
            .collect();
        self.switch_rule("ReportRule", true).await;
        let answer = self.aws.json_call("events", "AWSEvents.PutEvents", &json!({ "Entries": entries })).await;
        assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
        self.switch_rule("ReportRule", false).await;
        self.told += reports.len();
        self.aws.await_invocations(self.id("ReporterFunction"), self.told).await;
        self.ear.hear(self.aws).await
    }

    /// Puts a repair's report onto the bus, an interval later; what people were sent.
    pub(crate) async fn tell_repair(&mut self, answer: &Value) -> Vec<Mail> {
        let mut report = answer.clone();
        report["after"] = self.later(&answer["after"]);
        self.put_all("Integration Repair Report", &[report]).await
    }

    /// What people were sent once the reporter is done with all that it has got.
    pub(crate) async fn heard(&self) -> Vec<Mail> {
        self.aws.await_invocations(self.id("ReporterFunction"), self.told).await;
        self.ear.hear(self.aws).await
    }

    /// Notes that the reporter was invoked otherwise.
    pub(crate) fn was_invoked(&mut self, times: usize) {
        self.told += times;
    }

    /// An interval later the report says this; what people were sent.
    pub(crate) async fn tell(&mut self, report: &Value) -> Vec<Mail> {
        let report = self.later(report);
        self.put(&[report]).await
    }

    /// The health check looks, and two reports in a row say what it saw.
    pub(crate) async fn look_twice(&mut self) -> (Value, Vec<Mail>) {
        let report = self.check().await;
        let mut mails = self.tell(&report).await;
        mails.extend(self.tell(&report).await);
        (report, mails)
    }

    /// Every item of this stack's ledger.
    pub(crate) async fn ledger(&self) -> Vec<Value> {
        self.aws.ledger_items(&self.deployment.outputs["LedgerTable"]).await
    }

    /// Makes the memory of the health check a month old: it looks back no further than to when it began.
    async fn age(&self) {
        let items = self.ledger().await;
        let mut latch = items
            .into_iter()
            .find(|item| item["pk"]["S"].as_str().is_some_and(|key| key.starts_with("latch#")))
            .expect("the latch");
        let mut body: Value = serde_json::from_str(latch["body"]["S"].as_str().expect("a body")).expect("JSON");
        body["watchedSince"] = json!((long_ago() - SignedDuration::from_hours(24 * 30)).to_string());
        latch["body"] = json!({ "S": body.to_string() });
        let input = json!({ "TableName": self.deployment.outputs["LedgerTable"], "Item": latch });
        self.aws.json_call("dynamodb", "DynamoDB_20120810.PutItem", &input).await;
    }

    /// A metric by the id that the checks know it by.
    pub(crate) fn metric(&self, id: &str) -> Metric {
        let (namespace, name) = match id {
            "iterator_age" => ("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds"),
            "agent_events" => ("AWS/Kinesis", "IncomingRecords"),
            "calls" => ("AWS/Connect", "CallsPerInterval"),
            "contact_records" if self.setting("contactRecordStream").is_empty() => ("AWS/Firehose", "IncomingRecords"),
            "contact_records" => ("AWS/Firehose", "DataReadFromKinesisStream.Records"),
            "delivery_success" => ("AWS/Firehose", "DeliveryToAmazonOpenSearchService.Success"),
            "delivery_freshness" => ("AWS/Firehose", "DeliveryToAmazonOpenSearchService.DataFreshness"),
            "domain_red" => ("AWS/ES", "ClusterStatus.red"),
            "domain_writes_blocked" => ("AWS/ES", "ClusterIndexWritesBlocked"),
            "domain_free_storage" => ("AWS/ES", "FreeStorageSpace"),
            "domain_jvm" => ("AWS/ES", "JVMMemoryPressure"),
            "domain_cpu" => ("AWS/ES", "CPUUtilization"),
            "domain_nodes" => ("AWS/ES", "Nodes"),
            other => panic!("no metric {other}"),
        };
        let dimensions = match namespace {
            "AWS/Kinesis" => vec![("StreamName", self.name_in("agentEventStream").to_owned())],
            "AWS/Connect" => {
                vec![("InstanceId", self.stack.instance.id.clone()), ("MetricGroup", "VoiceCalls".to_owned())]
            }
            "AWS/Firehose" => vec![("DeliveryStreamName", self.name_in("deliveryStream").to_owned())],
            _ => {
                vec![
                    ("DomainName", self.name_in("domain").to_owned()),
                    ("ClientId", self.aws.endpoints.account_id.clone()),
                ]
            }
        };
        Metric { namespace, name, dimensions }
    }

    /// Puts these points in place of all that a metric had.
    pub(crate) async fn measure(&self, id: &str, points: &Points) {
        self.aws.replace_metric(&self.metric(id), points).await;
    }

    /// What AWS publishes about an integration in use, for the whole window.
    async fn put_healthy_metrics(&self) {
        for (id, value) in HEALTHY {
            self.measure(id, &flat(WINDOW, 0, value)).await;
        }
    }

    /// Puts a metric back to what it is on a good day.
    pub(crate) async fn measure_healthy(&self, id: &str) {
        let (_, value) = HEALTHY.into_iter().find(|(name, _)| *name == id).expect("a metric of a healthy integration");
        self.measure(id, &flat(WINDOW, 0, value)).await;
    }

    /// How many events wait in the dead-letter queue.
    pub(crate) async fn dead_letters(&self) -> u64 {
        let input =
            json!({ "QueueUrl": self.setting("deadLetterQueue"), "AttributeNames": ["ApproximateNumberOfMessages"] });
        let answer = self.aws.json_call("sqs", "AmazonSQS.GetQueueAttributes", &input).await;
        answer["Attributes"]["ApproximateNumberOfMessages"]
            .as_str()
            .and_then(|count| count.parse().ok())
            .expect("a count")
    }

    /// Waits until so many events are in the dead-letter queue.
    pub(crate) async fn await_dead_letters(&self, number: u64) {
        until(&format!("{number} dead letters"), || async { (self.dead_letters().await == number).then_some(()) })
            .await;
    }
}

/// What each metric shows on a good day.
const HEALTHY: [(&str, f64); 12] = [
    ("iterator_age", 500.0),
    ("agent_events", 20.0),
    ("calls", 3.0),
    ("contact_records", 3.0),
    ("delivery_success", 1.0),
    ("delivery_freshness", 280.0),
    ("domain_red", 0.0),
    ("domain_writes_blocked", 0.0),
    ("domain_free_storage", 40_960.0),
    ("domain_jvm", 30.0),
    ("domain_cpu", 30.0),
    ("domain_nodes", 1.0),
];

/// Where the clock of reports begins: far enough back to never reach the real time.
#[allow(clippy::disallowed_methods, reason = "tests live in the real time")]
fn long_ago() -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * 20)
}

fn physical_id<'a>(deployment: &'a Deployment, logical_id: &str) -> &'a str {
    let resource = deployment.resources.get(logical_id).unwrap_or_else(|| panic!("{logical_id} in {deployment:#?}"));
    resource.physical_id.as_deref().expect("a physical id")
}

/// A number that no other test in this process has.
pub(crate) fn unique() -> usize {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
