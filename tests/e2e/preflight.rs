//! Owns Preflight: each thing that would make a deployment fail later is refused in the first minute, alone and together
//! with all others, named by its parameter; and what was accepted once is never refused on the way back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emite_connect_tests::faults::{Fault, Plan};
use emite_connect_tests::local_aws::{LocalAws, local_aws};
use serde_json::{Value, json};

use crate::world::{AMPLE, Event, RESERVE, Targets, World, make_firehose, make_stream};

pub(crate) const PREFLIGHT: &str = "Custom::EmitePreflight";

/// The names that a stack's own things would have: nobody else's, in no other test.
pub(crate) struct Names {
    pub(crate) stream: String,
    pub(crate) firehose: String,
    pub(crate) domain: String,
    pub(crate) role: String,
}

impl Names {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("e2e-preflight-{what}-{number}");
        Self { stream: name("s"), firehose: name("f"), domain: format!("e2e-pf-{number}"), role: name("role") }
    }
}

pub(crate) fn properties(world: &World, names: &Names) -> Value {
    json!({
        "ConnectInstanceArn": world.instance.arn, "EmiteAccountId": "444455556666", "CustomerId": "acme-support-7421",
        "EmitePrincipalArn": "", "EmiteServerCidrs": ["203.0.113.10/32", "198.51.100.0/24"], "EmiteUrl": "https://emite.example.com",
        "TimeZone": "Australia/Sydney", "AlertTopicArn": "", "OnExistingStreaming": "Fail",
        "AgentEventStreamName": names.stream, "AgentEventKeyArn": "", "DeliveryStreamName": names.firehose,
        "DomainName": names.domain, "SearchEngineVersion": "Elasticsearch_6.8", "DomainInstanceType": "m5.large.search",
        "DomainLogs": "Enabled", "BackupBucketName": "", "BackupBucketKeyArn": "", "RoleName": names.role, "BusinessHours": "", "HostingMode": "EmiteHosted",
        "ContactIndexName": "emite-contacts", "ContactTypeName": "contacts", "IndexRotation": "OneMonth",
        "ExistingDomainName": "", "ExistingAgentEventStreamName": "", "ExistingDeliveryStreamName": "",
        "ExistingContactRecordStreamName": "", "ExistingRoleName": "", "VpcId": "", "SubnetId": "", "KeyPairName": "",
        "ServerInstanceType": "r5.large", "ServerVolumeGiB": "100", "ServerImage": IMAGE, "ServerAccess": "SessionManager",
        "OfficeCidrs": [""], "EmiteOfficeCidrs": ["60.241.25.74/32"],
    })
}

const IMAGE: &str = "Windows_Server-2022-English-Full-SQL_2022_Express";

/// The same with a server in this account, in the first public subnet.
pub(crate) async fn self_hosted(world: &World, names: &Names) -> Value {
    let (vpc, subnet) = world.aws.public_subnets().await.remove(0);
    let mut properties = properties(world, names);
    for (name, value) in [("HostingMode", "SelfHosted"), ("VpcId", &vpc), ("SubnetId", &subnet)] {
        properties[name] = json!(value);
    }
    properties
}

pub(crate) async fn make_role(name: &str) {
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
    local_aws()
        .form_call(
            "iam",
            &format!("Action=CreateRole&Version=2010-05-08&RoleName={name}&AssumeRolePolicyDocument={trust}"),
        )
        .await;
}

pub(crate) async fn make_domain(name: &str) {
    let input = json!({ "DomainName": name, "EngineVersion": "Elasticsearch_6.8" }).to_string();
    let reply = local_aws().rest_call("es", "POST", "/2021-01-01/opensearch/domain", &input).await;
    assert!(reply.status < 300, "{reply:?}");
}

pub(crate) async fn make_key(aws: &LocalAws, spec: &str) -> String {
    let input = json!({ "KeySpec": spec, "KeyUsage": if spec == "SYMMETRIC_DEFAULT" { "ENCRYPT_DECRYPT" } else { "GENERATE_VERIFY_MAC" } });
    let answer = aws.json_call("kms", "TrentService.CreateKey", &input).await;
    answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

async fn make_disabled_key(aws: &LocalAws) -> String {
    let arn = make_key(aws, "SYMMETRIC_DEFAULT").await;
    aws.json_call("kms", "TrentService.DisableKey", &json!({ "KeyId": arn })).await;
    arn
}

pub(crate) async fn make_topic(aws: &LocalAws, name: &str, admits: &str) -> String {
    aws.form_call("sns", &format!("Action=CreateTopic&Version=2010-03-31&Name={name}")).await;
    let arn = aws.arn("sns", name);
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": admits }, "Action": "sns:Publish", "Resource": arn,
    }]});
    let encoded: String = policy.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let set = format!(
        "Action=SetTopicAttributes&Version=2010-03-31&TopicArn={arn}&AttributeName=Policy&AttributeValue={encoded}"
    );
    aws.form_call("sns", &set).await;
    arn
}

async fn encrypt_bucket(aws: &LocalAws, bucket: &str, key: &str) {
    let by_default = format!("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{key}</KMSMasterKeyID>");
    let rule =
        format!("<Rule><ApplyServerSideEncryptionByDefault>{by_default}</ApplyServerSideEncryptionByDefault></Rule>");
    let body = format!("<ServerSideEncryptionConfiguration>{rule}</ServerSideEncryptionConfiguration>");
    let reply = aws.rest_call("s3", "PUT", &format!("/{bucket}?encryption"), &body).await;
    assert!(reply.status < 300, "{reply:?}");
}

/// Everything that can stand in the way, really there.
struct Obstacles {
    /// Property, value, and what else than the property the reason must name.
    each: Vec<(&'static str, Value, Vec<String>)>,
}

async fn obstacles(aws: &LocalAws, world: &World, prefix: &str) -> Obstacles {
    let name = |what: &str| format!("{prefix}-{what}");
    let (stream, firehose, role, domain) = (name("s"), name("f"), name("r"), name("d"));
    make_stream(&stream).await;
    make_firehose(&firehose).await;
    make_role(&role).await;
    let role_taken = name("g");
    make_role(&format!("{role_taken}-role")).await;
    make_domain(&domain).await;
    aws.make_bucket(&name("b"), "eu-central-1").await;
    let starting = aws.new_instance_with(&json!({ "alias": name("i"), "status": "CREATION_IN_PROGRESS" })).await;
    let streaming = aws.new_instance().await;
    let targets = Targets::get().await;
    aws.stream_to(&streaming, "AGENT_EVENTS", &targets.foreign_stream).await;
    let streaming_too = aws.new_instance().await;
    aws.stream_to(&streaming_too, "CONTACT_TRACE_RECORDS", &targets.foreign_firehose).await;
    let closed_topic = make_topic(aws, &name("t"), "events.amazonaws.com").await;
    let bucket_key = make_key(aws, "SYMMETRIC_DEFAULT").await;
    aws.make_bucket(&name("e"), &aws.endpoints.region).await;
    encrypt_bucket(aws, &name("e"), &bucket_key).await;
    let (disabled, asymmetric) = (make_disabled_key(aws).await, make_key(aws, "HMAC_256").await);
    let region = &aws.endpoints.region;
    let arn = &world.instance.arn;
    let case = |property, value: &str, words: &[&str]| {
        (property, json!(value), words.iter().map(|word| (*word).to_owned()).collect())
    };
    let each = vec![
        case(
            "ConnectInstanceArn",
            &aws.arn("connect", "instance/00000000-0000-4000-8000-00000000dead"),
            &["does not exist"],
        ),
        case("ConnectInstanceArn", &starting.arn, &["CREATION_IN_PROGRESS"]),
        case("ConnectInstanceArn", &arn.replace(&aws.endpoints.account_id, "999988887777"), &["account"]),
        case("ConnectInstanceArn", &arn.replace(region.as_str(), "eu-west-2"), &["region"]),
        case("ConnectInstanceArn", &world.instance.id, &[]),
        // Found on the instance, but it is another parameter that decides.
        case("ConnectInstanceArn", &streaming.arn, &["OnExistingStreaming", "Replace", &targets.foreign_stream]),
        case("ConnectInstanceArn", &streaming_too.arn, &["OnExistingStreaming", "Replace", &targets.foreign_firehose]),
        case("AgentEventStreamName", &stream, &["exists", "another"]),
        case("DeliveryStreamName", &firehose, &["exists", "another"]),
        case("DeliveryStreamName", &role_taken, &["role", "exists", "another"]),
        case("DomainName", &domain, &["exists", "another"]),
        case("RoleName", &role, &["exists", "another"]),
        case("SearchEngineVersion", "Elasticsearch_0.1", &["not offered"]),
        case("DomainInstanceType", "z9.colossal.search", &["not offered"]),
        case("DomainLogs", "Perhaps", &["Enabled", "Disabled"]),
        case("EmiteServerCidrs", "0.0.0.0/0", &["/24"]),
        case("EmiteServerCidrs", "203.0.113.0/23", &["/24"]),
        case("EmiteServerCidrs", "10.1.2.3/32", &["public"]),
        case("EmiteServerCidrs", "203.0.113.999", &["address"]),
        case("EmiteServerCidrs", "", &[]),
        case("EmiteUrl", "https://*.example.com", &["wildcard"]),
        case("EmiteUrl", "emite.example.com", &[]),
        case("EmiteAccountId", "12345", &["12"]),
        case("CustomerId", "has a space", &[]),
        case("EmitePrincipalArn", "nobody", &[]),
        case("EmitePrincipalArn", "arn:aws:iam::999988887777:role/x", &["EmiteAccountId"]),
        case("TimeZone", "Australia/Atlantis", &["IANA"]),
        case("BackupBucketName", &name("nowhere"), &["does not exist"]),
        case("BackupBucketName", &name("b"), &["eu-central-1", region]),
        case("BackupBucketName", &name("e"), &["BackupBucketKeyArn", &bucket_key]),
        case("BackupBucketKeyArn", &aws.arn("kms", "key/00000000-0000-4000-8000-00000000dead"), &["does not exist"]),
        case("BackupBucketKeyArn", &disabled, &["Disabled"]),
        case("AgentEventKeyArn", &disabled, &["Disabled"]),
        case("AgentEventKeyArn", &asymmetric, &["symmetric"]),
        case("AgentEventKeyArn", &aws.arn("kms", "alias/aws/kinesis"), &[]),
        case("AlertTopicArn", &aws.arn("sns", &name("nowhere")), &["does not exist"]),
        case("AlertTopicArn", &closed_topic, &["sns:Publish"]),
        case("OnExistingStreaming", "Perhaps", &["Fail", "Replace"]),
    ];
    Obstacles { each }
}

#[tokio::test]
async fn each_obstacle_alone_is_refused_by_its_parameter_and_nothing_is_written() {
    let world = World::new().await;
    let obstacles = obstacles(world.aws, &world, "e2e-one").await;
    let good = properties(&world, &Names::new());
    let mut problems = Vec::new();
    for (property, value, words) in &obstacles.each {
        let create = Event::new("Create", PREFLIGHT, &good).property(property, value.clone());
        let answer = world.send(&create).await;
        let missing = words.iter().map(String::as_str).chain([*property]).find(|word| !answer.reason.contains(word));
        // An instance that streams elsewhere is no wrong instance, and a bucket with a key no wrong bucket.
        let decides = |word: &String| word == "OnExistingStreaming" || word == "BackupBucketKeyArn";
        let missing = missing.filter(|word| *word != *property || !words.iter().any(decides));
        if answer.success || missing.is_some() {
            problems.push(format!("{property}={value}: does not name {missing:?}: {}", answer.reason));
        }
        if answer.reason.contains("problems.") {
            problems.push(format!("{property}={value}: more than one problem: {}", answer.reason));
        }
        let deleted = world.send(&create.delete(&answer.physical_id)).await;
        if !deleted.success || answer.physical_id != "preflight" {
            problems.push(format!("{property}={value}: id {}, Delete: {}", answer.physical_id, deleted.reason));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(world.aws.ledger_items(&world.table).await, Vec::<Value>::new());
    world.end().await;
}

#[tokio::test]
async fn all_obstacles_at_once_are_all_named_in_one_answer() {
    let world = World::new().await;
    let obstacles = obstacles(world.aws, &world, "e2e-all").await;
    let mut create = Event::new("Create", PREFLIGHT, &properties(&world, &Names::new()));
    let mut named = std::collections::BTreeSet::new();
    for (property, value, _) in &obstacles.each {
        // The first obstacle of each parameter: it can have one value only. Which instance types are offered is a question
        // of the engine, and this engine is not offered at all.
        if *property != "DomainInstanceType" && named.insert(*property) {
            create = create.property(property, value.clone());
        }
    }
    let words: Vec<&str> = named.into_iter().collect();
    assert!(words.len() >= 15, "{words:?}");
    world.send(&create).await.failed_naming(&words);
    assert_eq!(world.aws.ledger_items(&world.table).await, Vec::<Value>::new());
    world.end().await;
}

#[tokio::test]
async fn a_missing_or_unknown_property_is_named() {
    let world = World::new().await;
    let good = properties(&world, &Names::new());
    for required in [
        "ConnectInstanceArn",
        "EmiteAccountId",
        "CustomerId",
        "EmiteServerCidrs",
        "TimeZone",
        "OnExistingStreaming",
        "AgentEventStreamName",
        "DeliveryStreamName",
        "DomainName",
        "SearchEngineVersion",
        "DomainInstanceType",
        "RoleName",
        "HostingMode",
        "ContactIndexName",
        "IndexRotation",
    ] {
        let mut properties = good.clone();
        properties.as_object_mut().unwrap().remove(required);
        world.send(&Event::new("Create", PREFLIGHT, &properties)).await.failed_naming(&[required]);
        for nonsense in [json!({ "a": 1 }), json!("x".repeat(100_000)), json!("Zürich\u{0}\u{1f600}")] {
            let create = Event::new("Create", PREFLIGHT, &good).property(required, nonsense);
            let answer = world.send(&create).await.failed_naming(&[required]);
            world.send(&create.delete(&answer.physical_id)).await.succeeded();
        }
    }
    let surprise = Event::new("Create", PREFLIGHT, &good).property("Surprise", "x");
    world.send(&surprise).await.failed_naming(&["Surprise"]);
    assert_eq!(world.aws.ledger_items(&world.table).await, Vec::<Value>::new());
    world.end().await;
}

#[tokio::test]
async fn good_parameters_are_accepted_with_what_the_rest_of_the_stack_needs() {
    let world = World::new().await;
    let answer = world.send(&Event::new("Create", PREFLIGHT, &properties(&world, &Names::new()))).await.succeeded();
    assert_eq!(answer.physical_id, "preflight");
    assert_eq!(answer.data["InstanceId"], world.instance.id);
    assert!(answer.data["InstanceAlias"].as_str().unwrap().starts_with("e2e-"));
    assert!(answer.data["ServiceRoleArn"].as_str().unwrap().contains("AWSServiceRoleForAmazonConnect_"));
    assert_eq!(answer.data["ServerImageId"], "");
    assert_eq!(answer.data["SearchEndpoint"], "");
    for (name, ending) in
        [("AgentEventStream", ":stream/"), ("DeliveryStream", ":deliverystream/"), ("Domain", ":domain/")]
    {
        let (arn, short) = (&answer.data[format!("{name}Arn")], &answer.data[format!("{name}Name")]);
        assert!(arn.as_str().unwrap().ends_with(&format!("{ending}{}", short.as_str().unwrap())), "{arn} {short}");
    }
    let written: Vec<String> = world.proxy.actions().into_iter().filter(|action| action.contains(":Put")).collect();
    assert_eq!(written, ["dynamodb:PutItem"]);
    world.end().await;
}

#[tokio::test]
async fn existing_things_that_are_in_order_are_accepted() {
    let (world, aws) = (World::new().await, local_aws());
    aws.make_bucket("e2e-ok-bucket", &aws.endpoints.region).await;
    let (key, topic) =
        (make_key(aws, "SYMMETRIC_DEFAULT").await, make_topic(aws, "e2e-ok-topic", "cloudwatch.amazonaws.com").await);
    let targets = Targets::get().await;
    aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let create = Event::new("Create", PREFLIGHT, &properties(&world, &Names::new()))
        .property("BackupBucketName", "e2e-ok-bucket")
        .property("BackupBucketKeyArn", key.clone())
        .property("AgentEventKeyArn", key)
        .property("AlertTopicArn", topic)
        .property("OnExistingStreaming", "Replace")
        .property("EmitePrincipalArn", "arn:aws:iam::444455556666:role/emite")
        .property("EmiteUrl", "");
    world.send(&create).await.succeeded();
    world.end().await;
}

#[tokio::test]
async fn an_update_back_to_what_was_accepted_succeeds_unchecked_and_another_one_is_checked() {
    let (world, names, targets) = (World::new().await, Names::new(), Targets::get().await);
    let good = properties(&world, &names);
    let create = Event::new("Create", PREFLIGHT, &good);
    let accepted = world.send(&create).await.succeeded();
    // The stack makes its things, and somebody else streams elsewhere meanwhile.
    make_stream(&names.stream).await;
    make_firehose(&names.firehose).await;
    make_role(&names.role).await;
    make_domain(&names.domain).await;
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let mut bad = good.clone();
    bad["TimeZone"] = json!("Mars/Olympus");
    let update = create.update(&bad, "preflight");
    world.send(&update).await.failed_naming(&["TimeZone", "OnExistingStreaming"]);
    let moment = Instant::now();
    world.stack_is("UPDATE_ROLLBACK_IN_PROGRESS");
    let back = world.send(&update.update(&good, "preflight")).await.succeeded();
    assert_eq!(back.data, accepted.data);
    let calls = world.calls_since(moment).into_iter().map(|call| call.action);
    let looked: Vec<String> = calls.filter(|action| !action.starts_with("cloudformation:")).collect();
    assert_eq!(looked, ["dynamodb:GetItem"]);
    world.send(&create).await.succeeded();
    world.end().await;
}

#[tokio::test]
async fn an_update_that_was_accepted_and_fails_later_can_be_rolled_back_any_number_of_times() {
    let (world, names, targets) = (World::new().await, Names::new(), Targets::get().await);
    let first = properties(&world, &names);
    let create = Event::new("Create", PREFLIGHT, &first);
    world.send(&create).await.succeeded();
    let mut second = first.clone();
    second["TimeZone"] = json!("Europe/Dublin");
    world.send(&create.update(&second, "preflight")).await.succeeded();
    // From now on nothing would be accepted that is looked at.
    make_stream(&names.stream).await;
    make_role(&names.role).await;
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    world.stack_is("UPDATE_ROLLBACK_IN_PROGRESS");
    for properties in [&first, &second, &first, &second] {
        world.send(&create.update(properties, "preflight")).await.succeeded();
    }
    world.stack_is("UPDATE_IN_PROGRESS");
    let mut third = first.clone();
    third["TimeZone"] = json!("Europe/Paris");
    world.send(&create.update(&third, "preflight")).await.failed_naming(&["OnExistingStreaming"]);
    world.end().await;
}

/// An Update to what was accepted before the last one.
pub(crate) async fn back(world: &World) -> Event {
    let first = properties(world, &Names::new());
    let create = Event::new("Create", PREFLIGHT, &first);
    world.send(&create).await.succeeded();
    let mut second = first.clone();
    second["TimeZone"] = json!("Europe/Dublin");
    let update = create.update(&second, "preflight");
    world.send(&update).await.succeeded();
    update.update(&first, "preflight")
}

/// An accepted Create whose domain has been made, and an Update of it to another engine.
pub(crate) async fn engine_upgrade(world: &World, engine: &str) -> Event {
    let names = Names::new();
    let create = Event::new("Create", PREFLIGHT, &properties(world, &names));
    world.send(&create).await.succeeded();
    make_domain(&names.domain).await;
    let mut upgraded = create.0["ResourceProperties"].clone();
    upgraded["SearchEngineVersion"] = json!(engine);
    create.update(&upgraded, "preflight")
}

#[tokio::test]
async fn an_upgrade_of_the_engine_is_refused_unless_it_is_offered_for_the_domain() {
    let world = World::new().await;
    let update = engine_upgrade(&world, "OpenSearch_2.19").await;
    world.send(&update).await.failed_naming(&["SearchEngineVersion", "OpenSearch_2.19", "Elasticsearch_7"]);
    world.send(&engine_upgrade(&world, "Elasticsearch_7.10").await).await.succeeded();
    world.end().await;
}

#[tokio::test]
async fn an_update_checks_the_names_that_it_changes_and_lets_the_stacks_own_be() {
    let (world, names) = (World::new().await, Names::new());
    let good = properties(&world, &names);
    let create = Event::new("Create", PREFLIGHT, &good);
    world.send(&create).await.succeeded();
    make_stream(&names.stream).await;
    make_firehose(&names.firehose).await;
    make_role(&names.role).await;
    make_role(&format!("{}-role", names.firehose)).await;
    make_domain(&names.domain).await;
    let mut changed = good.clone();
    changed["TimeZone"] = json!("Europe/Dublin");
    world.send(&create.update(&changed, "preflight")).await.succeeded();
    let taken = Names::new();
    make_stream(&taken.stream).await;
    changed["AgentEventStreamName"] = json!(taken.stream);
    world.send(&create.update(&changed, "preflight")).await.failed_naming(&["AgentEventStreamName"]);
    world.end().await;
}

#[tokio::test]
async fn log_policies_are_counted_only_for_a_stack_that_is_about_to_make_one() {
    let (world, names) = (World::new().await, Names::new());
    let with = |logs: Option<&str>, time_zone: &str| {
        let mut properties = properties(&world, &names);
        properties["TimeZone"] = json!(time_zone);
        match logs {
            Some(logs) => properties["DomainLogs"] = json!(logs),
            None => drop(properties.as_object_mut().unwrap().remove("DomainLogs")),
        }
        properties
    };
    let create = Event::new("Create", PREFLIGHT, &with(Some("Enabled"), "UTC"));
    let off = Event::new("Create", PREFLIGHT, &with(Some("Disabled"), "UTC"));
    // A release that did not know the property made the policy in any case.
    let older = Event::new("Create", PREFLIGHT, &with(None, "UTC"));
    let cases = [
        ("a new stack", create.clone(), true),
        ("a new stack without the log", off.clone(), false),
        ("logs as before", create.update(&with(Some("Enabled"), "Europe/Paris"), "preflight"), false),
        ("logs from now on", off.update(&with(Some("Enabled"), "Europe/Rome"), "preflight"), true),
        ("logs no longer", create.update(&with(Some("Disabled"), "Europe/Oslo"), "preflight"), false),
        ("an older release", older.update(&with(Some("Enabled"), "Europe/Riga"), "preflight"), false),
    ];
    for (case, event, asks) in cases {
        let moment = Instant::now();
        world.send(&event).await.succeeded();
        let asked = world.calls_since(moment).iter().any(|call| call.action == "logs:DescribeResourcePolicies");
        assert_eq!(asked, asks, "{case}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_delete_always_succeeds_and_asks_nobody() {
    let world = World::new().await;
    world.proxy.plan(["dynamodb:GetItem", "dynamodb:PutItem", "connect:DescribeInstance"].map(|action| Plan {
        action: action.to_owned(),
        nth: 1,
        times: usize::MAX,
        fault: Fault::Denied,
    }));
    for properties in [properties(&world, &Names::new()), json!({}), json!({ "Surprise": "x".repeat(100_000) })] {
        world
            .send(&Event::new("Delete", PREFLIGHT, &properties).with("PhysicalResourceId", "preflight"))
            .await
            .succeeded();
    }
    assert!(world.proxy.calls().is_empty());
    world.end().await;
}

/// A Create that makes every call that Preflight knows.
pub(crate) async fn thorough(world: &World) -> Event {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let aws = local_aws();
    let name = format!("e2e-thorough-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    aws.make_bucket(&name, &aws.endpoints.region).await;
    let (key, topic) =
        (make_key(aws, "SYMMETRIC_DEFAULT").await, make_topic(aws, &name, "cloudwatch.amazonaws.com").await);
    let targets = Targets::get().await;
    aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    aws.ec2("CreateKeyPair", &[("KeyName", &name)]).await;
    Event::new("Create", PREFLIGHT, &self_hosted(world, &Names::new()).await)
        .property("KeyPairName", name.clone())
        .property("BackupBucketName", name)
        .property("AgentEventKeyArn", key)
        .property("AlertTopicArn", topic)
        .property("OnExistingStreaming", "Replace")
}

#[tokio::test]
async fn every_look_survives_what_passes_and_is_named_when_it_is_denied_or_broken() {
    let clean = World::new().await;
    clean.send(&thorough(&clean).await).await.succeeded();
    let actions = clean.proxy.actions();
    clean.end().await;
    assert!(actions.len() >= 17, "{actions:?}");
    let mut cells = Vec::new();
    for action in actions {
        for fault in Fault::ALL {
            for times in [1, usize::MAX] {
                cells.push(Plan { action: action.clone(), nth: 1, times, fault });
            }
        }
    }
    let problems: Vec<String> = futures::future::join_all(cells.into_iter().map(broken_look))
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

async fn broken_look(plan: Plan) -> Result<(), String> {
    let _turn = crate::matrix::CELLS.acquire().await.unwrap();
    // Long enough for one more try on a busy machine, where the first one can take ten seconds.
    let world = World::with_environment(&[("PERMISSION_GRACE_SECONDS", "25")]).await;
    let create = thorough(&world).await;
    world.proxy.plan([plan.clone()]);
    let name = format!("{} {:?} x{}", plan.action, plan.fault, plan.times.min(9));
    let budget = Duration::from_secs(if plan.times == 1 || plan.fault == Fault::Denied { 45 } else { 6 });
    let answer = world.try_send(&create, RESERVE + budget).await.map_err(|objection| format!("{name}: {objection}"))?;
    let late = plan.fault != Fault::Denied && answer.reason.contains("time was up");
    // A write whose answer is lost each time is done all the same, and found so.
    let done = plan.fault == Fault::Lost && answer.success;
    match (plan.times == 1, answer.success) {
        (true, false) => return Err(format!("{name}: a passing fault was not survived: {}", answer.reason)),
        (false, true) if !done => return Err(format!("{name}: SUCCESS")),
        (false, false) if !late && !answer.reason.contains(&plan.action) => {
            return Err(format!("{name}: not named: {}", answer.reason));
        }
        _ => {}
    }
    world.proxy.heal();
    let again = world.try_send(&create, AMPLE).await.map_err(|objection| format!("{name}: rerun: {objection}"))?;
    if !again.success {
        return Err(format!("{name}: the rerun FAILED: {}", again.reason));
    }
    world.try_end().await.map_err(|problem| format!("{name}: {problem}"))
}
