//! Owns what Preflight says of things that exist already and of a server in this account: what is right is taken as it is, and
//! each thing that is not is told by the parameter that mends it.

use emite_connect_tests::network::element;
use serde_json::{Value, json};

use crate::by_hand::ByHand;
use crate::preflight::{Names, PREFLIGHT, make_key, make_role, properties, self_hosted};
use crate::world::{Event, World, make_stream};

/// The properties of a stack that uses what was made by hand.
fn using(world: &World, hand: &ByHand) -> Value {
    let mut using = properties(world, &Names::new());
    for (name, value) in hand.parameters() {
        using[name] = json!(value);
    }
    using
}

fn with(properties: &Value, changes: &[(&str, &str)]) -> Value {
    let mut changed = properties.clone();
    for (name, value) in changes {
        changed[*name] = json!(value);
    }
    changed
}

async fn accepted(world: &World, properties: &Value) -> Value {
    world.send(&Event::new("Create", PREFLIGHT, properties)).await.succeeded().data
}

async fn refused(world: &World, properties: &Value, words: &[&str]) {
    world.send(&Event::new("Create", PREFLIGHT, properties)).await.failed_naming(words);
}

#[tokio::test]
async fn what_was_made_by_hand_is_accepted_with_what_the_rest_of_the_stack_needs() {
    let (world, hand) = (World::new().await, ByHand::new().await);
    hand.stream_from(&world.instance).await;
    let data = accepted(&world, &using(&world, &hand)).await;
    for (name, value) in [
        ("AgentEventStreamArn", hand.stream_arn()),
        ("AgentEventStreamName", hand.stream.clone()),
        ("DeliveryStreamArn", hand.firehose_arn()),
        ("DeliveryRoleArn", hand.delivery_role()),
        ("DomainArn", hand.domain_arn()),
        ("EmiteRoleArn", hand.role_arn()),
        ("FailedPrefix", String::new()),
        ("ContactRecordStreamArn", String::new()),
    ] {
        assert_eq!(data[name], value, "{name}");
    }
    assert!(data["SearchEndpoint"].as_str().is_some_and(|endpoint| !endpoint.is_empty()), "{data}");
    world.end().await;
}

#[tokio::test]
async fn what_is_not_there_or_not_as_the_parameters_say_is_told_with_the_parameter_that_mends_it() {
    let (world, hand) = (World::new().await, ByHand::new().await);
    hand.stream_from(&world.instance).await;
    let good = using(&world, &hand);
    for existing in
        ["ExistingDomainName", "ExistingAgentEventStreamName", "ExistingDeliveryStreamName", "ExistingRoleName"]
    {
        refused(&world, &with(&good, &[(existing, "hand-nowhere")]), &[existing, "does not exist"]).await;
    }
    let records =
        with(&good, &[("ExistingContactRecordStreamName", "hand-nowhere"), ("OnExistingStreaming", "Replace")]);
    refused(&world, &records, &["ExistingContactRecordStreamName", "does not exist"]).await;
    for (parameter, value, live) in [
        ("ContactIndexName", "contacts", "emite-contacts"),
        ("IndexRotation", "OneDay", "OneMonth"),
        ("ContactTypeName", "records", "contacts"),
    ] {
        refused(&world, &with(&good, &[(parameter, value)]), &[parameter, live]).await;
    }
    refused(&world, &with(&good, &[("SearchEngineVersion", "OpenSearch_2.19")]), &["SearchEngineVersion", "6.3"]).await;
    let bucket = format!("{}-2", hand.bucket);
    world.aws.make_bucket(&bucket, &world.aws.endpoints.region).await;
    refused(&world, &with(&good, &[("BackupBucketName", &bucket)]), &["BackupBucketName", &hand.bucket]).await;
    world.end().await;
}

#[tokio::test]
async fn a_stream_that_is_encrypted_needs_its_key_and_one_of_awss_own_cannot_be_used() {
    let (world, hand) = (World::new().await, ByHand::new().await);
    let good = using(&world, &hand);
    let encrypt = async |key: &str| {
        let input = json!({ "StreamName": hand.stream, "EncryptionType": "KMS", "KeyId": key });
        world.aws.json_call("kinesis", "Kinesis_20131202.StartStreamEncryption", &input).await;
    };
    encrypt("alias/aws/kinesis").await;
    refused(&world, &good, &["ExistingAgentEventStreamName", "alias/aws/kinesis"]).await;
    let key = make_key(world.aws, "SYMMETRIC_DEFAULT").await;
    encrypt(&key).await;
    refused(&world, &good, &["AgentEventKeyArn", &key]).await;
    accepted(&world, &with(&good, &[("AgentEventKeyArn", &key)])).await;
    world.end().await;
}

#[tokio::test]
async fn where_records_go_already_the_refusal_says_how_to_keep_it() {
    let (world, hand) = (World::new().await, ByHand::new().await);
    hand.stream_from(&world.instance).await;
    let plain = properties(&world, &Names::new());
    let words = ["ExistingAgentEventStreamName", &hand.stream, "ExistingDeliveryStreamName", &hand.firehose];
    refused(&world, &plain, &words).await;
    let other = World::new().await;
    let records = make_stream(&format!("{}-records", hand.stream)).await;
    other.aws.stream_to(&other.instance, "CONTACT_TRACE_RECORDS", &records).await;
    let plain = properties(&other, &Names::new());
    let name = records.rsplit('/').next().unwrap();
    refused(&other, &plain, &["ExistingContactRecordStreamName", name]).await;
    let data = accepted(&other, &with(&plain, &[("ExistingContactRecordStreamName", name)])).await;
    assert_eq!(data["ContactRecordStreamArn"], records);
    world.end().await;
    other.end().await;
}

#[tokio::test]
async fn an_existing_delivery_stream_may_read_from_the_existing_stream_that_is_named() {
    let (world, hand) = (World::new().await, ByHand::new().await);
    let records = make_stream(&format!("{}-source", hand.stream)).await;
    let name = records.rsplit('/').next().unwrap();
    let source = json!({ "KinesisStreamARN": records, "RoleARN": hand.delivery_role() });
    let reader = format!("{}-reader", hand.firehose);
    let kind = json!({ "DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration": source });
    hand.make_firehose(&kind, &reader).await;
    let reading = with(&using(&world, &hand), &[("ExistingDeliveryStreamName", &reader)]);
    refused(&world, &reading, &["ExistingContactRecordStreamName", name]).await;
    accepted(&world, &with(&reading, &[("ExistingContactRecordStreamName", name)])).await;
    let wrong = with(&using(&world, &hand), &[("ExistingContactRecordStreamName", name)]);
    refused(&world, &wrong, &["ExistingContactRecordStreamName", "(none)"]).await;
    world.end().await;
}

#[tokio::test]
async fn an_update_cannot_leave_the_stacks_own_things_to_the_customer_or_turn_a_delivery_stream_around() {
    let (world, names) = (World::new().await, Names::new());
    let own = properties(&world, &names);
    let create = Event::new("Create", PREFLIGHT, &own);
    world.send(&create).await.succeeded();
    make_stream(&names.stream).await;
    make_role(&names.role).await;
    let update = async |changes: &[(&str, &str)], words: &[&str]| {
        world.send(&create.update(&with(&own, changes), "preflight")).await.failed_naming(words);
    };
    update(&[("ExistingAgentEventStreamName", &names.stream)], &["ExistingAgentEventStreamName", "this stack"]).await;
    update(&[("ExistingRoleName", &names.role)], &["ExistingRoleName", "this stack"]).await;
    let records = make_stream(&format!("{}-records", names.stream)).await;
    let records = records.rsplit('/').next().unwrap();
    let through = [("ExistingContactRecordStreamName", records)];
    update(&through, &["ExistingContactRecordStreamName", "DeliveryStreamName"]).await;
    let renamed = Names::new().firehose;
    let both = with(&own, &[through[0], ("DeliveryStreamName", &renamed)]);
    world.send(&create.update(&both, "preflight")).await.succeeded();
    world.end().await;
}

#[tokio::test]
async fn a_name_that_the_stack_did_not_make_until_now_must_be_free() {
    let (world, hand, names) = (World::new().await, ByHand::new().await, Names::new());
    let using = with(
        &properties(&world, &names),
        &[("ExistingAgentEventStreamName", &hand.stream), ("ExistingDomainName", &hand.domain)],
    );
    let create = Event::new("Create", PREFLIGHT, &using);
    world.send(&create).await.succeeded();
    make_stream(&names.stream).await;
    let back = with(&using, &[("ExistingAgentEventStreamName", "")]);
    let words = ["AgentEventStreamName", "exists already", "ExistingAgentEventStreamName"];
    world.send(&create.update(&back, "preflight")).await.failed_naming(&words);
    world.end().await;
}

// ---- The server -----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_image_of_the_server_is_the_newest_of_its_first_day_for_ever() {
    let (world, names) = (World::new().await, Names::new());
    let aws = world.aws;
    let properties =
        with(&self_hosted(&world, &names).await, &[("ServerImage", "Windows_Server-2019-English-Full-Base")]);
    let create = Event::new("Create", PREFLIGHT, &properties);
    let first = world.send(&create).await.succeeded().data["ServerImageId"].clone();
    assert!(first.as_str().unwrap().starts_with("ami-"), "{first}");
    let newer = json!({
        "Name": "/aws/service/ami-windows-latest/Windows_Server-2019-English-Full-Base",
        "Value": "ami-0fedcba9876543210", "Type": "String", "Overwrite": true,
    });
    aws.json_call("ssm", "AmazonSSM.PutParameter", &newer).await;
    let updated = with(&properties, &[("TimeZone", "Europe/Dublin"), ("ServerInstanceType", "r5.xlarge")]);
    let after = world.send(&create.update(&updated, "preflight")).await.succeeded();
    assert_eq!(after.data["ServerImageId"], first);
    let fresh = World::new().await;
    let other =
        with(&self_hosted(&fresh, &Names::new()).await, &[("ServerImage", "Windows_Server-2019-English-Full-Base")]);
    assert_eq!(accepted(&fresh, &other).await["ServerImageId"], "ami-0fedcba9876543210");
    world.end().await;
    fresh.end().await;
}

#[tokio::test]
async fn a_network_that_does_not_do_is_told_by_its_parameter() {
    let world = World::new().await;
    let aws = world.aws;
    let good = self_hosted(&world, &Names::new()).await;
    let mut subnets = aws.public_subnets().await;
    let (_, elsewhere) = subnets.pop().unwrap();
    refused(&world, &with(&good, &[("SubnetId", &elsewhere)]), &["ServerInstanceType", "r5.large", "not offered"])
        .await;
    let (_, private) = aws.private_subnet("172.31.112.0/20").await;
    refused(&world, &with(&good, &[("SubnetId", &private)]), &["SubnetId", "internet gateway"]).await;
    let vpc = aws.ec2("CreateVpc", &[("CidrBlock", "10.9.0.0/16")]).await;
    let vpc = element(&vpc, "vpcId").unwrap();
    refused(&world, &with(&good, &[("VpcId", &vpc)]), &["SubnetId", &vpc]).await;
    refused(&world, &with(&good, &[("SubnetId", "subnet-0123456789abcdef0")]), &["SubnetId", "does not exist"]).await;
    refused(&world, &with(&good, &[("KeyPairName", "nobodys")]), &["KeyPairName", "does not exist"]).await;
    let unknown = [("ServerImage", "Windows_Server-1803-English-Core-Base")];
    refused(&world, &with(&good, &unknown), &["ServerImage", "not offered"]).await;
    let rdp = [("ServerAccess", "Rdp"), ("KeyPairName", "nobodys"), ("OfficeCidrs", "0.0.0.0/0")];
    refused(&world, &with(&good, &rdp), &["OfficeCidrs", "/24", "KeyPairName"]).await;
    accepted(&world, &with(&good, &[])).await;
    world.end().await;
}

#[tokio::test]
async fn what_would_replace_the_server_is_refused_and_what_only_changes_it_is_not() {
    let (world, names) = (World::new().await, Names::new());
    let good = self_hosted(&world, &names).await;
    let create = Event::new("Create", PREFLIGHT, &good);
    world.send(&create).await.succeeded();
    let subnets = world.aws.public_subnets().await;
    for (parameter, value) in [
        ("SubnetId", subnets[1].1.as_str()),
        ("ServerImage", "Windows_Server-2016-English-Full-Base"),
        ("ServerVolumeGiB", "200"),
        ("KeyPairName", "another"),
    ] {
        let update = create.update(&with(&good, &[(parameter, value)]), "preflight");
        world.send(&update).await.failed_naming(&[parameter, "cannot be changed"]);
    }
    world.send(&create.update(&with(&good, &[("ServerInstanceType", "r5.xlarge")]), "preflight")).await.succeeded();
    let hosted = with(&good, &[("HostingMode", "EmiteHosted")]);
    let data = world.send(&create.update(&hosted, "preflight")).await.succeeded().data;
    assert_eq!(data["ServerImageId"], "");
    world.end().await;
}
