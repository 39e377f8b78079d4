//! Owns what each test has for itself: a Connect instance, a ledger, a network with faults, CloudFormation's end, and the
//! function between them. Worlds share nothing but the emulator, so that tests run beside each other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emite_connect_tests::cloudformation::{Put, ResponseEnd};
use emite_connect_tests::faults::{Call, Proxy, ShownStack};
use emite_connect_tests::instance::{Instance, InstanceState};
use emite_connect_tests::local_aws::{LocalAws, local_aws};
use emite_connect_tests::runtime_api::{Ended, Function};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long before the deadline the function stops working and answers.
pub(crate) const RESERVE: Duration = Duration::from_secs(10);
/// Of a busy machine, not of the product.
const JITTER: Duration = Duration::from_secs(4);
/// A deadline that is never in the way.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);

/// One custom-resource event, in the making.
#[derive(Clone, Debug)]
pub(crate) struct Event(pub(crate) Value);

impl Event {
    pub(crate) fn new(request_type: &str, resource_type: &str, properties: &Value) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let request_id = format!("e2e-request-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut properties = properties.clone();
        properties["ServiceToken"] = json!("arn:aws:lambda:us-east-1:000000000000:function:e2e");
        properties["ServiceTimeout"] = json!("600");
        Self(json!({
            "RequestType": request_type,
            "RequestId": request_id,
            "ResourceType": resource_type,
            "LogicalResourceId": "TheThing",
            "ResourceProperties": properties,
        }))
    }

    /// The same with one more field at the top, or another value of it.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    /// The same without a field.
    pub(crate) fn without(mut self, field: &str) -> Self {
        self.0.as_object_mut().unwrap().remove(field);
        self
    }

    /// The same with another value of one property.
    pub(crate) fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0["ResourceProperties"][name] = value.into();
        self
    }

    /// The Delete that CloudFormation sends for the resource that this event was about.
    pub(crate) fn delete(&self, physical_id: &str) -> Self {
        let mut properties = self.0["ResourceProperties"].clone();
        properties.as_object_mut().unwrap().remove("ServiceToken");
        Self::new("Delete", self.0["ResourceType"].as_str().unwrap(), &properties)
            .with("PhysicalResourceId", physical_id)
    }

    /// The Update from this event's properties to others.
    pub(crate) fn update(&self, properties: &Value, physical_id: &str) -> Self {
        Self::new("Update", self.0["ResourceType"].as_str().unwrap(), properties)
            .with("PhysicalResourceId", physical_id)
            .with("OldResourceProperties", self.0["ResourceProperties"].clone())
    }
}

/// A function's answer to one event.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    pub(crate) reason: String,
    pub(crate) physical_id: String,
    pub(crate) data: Value,
    /// From the handing out of the event.
    pub(crate) took: Duration,
}

impl Answer {
    /// This answer, which must be a success.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.success, "FAILED: {}", self.reason);
        self
    }

    /// This answer, which must be a failure whose reason has all of these words.
    #[track_caller]
    pub(crate) fn failed_naming(self, words: &[&str]) -> Self {
        assert!(!self.success, "SUCCESS instead of a failure that names {words:?}");
        for word in words {
            assert!(self.reason.contains(word), "{word:?} is not in the reason: {}", self.reason);
        }
        self
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) aws: &'static LocalAws,
    pub(crate) instance: Instance,
    pub(crate) table: String,
    pub(crate) stack_id: String,
    pub(crate) proxy: Proxy,
    pub(crate) cloudformation: ResponseEnd,
    stack_status: Mutex<Option<String>>,
    stack_parameters: Mutex<Option<Vec<(String, String)>>>,
    stack: Mutex<Option<ShownStack>>,
    function: Function,
}

impl World {
    /// A world whose function has the environment that the template gives it, and little patience with new permissions.
    pub(crate) async fn new() -> Self {
        Self::with_environment(&[]).await
    }

    /// The same with other values of some variables; an empty one is removed.
    pub(crate) async fn with_environment(changes: &[(&str, &str)]) -> Self {
        Self::on(local_aws().new_instance().await, changes).await
    }

    /// Another stack on the same instance.
    pub(crate) async fn beside(other: &Self) -> Self {
        Self::on(other.instance.clone(), &[]).await
    }

    /// A stack on that instance.
    pub(crate) async fn on(instance: Instance, changes: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let aws = local_aws();
        let table = aws.new_ledger().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stack_id = aws.arn("cloudformation", &format!("stack/e2e-{number}/00000000-0000-4000-8000-{number:012}"));
        let proxy = Proxy::start(&aws.endpoints.endpoint, &aws.endpoints.connect_endpoint).await;
        let cloudformation = ResponseEnd::start().await;
        let environment = environment(aws, &proxy.url(), &table, &stack_id, changes);
        let function = Function::start("custom-resource", &environment).await;
        Self {
            aws,
            instance,
            table,
            stack_id,
            proxy,
            cloudformation,
            stack_status: Mutex::default(),
            stack_parameters: Mutex::default(),
            stack: Mutex::default(),
            function,
        }
    }

    /// Another process of the same function, as Lambda starts one for a second event at the same time.
    pub(crate) async fn second_process(&self, changes: &[(&str, &str)]) -> Function {
        Function::start(
            "custom-resource",
            &environment(self.aws, &self.proxy.url(), &self.table, &self.stack_id, changes),
        )
        .await
    }

    /// Sends an event, and kills the process in the middle of it: at the call that the proxy's plan lets hang.
    pub(crate) async fn kill_within(&mut self, event: &Event) -> Result<(), String> {
        let posted = self.posted(event);
        tokio::select! {
            invocation = self.function.invoke(posted, AMPLE) => return Err(format!("it did not hang: {:?}", invocation.ended)),
            () = self.proxy.stuck() => {}
        }
        self.proxy.heal();
        let fresh = self.second_process(&[]).await;
        std::mem::replace(&mut self.function, fresh).stop().await;
        Ok(())
    }

    /// The properties of data streaming on this world's instance.
    pub(crate) fn streaming(&self, resource_type: &str, target: &str, on_existing: &str) -> Value {
        json!({
            "InstanceArn": self.instance.arn, "ResourceType": resource_type, "TargetArn": target,
            "OnExisting": on_existing, "DrainSeconds": "0",
        })
    }

    /// The properties of an approved origin on this world's instance.
    pub(crate) fn origin(&self, origin: &str) -> Value {
        json!({ "InstanceArn": self.instance.arn, "Origin": origin })
    }

    /// What this world's instance is like now.
    pub(crate) async fn state(&self) -> InstanceState {
        self.aws.instance_state(&self.instance).await
    }

    /// Lets CloudFormation show the stack as it is while it waits for the answer to `event`.
    fn show(&self, event: &Event) {
        let text = |field: &str| event.0[field].as_str().unwrap_or_default().to_owned();
        let status = match text("RequestType").as_str() {
            "Create" => "CREATE_IN_PROGRESS",
            "Update" => "UPDATE_IN_PROGRESS",
            _ => "DELETE_IN_PROGRESS",
        };
        if let Some(shown) = &*self.stack.lock().unwrap() {
            return self.proxy.show(shown.clone());
        }
        self.proxy.show(ShownStack {
            status: self.stack_status.lock().unwrap().clone().unwrap_or_else(|| "UPDATE_IN_PROGRESS".to_owned()),
            parameters: self.stack_parameters.lock().unwrap().clone().unwrap_or_else(|| Self::parameters(event)),
            resources: vec![[text("LogicalResourceId"), text("ResourceType"), status.to_owned(), String::new()]],
        });
    }

    /// The parameters of a stack whose template says what `event` does.
    fn parameters(event: &Event) -> Vec<(String, String)> {
        // XML has no control characters.
        let text = |name: &str| event.0["ResourceProperties"][name].as_str().filter(|text| !text.contains('\0'));
        let property = |name: &str| text(name).unwrap_or_default().to_owned();
        let stream = property("TargetArn").rsplit('/').next().unwrap_or_default().to_owned();
        let named = ["ExistingAgentEventStreamName", "ExistingContactRecordStreamName", "ExistingDeliveryStreamName"];
        let streams = named.map(|name| (name.to_owned(), stream.clone()));
        let others = [("EmiteUrl", "Origin"), ("ConnectInstanceArn", "InstanceArn")];
        streams.into_iter().chain(others.map(|(name, of)| (name.to_owned(), property(of)))).collect()
    }

    /// What CloudFormation shows of the stack from now on, whatever is sent.
    pub(crate) fn shows(&self, shown: ShownStack) {
        *self.stack.lock().unwrap() = Some(shown);
    }

    /// The status that CloudFormation shows of the stack from now on, whatever is sent.
    pub(crate) fn stack_is(&self, status: &str) {
        *self.stack_status.lock().unwrap() = Some(status.to_owned());
    }

    /// The parameters that CloudFormation shows of the stack from now on, whatever is sent.
    pub(crate) fn parameters_are(&self, parameters: &[(&str, &str)]) {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        *self.stack_parameters.lock().unwrap() = Some(parameters.collect());
    }

    /// The event as CloudFormation would send it: with the stack and a fresh ResponseURL, unless it has its own.
    pub(crate) fn posted(&self, event: &Event) -> String {
        self.show(event);
        let mut event = event.0.clone();
        if event.get("StackId").is_none() {
            event["StackId"] = json!(self.stack_id);
        }
        if event.get("ResponseURL").is_none() {
            event["ResponseURL"] = json!(self.cloudformation.response_url());
        }
        event.to_string()
    }

    /// Sends an event whose deadline is `remaining` away, and checks everything that holds for every answer.
    pub(crate) async fn try_send(&self, event: &Event, remaining: Duration) -> Result<Answer, String> {
        self.try_send_to(&self.function, event, remaining).await
    }

    /// The same to a process of the caller's.
    pub(crate) async fn try_send_to(
        &self,
        function: &Function,
        event: &Event,
        remaining: Duration,
    ) -> Result<Answer, String> {
        let posted = self.posted(event);
        let url =
            serde_json::from_str::<Value>(&posted).unwrap()["ResponseURL"].as_str().unwrap_or_default().to_owned();
        let invocation = function.invoke(posted, remaining).await;
        let mine: Vec<Put> =
            self.cloudformation.answers().into_iter().filter(|put| url.ends_with(&put.request.target)).collect();
        let [put] = mine.as_slice() else {
            let log = tail(&function.log());
            return Err(format!(
                "{} answers; the invocation ended with {:?}; log: {log}",
                mine.len(),
                invocation.ended
            ));
        };
        let body = put.body();
        let mut objections = put.objections();
        if !matches!(invocation.ended, Ended::Response(_)) {
            objections.push(format!("the invocation ended with {:?}", invocation.ended));
        }
        for field in ["RequestId", "LogicalResourceId"] {
            if body[field] != event.0[field] {
                objections.push(format!("{field} {} came back as {}", event.0[field], body[field]));
            }
        }
        let took = put.at.saturating_duration_since(invocation.started);
        let allowed = remaining.saturating_sub(RESERVE) + JITTER;
        if took > allowed {
            objections.push(format!("answered after {took:?}, later than {allowed:?}"));
        }
        if !objections.is_empty() {
            return Err(format!("{}: {body}", objections.join("; ")));
        }
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        Ok(Answer {
            success: text("Status") == "SUCCESS",
            reason: text("Reason"),
            physical_id: text("PhysicalResourceId"),
            data: body["Data"].clone(),
            took,
        })
    }

    /// Sends an event with ample time.
    #[track_caller]
    pub(crate) fn send(&self, event: &Event) -> impl Future<Output = Answer> {
        let place = std::panic::Location::caller();
        async move {
            self.try_send(event, AMPLE)
                .await
                .unwrap_or_else(|objection| panic!("{place}: {} {objection}", event.0["RequestType"]))
        }
    }

    /// The raw invocation of a text that may be no event at all.
    pub(crate) async fn send_raw(&self, text: &str, remaining: Duration) -> Ended {
        self.function.invoke(text.to_owned(), remaining).await.ended
    }

    /// The calls since a moment.
    pub(crate) fn calls_since(&self, moment: Instant) -> Vec<Call> {
        self.proxy.calls().into_iter().filter(|call| call.at >= moment).collect()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.function.log()
    }

    /// Ends the world, and says what must never be: a call that was not recognised, a ResponseURL in the log.
    pub(crate) async fn try_end(self) -> Result<(), String> {
        let strangers = self.proxy.strangers();
        let printed = self.function.stop().await;
        let leaks = self.cloudformation.leaks(&printed);
        if !printed.contains("answering CloudFormation") && !self.cloudformation.answers().is_empty() {
            return Err(format!("there is no log in which a ResponseURL could be found: {printed}"));
        }
        if !strangers.is_empty() {
            return Err(format!("calls that the harness does not know: {strangers:?}"));
        }
        if !leaks.is_empty() {
            return Err(format!("the log quotes {leaks:?} of a ResponseURL"));
        }
        Ok(())
    }

    /// Ends the world as every test should.
    pub(crate) async fn end(self) {
        self.try_end().await.unwrap();
    }
}

fn environment(
    aws: &LocalAws,
    url: &str,
    table: &str,
    stack_id: &str,
    changes: &[(&str, &str)],
) -> Vec<(String, String)> {
    let mut environment = aws.root_environment();
    let mut set = |name: &str, value: &str| {
        environment.retain(|(key, _)| key != name);
        if !value.is_empty() {
            environment.push((name.to_owned(), value.to_owned()));
        }
    };
    set("AWS_ENDPOINT_URL", url);
    set("AWS_ENDPOINT_URL_CONNECT", url);
    set("LEDGER_TABLE", table);
    set("STACK_ID", stack_id);
    set("_EMITE_LOOPBACK_RESPONSES", "1");
    // Time for one more try, which the function makes after three seconds.
    set("PERMISSION_GRACE_SECONDS", "4");
    for (name, value) in changes {
        set(name, value);
    }
    environment
}

/// The end of a log, enough to see what happened.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Streams that really are in the local AWS, for the tests to stream to.
#[derive(Debug)]
pub(crate) struct Targets {
    /// Ours, for agent events.
    pub(crate) stream: String,
    /// Ours, renamed.
    pub(crate) stream_renamed: String,
    /// Somebody else's.
    pub(crate) foreign_stream: String,
    /// Ours, for contact records.
    pub(crate) firehose: String,
    /// Ours, renamed.
    pub(crate) firehose_renamed: String,
    /// Somebody else's.
    pub(crate) foreign_firehose: String,
}

impl Targets {
    /// The streams; the first caller makes them.
    pub(crate) async fn get() -> &'static Self {
        static TARGETS: OnceCell<Targets> = OnceCell::const_new();
        TARGETS.get_or_init(Self::make).await
    }

    async fn make() -> Self {
        Self {
            stream: make_stream("e2e-stream").await,
            stream_renamed: make_stream("e2e-stream-renamed").await,
            foreign_stream: make_stream("e2e-foreign-stream").await,
            firehose: make_firehose("e2e-firehose").await,
            firehose_renamed: make_firehose("e2e-firehose-renamed").await,
            foreign_firehose: make_firehose("e2e-foreign-firehose").await,
        }
    }
}

/// Makes a Kinesis stream and gives its ARN.
pub(crate) async fn make_stream(name: &str) -> String {
    let aws = local_aws();
    aws.json_call("kinesis", "Kinesis_20131202.CreateStream", &json!({ "StreamName": name, "ShardCount": 1 })).await;
    aws.arn("kinesis", &format!("stream/{name}"))
}

/// Makes a Firehose delivery stream and gives its ARN.
pub(crate) async fn make_firehose(name: &str) -> String {
    let aws = local_aws();
    let role = format!("arn:aws:iam::{}:role/e2e-firehose", aws.endpoints.account_id);
    let destination = json!({ "RoleARN": role, "BucketARN": "arn:aws:s3:::e2e-firehose" });
    let input = json!({
        "DeliveryStreamName": name, "DeliveryStreamType": "DirectPut", "ExtendedS3DestinationConfiguration": destination,
    });
    aws.json_call("firehose", "Firehose_20150804.CreateDeliveryStream", &input).await;
    aws.arn("firehose", &format!("deliverystream/{name}"))
}

/// Deletes a Kinesis stream.
pub(crate) async fn delete_stream(name: &str) {
    local_aws().json_call("kinesis", "Kinesis_20131202.DeleteStream", &json!({ "StreamName": name })).await;
}

/// Deletes a Firehose delivery stream.
pub(crate) async fn delete_firehose(name: &str) {
    let input = json!({ "DeliveryStreamName": name });
    local_aws().json_call("firehose", "Firehose_20150804.DeleteDeliveryStream", &input).await;
}
