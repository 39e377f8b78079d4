//! Owns what a test of the redrive has for itself: a bucket, a search domain with a real engine behind it, the stack's
//! settings, and the function between them with no more rights than the template gives it. And the one law: each failed
//! record is in the domain, in its object, or in quarantine at every instant, and in exactly one of domain and quarantine
//! at the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use emite_connect_tests::engines::{self, Engine, Kind};
use emite_connect_tests::failed::{ARRIVAL_MS, Record};
use emite_connect_tests::faults::Proxy;
use emite_connect_tests::local_aws::{LocalAws, local_aws};
use emite_connect_tests::runtime_api::{Ended, Function};
use emite_connect_tests::search::Domain;
use serde_json::{Value, json};

use crate::watched::unique;

mod answers;
mod chaos;
mod crashes_of_engines;
mod inputs;
mod machine;
mod objects;
mod refusals;

/// A deadline that is never in the way.
pub(crate) const AMPLE: Duration = Duration::from_secs(300);
/// One that comes soon: the function keeps the last 30 seconds to bring what it does to an end.
pub(crate) const SHORT: Duration = Duration::from_secs(38);
/// The caller's number, in every document; nothing that the function says may show it.
pub(crate) const NUMBER: &str = "+61491570156";

/// Runs a test on each engine, or says loudly that it cannot.
pub(crate) async fn on_each_engine<F: Future<Output = ()>>(test: impl Fn(Kind) -> F) {
    if engines::missing().is_some() {
        return;
    }
    for kind in Kind::ALL {
        println!("--- with {}", kind.name());
        test(kind).await;
    }
}

/// An object of failed records, and what was in it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) key: String,
    pub(crate) content: Vec<u8>,
    pub(crate) records: Vec<Record>,
}

/// See the module.
pub(crate) struct Depot {
    pub(crate) aws: &'static LocalAws,
    pub(crate) kind: Kind,
    pub(crate) bucket: String,
    /// Below this is everything of the delivery stream.
    pub(crate) base: String,
    pub(crate) domain: Domain,
    /// The index of contact records without its suffix.
    pub(crate) index: String,
    pub(crate) proxy: Proxy,
    environment: Vec<(String, String)>,
    function: tokio::sync::Mutex<Option<Function>>,
    /// All that the function printed and answered, of processes that have ended.
    said: Mutex<String>,
}

impl Depot {
    /// With the engine that tests share.
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::before(engines::shared(kind).await).await
    }

    /// In front of this engine.
    pub(crate) async fn before(engine: &Engine) -> Self {
        let (aws, number) = (local_aws(), unique());
        let bucket = format!("redrive-{number}");
        let stream = format!("redrive-firehose-{number}");
        let index = format!("redrive-contacts-{number}");
        aws.make_bucket(&bucket, &aws.endpoints.region).await;
        let domain = aws.new_domain(&format!("redrive-{number}"), engine.kind.version()).await;
        aws.put_behind(&domain, Some(&engine.url)).await;
        let proxy = Proxy::start(&aws.endpoints.endpoint, &aws.endpoints.connect_endpoint).await;
        let mut depot = Self {
            aws,
            kind: engine.kind,
            base: format!("emite-connect/{stream}/"),
            bucket,
            domain,
            index,
            proxy,
            environment: Vec::new(),
            function: tokio::sync::Mutex::default(),
            said: Mutex::default(),
        };
        depot.environment = depot.environment_of(number, &stream).await;
        depot
    }

    async fn environment_of(&self, number: usize, stream: &str) -> Vec<(String, String)> {
        let aws = self.aws;
        let stack_id =
            aws.arn("cloudformation", &format!("stack/redrive-{number}/00000000-0000-4000-8000-{number:012}"));
        let parameter = format!("/emite-connect/redrive-{number}/spec");
        let spec = spec(self, &stack_id, stream).to_string();
        let input = json!({ "Name": parameter, "Value": spec, "Type": "String" });
        aws.json_call("ssm", "AmazonSSM.PutParameter", &input).await;
        let (key, secret) = aws.new_user(&format!("redrive-{number}"), &self.policy(&parameter)).await;
        let changes = [
            ("AWS_ENDPOINT_URL", self.proxy.url()),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("LEDGER_TABLE", format!("redrive-ledger-{number}")),
            ("SPEC_PARAMETER", parameter),
            ("STACK_ID", stack_id),
        ];
        let mut environment = aws.root_environment();
        environment.retain(|(name, _)| changes.iter().all(|(changed, _)| name != changed));
        environment.extend(changes.map(|(name, value)| (name.to_owned(), value)));
        environment
    }

    /// What the function may do, as narrow as it can be.
    fn policy(&self, parameter: &str) -> Value {
        let allow =
            |actions: Value, resource: String| json!({ "Effect": "Allow", "Action": actions, "Resource": resource });
        let place = &self.aws.endpoints;
        json!({ "Version": "2012-10-17", "Statement": [
            allow(json!(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]), format!("arn:aws:s3:::{}/*", self.bucket)),
            allow(json!(["s3:ListBucket"]), format!("arn:aws:s3:::{}", self.bucket)),
            allow(json!(["es:ESHttpPost"]), format!("{}/_bulk", self.domain.arn)),
            allow(json!(["ssm:GetParameter"]), format!("arn:aws:ssm:{}:{}:parameter{parameter}", place.region, place.account_id)),
            allow(json!(["events:PutEvents"]), self.aws.arn("events", "event-bus/default")),
        ] })
    }

    // ---- Records

    /// The index of the month that records of the tests arrive in.
    pub(crate) fn monthly(&self) -> String {
        format!("{}-2026-11", self.index)
    }

    /// A contact record that the domain takes: its amount is a number.
    pub(crate) fn good(&self, id: &str) -> Record {
        self.record(id, "7")
    }

    /// One that it does not take: its amount is none.
    pub(crate) fn bad(&self, id: &str) -> Record {
        self.record(id, r#""a lot""#)
    }

    fn record(&self, id: &str, amount: &str) -> Record {
        // By hand, as the order of fields and the escapes are to stay as they came.
        let document = format!(
            r#"{{"ContactId":"{id}","Channel":"VOICE","CustomerEndpoint":{{"Address":"{NUMBER}","Type":"TELEPHONE_NUMBER"}},"Attributes":{{"amount":{amount},"note":"caf\u00e9 \/ ü"}},"InitiationTimestamp":"2026-11-24T01:02:03Z"}}"#
        );
        let doc_type = self.kind.doc_type().map(str::to_owned);
        Record { id: id.to_owned(), index: self.monthly(), doc_type, arrival_ms: ARRIVAL_MS, document }
    }

    /// Makes an index in which amounts are numbers, with these settings.
    pub(crate) async fn make_index(&self, engine: &Engine, name: &str, settings: &Value) {
        let fields = json!({ "properties": { "Attributes": { "properties": { "amount": { "type": "long" } } } } });
        let mappings = match self.kind.doc_type() {
            Some(doc_type) => json!({ doc_type: fields }),
            None => fields,
        };
        let target = format!("/{name}?wait_for_active_shards=0");
        engine.ask("PUT", &target, &json!({ "settings": settings, "mappings": mappings })).await;
    }

    /// Puts an object of these records where Firehose puts it.
    pub(crate) async fn put(&self, name: &str, records: &[Record]) -> Source {
        self.put_content(name, emite_connect_tests::failed::object(records), records).await
    }

    /// Puts an object with exactly this content.
    pub(crate) async fn put_content(&self, name: &str, content: Vec<u8>, records: &[Record]) -> Source {
        let key = format!("{}failed/AmazonOpenSearchService-failed/2026/11/24/01/{name}", self.base);
        self.put_at(key, content, records).await
    }

    /// The same at a key of the test's.
    pub(crate) async fn put_at(&self, key: String, content: Vec<u8>, records: &[Record]) -> Source {
        self.aws.put_object(&self.bucket, &key, content.clone()).await;
        Source { key, content, records: records.to_vec() }
    }

    // ---- The function

    /// Sends an event to the function, which is started if it is not there: its answer, or its error.
    pub(crate) async fn invoke(&self, event: &Value, remaining: Duration) -> Result<Value, Value> {
        let mut function = self.function.lock().await;
        let running = match &mut *function {
            Some(running) => running,
            none => none.insert(Function::start("redrive", &self.environment).await),
        };
        let invocation = running.invoke(event.to_string(), remaining).await;
        let (body, worked) = match &invocation.ended {
            Ended::Response(body) => (body.clone(), true),
            Ended::Error(body) => (body.clone(), false),
            ended => panic!("{event}: {ended:?} after {:?}; {}", invocation.took, crate::world::tail(&running.log())),
        };
        let text = String::from_utf8_lossy(&body).into_owned();
        self.said.lock().unwrap().push_str(&text);
        let answer = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if worked { Ok(answer) } else { Err(answer) }
    }

    /// The most memory that the running process ever had, in KiB.
    pub(crate) async fn peak_memory_kib(&self) -> Option<u64> {
        self.function.lock().await.as_ref().and_then(Function::peak_memory_kib)
    }

    /// Starts an invocation, and kills the process when `moment` comes. Whether it came before the answer.
    pub(crate) async fn kill_at(&self, event: &Value, moment: impl Future<Output = ()>) -> bool {
        let interrupted = tokio::select! {
            _ = self.invoke(event, AMPLE) => false,
            () = moment => true,
        };
        self.end_process().await;
        interrupted
    }

    /// Ends the process; the next invocation starts another one.
    pub(crate) async fn end_process(&self) {
        if let Some(function) = self.function.lock().await.take() {
            let printed = function.stop().await;
            self.said.lock().unwrap().push_str(&printed);
        }
    }

    /// One pass over these keys.
    pub(crate) async fn apply(&self, keys: &Value, remaining: Duration) -> Value {
        let event = json!({ "mode": "apply", "keys": keys });
        self.invoke(&event, remaining).await.unwrap_or_else(|error| panic!("{event}: {error}"))
    }

    /// Pass after pass as the state machine does, until nothing remains or the function stops: all passes together.
    pub(crate) async fn redrive(&self, sources: &[Source]) -> Total {
        let mut total = Total::default();
        let mut keys: Value = sources.iter().map(|source| json!(source.key)).collect();
        for _ in 0..100 {
            let answer = self.apply(&keys, AMPLE).await;
            total.add(&answer);
            keys = answer["remaining"].clone();
            if keys == json!([]) || !answer["stopped"].is_null() {
                return total;
            }
        }
        panic!("it goes on without end: {total:?}");
    }

    // ---- Where the records are

    /// The documents of the domain with these records' ids, as `_mget` tells of each.
    pub(crate) async fn indexed(&self, engine: &Engine, records: &[Record]) -> HashMap<String, Value> {
        let mut found = HashMap::new();
        for some in records.chunks(1000) {
            let docs: Vec<Value> = some
                .iter()
                .map(|record| match self.kind.doc_type() {
                    Some(doc_type) => json!({ "_index": record.index, "_type": doc_type, "_id": record.id }),
                    None => json!({ "_index": record.index, "_id": record.id }),
                })
                .collect();
            let answer = engine.ask("POST", "/_mget", &json!({ "docs": docs })).await;
            for document in
                answer["docs"].as_array().expect("documents").iter().filter(|document| document["found"] == true)
            {
                found.insert(document["_id"].as_str().expect("an id").to_owned(), document.clone());
            }
        }
        found
    }

    /// Every line of every object below a folder of the delivery stream's.
    pub(crate) async fn lines(&self, folder: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        for key in self.keys(folder).await {
            let content = self.aws.object(&self.bucket, &key).await.expect("the object that was listed");
            for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                lines.push(serde_json::from_slice(line).unwrap_or_else(|error| panic!("{key}: {error}")));
            }
        }
        lines
    }

    /// The keys below a folder of the delivery stream's.
    pub(crate) async fn keys(&self, folder: &str) -> Vec<String> {
        self.aws.keys(&self.bucket, &format!("{}{folder}/", self.base)).await
    }

    /// How often each record is in quarantine.
    pub(crate) async fn quarantined(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.lines("quarantine").await {
            assert!(line["redrive"]["offset"].is_u64() && line["redrive"]["kind"].is_string(), "{line}");
            if let Some(id) = line["esDocumentId"].as_str() {
                *counts.entry(id.to_owned()).or_default() += 1;
            }
        }
        counts
    }

    /// Whether an object still is where it was, as it was.
    pub(crate) async fn stands(&self, source: &Source) -> bool {
        self.aws.object(&self.bucket, &source.key).await.is_some_and(|content| content == source.content)
    }

    /// The law for any instant: no record is lost.
    pub(crate) async fn assert_nothing_is_lost(&self, engine: &Engine, sources: &[Source]) {
        let quarantined = self.quarantined().await;
        for source in sources {
            if self.stands(source).await {
                continue;
            }
            let indexed = self.indexed(engine, &source.records).await;
            for record in &source.records {
                let safe = indexed.contains_key(&record.id) || quarantined.contains_key(&record.id);
                assert!(safe, "{} of {} is nowhere", record.id, source.key);
            }
        }
    }

    /// The law for the end: each record is in exactly one place, once and as it was; and the objects are put away.
    pub(crate) async fn assert_all_is_done(&self, engine: &Engine, sources: &[Source], refused: &[&str]) {
        let quarantined = self.quarantined().await;
        for source in sources {
            let indexed = self.indexed(engine, &source.records).await;
            for record in &source.records {
                let times = quarantined.get(&record.id).copied().unwrap_or_default();
                let expected = usize::from(refused.contains(&record.id.as_str()));
                assert_eq!(times, expected, "{} in quarantine", record.id);
                assert_eq!(indexed.contains_key(&record.id), expected == 0, "{} in the domain", record.id);
                if let Some(document) = indexed.get(&record.id) {
                    assert_eq!(document["_version"], 1, "{document}");
                    let original: Value = serde_json::from_str(&record.document).expect("JSON");
                    assert_eq!(document["_source"], original, "{}", record.id);
                }
            }
            self.assert_put_away(source).await;
        }
    }

    /// The object is where objects go that are done with, as it was, and not where it came from.
    pub(crate) async fn assert_put_away(&self, source: &Source) {
        let below = source.key.strip_prefix(&self.base).unwrap_or(&source.key);
        let kept = self.aws.object(&self.bucket, &format!("{}redriven/{below}", self.base)).await;
        assert!(kept.is_some_and(|content| content == source.content), "{} is not put away as it was", source.key);
        if !below.starts_with("quarantine/") {
            assert_eq!(self.aws.object(&self.bucket, &source.key).await, None, "{}", source.key);
        }
    }

    /// Ends the depot: the function called nothing that the tests do not know, and told nobody's number to anybody.
    pub(crate) async fn end(self) {
        self.end_process().await;
        let strangers = self.proxy.strangers();
        assert!(strangers.is_empty(), "calls that the harness does not know: {strangers:?}");
        let said = self.said.into_inner().unwrap() + &self.proxy.events().concat();
        assert!(said.contains("\"records\"") || said.contains("\"errorType\""), "{said}");
        for secret in [NUMBER, &NUMBER[1..], "a lot", "caf"] {
            let place = said
                .find(secret)
                .map(|at| String::from_utf8_lossy(&said.as_bytes()[at.saturating_sub(200)..at]).into_owned());
            assert_eq!(place, None, "{secret} is told");
        }
    }
}

/// What several passes said together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) records: u64,
    pub(crate) indexed: u64,
    pub(crate) already_present: u64,
    pub(crate) quarantined: u64,
    pub(crate) by_error: BTreeMap<String, u64>,
    pub(crate) left: Vec<Value>,
    pub(crate) remaining: Vec<Value>,
    pub(crate) stopped: Option<Value>,
    pub(crate) passes: usize,
}

impl Total {
    fn add(&mut self, answer: &Value) {
        let number = |name: &str| answer[name].as_u64().unwrap_or_else(|| panic!("{name} in {answer}"));
        self.records += number("records");
        self.indexed += number("indexed");
        self.already_present += number("alreadyPresent");
        self.quarantined += number("quarantined");
        for (kind, times) in answer["byError"].as_object().expect("byError") {
            *self.by_error.entry(kind.clone()).or_default() += times.as_u64().expect("a number");
        }
        self.left.extend(answer["left"].as_array().cloned().unwrap_or_default());
        self.remaining = answer["remaining"].as_array().expect("remaining").clone();
        self.stopped = Some(answer["stopped"].clone()).filter(|stopped| !stopped.is_null());
        self.passes += 1;
    }

    /// How often the domain said this.
    pub(crate) fn errors(&self, kind: &str) -> u64 {
        self.by_error.get(kind).copied().unwrap_or_default()
    }
}

/// What the template writes down for a stack with this depot.
fn spec(depot: &Depot, stack_id: &str, stream: &str) -> Value {
    let aws = depot.aws;
    let role = |name: &str| format!("arn:aws:iam::{}:role/{name}", aws.endpoints.account_id);
    let mut spec = json!({
        "stackId": stack_id, "integration": "redrive", "instanceArn": aws.endpoints.instance_arn,
        "agentEventStream": aws.arn("kinesis", "stream/redrive"), "agentEventShards": "1", "agentEventRetentionHours": "24",
        "agentEventKey": "", "deliveryStream": aws.arn("firehose", &format!("deliverystream/{stream}")),
        "deliveryRole": role("redrive-firehose"), "domain": depot.domain.arn, "searchEndpoint": depot.domain.endpoint,
        "domainInstances": "1", "domainVolumeGib": "50", "contactIndex": depot.index,
        "contactType": depot.kind.doc_type().unwrap_or_default(), "indexRotation": "OneMonth", "backupBucket": depot.bucket,
        "emiteRole": role("emite-role"), "emitePrincipal": "arn:aws:iam::444455556666:root", "customerId": "redrive",
        "roleBoundary": format!("arn:aws:iam::{}:policy/redrive", aws.endpoints.account_id), "emiteServers": "203.0.113.10/32",
        "emiteOrigin": "", "alertTopic": aws.arn("sns", "redrive"),
        "deadLetterQueue": format!("https://sqs.{}.amazonaws.com/{}/redrive", aws.endpoints.region, aws.endpoints.account_id),
        "healthCheckFunction": "redrive", "timeZone": "Australia/Sydney", "businessHours": "", "healthCheckMinutes": "5",
        "repairFunction": "repair",
        "redriveStateMachine": depot.aws.arn("states", "stateMachine:redrive"),
        "iteratorAgeWarningSeconds": "60", "iteratorAgeCriticalPercent": "50", "freeStoragePercent": "25",
        "agentSilenceMinutes": "30",
    });
    spec["failedPrefix"] = json!(format!("emite-connect/{stream}/failed/"));
    for unused in [
        "existing",
        "contactRecordStream",
        "server",
        "serverAddress",
        "serverAllocation",
        "serverProfile",
        "serverGroup",
        "rdpFrom",
    ] {
        spec[unused] = json!("");
    }
    spec
}
