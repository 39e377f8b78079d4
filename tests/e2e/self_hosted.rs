//! Owns whole stacks with the eMite server in this account: what is made, that it is watched and mended, that an update never
//! replaces it, and that it is kept.

use std::collections::BTreeSet;

use emite_connect_tests::local_aws::LocalAws;
use emite_connect_tests::network::element;
use emite_connect_tests::stack::Deployment;
use serde_json::{Value, json};

use crate::life_cycles::Stack;
use crate::scenario::Before;
use crate::watch::access_policy;
use crate::watched::Watched;

/// The parameters of a server in the first public subnet, for which nobody at eMite need be known.
pub(crate) async fn server(stack: &Stack) -> Vec<(&'static str, String)> {
    let (vpc, subnet) = stack.aws.public_subnets().await.remove(0);
    let none = ["EmiteAccountId", "CustomerId", "EmiteServerCidrs"].map(|name| (name, String::new()));
    let mut parameters = vec![("HostingMode", "SelfHosted".to_owned()), ("VpcId", vpc), ("SubnetId", subnet)];
    parameters.extend(none);
    parameters
}

/// What is kept, taken away, as the account has room for few addresses.
pub(crate) async fn clean_up(aws: &LocalAws, deployment: &Deployment) {
    let id = |name: &str| deployment.resources[name].physical_id.clone().expect("an id");
    aws.ec2("TerminateInstances", &[("InstanceId.1", &id("Server"))]).await;
    let address = aws.ec2("DescribeAddresses", &[("PublicIp.1", &id("ServerAddress"))]).await;
    let allocation = element(&address, "allocationId").expect("an allocation");
    aws.ec2("ReleaseAddress", &[("AllocationId", &allocation)]).await;
    aws.ec2("DeleteSecurityGroup", &[("GroupId", &id("ServerGroup"))]).await;
}

/// The actions that a role of the stack was allowed to call.
fn called(watched: &Watched, role: &str) -> BTreeSet<String> {
    let role = format!("assumed-role/{}-{role}", watched.stack.name);
    let calls = watched.aws.call_log().into_iter().filter(|call| call.principal.contains(&role) && call.allowed());
    calls.map(|call| call.action).collect()
}

async fn described(aws: &LocalAws, server: &str) -> String {
    aws.ec2("DescribeInstances", &[("InstanceId.1", server)]).await
}

/// The domain's access policy.
async fn admission(watched: &Watched) -> Value {
    serde_json::from_str(&access_policy(watched).await).expect("JSON")
}

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["outcomes"].as_array().expect("outcomes").iter().filter_map(|one| one["result"].as_str()).collect()
}

#[tokio::test]
async fn a_server_of_ones_own_is_made_admitted_watched_mended_and_kept() {
    let mut stack = Stack::new(Before::Nothing).await;
    let parameters = server(&stack).await;
    stack.parameters.extend(parameters);
    let watched = Watched::healthy_on(stack).await;
    let aws = watched.aws;
    let setting = |name: &str| watched.setting(name).to_owned();
    let (server, address, allocation) = (setting("server"), setting("serverAddress"), setting("serverAllocation"));

    // The Elastic IP is the server's, in the outputs, and in the domain's access policy by itself.
    assert_eq!(watched.deployment.outputs["EmiteServerIp"], address);
    let policy = admission(&watched).await;
    assert_eq!(policy["Statement"][0]["Condition"]["IpAddress"]["aws:SourceIp"], json!([format!("{address}/32")]));
    let live = described(aws, &server).await;
    for part in ["r5.large", &setting("serverProfile"), "<httpTokens>required</httpTokens>"] {
        assert!(live.contains(part), "{part} in {live}");
    }
    let image = element(&live, "imageId").expect("an image");

    // Broken: no address, no role. Both are told, and one command mends both.
    let association = aws.ec2("DescribeAddresses", &[("AllocationId.1", &allocation)]).await;
    let association = element(&association, "associationId").expect("an association");
    aws.ec2("DisassociateAddress", &[("AssociationId", &association)]).await;
    let profile = [("Filter.1.Name", "instance-id"), ("Filter.1.Value.1", server.as_str())];
    let profile = aws.ec2("DescribeIamInstanceProfileAssociations", &profile).await;
    let profile = element(&profile, "associationId").expect("an association");
    aws.ec2("DisassociateIamInstanceProfile", &[("AssociationId", &profile)]).await;
    let report = watched.check().await;
    let found: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["check"] == "emite-server")
        .filter_map(|finding| finding["resource"].as_str()?.split('#').nth(1))
        .collect();
    assert_eq!(found, ["address", "profile"], "{report:#}");
    assert_eq!(report["status"], "Failing");
    let apply = json!({ "mode": "apply", "checks": ["emite-server"], "requestedBy": "an end-to-end test" });
    let answer = aws.invoke(watched.id("RepairFunction"), &apply).await.expect("a repair");
    assert_eq!(outcomes(&answer), ["Applied", "Applied"], "{answer:#}");
    assert_eq!(answer["after"]["status"], "Healthy", "{answer:#}");

    // Another profile in its place is replaced only when that is asked for.
    let profile = [("Filter.1.Name", "instance-id"), ("Filter.1.Value.1", server.as_str())];
    let profile = aws.ec2("DescribeIamInstanceProfileAssociations", &profile).await;
    let association = element(&profile, "associationId").expect("an association");
    let other = format!("{}-other", watched.stack.name);
    aws.form_call("iam", &format!("Action=CreateInstanceProfile&Version=2010-05-08&InstanceProfileName={other}")).await;
    let add = format!("Action=AddRoleToInstanceProfile&Version=2010-05-08&InstanceProfileName={other}");
    aws.form_call("iam", &format!("{add}&RoleName={}", watched.name_in("emiteRole"))).await;
    let replaced = [("AssociationId", association.as_str()), ("IamInstanceProfile.Name", other.as_str())];
    aws.ec2("ReplaceIamInstanceProfileAssociation", &replaced).await;
    let kept = aws.invoke(watched.id("RepairFunction"), &apply).await.expect("a repair");
    assert_eq!(outcomes(&kept), ["Failed"], "{kept:#}");
    assert!(kept["outcomes"][0]["error"].as_str().unwrap().contains("replace"), "{kept:#}");
    let mut replace = apply.clone();
    replace["replace"] = json!(true);
    let answer = aws.invoke(watched.id("RepairFunction"), &replace).await.expect("a repair");
    assert_eq!(outcomes(&answer), ["Applied"], "{answer:#}");
    assert_eq!(answer["after"]["status"], "Healthy", "{answer:#}");

    let of_other = format!("Version=2010-05-08&InstanceProfileName={other}");
    let role = watched.name_in("emiteRole");
    aws.form_call("iam", &format!("Action=RemoveRoleFromInstanceProfile&{of_other}&RoleName={role}")).await;
    aws.form_call("iam", &format!("Action=DeleteInstanceProfile&{of_other}")).await;

    // Each right that is there for the server was used.
    let looks = ["Addresses", "IamInstanceProfileAssociations", "InstanceStatus", "Instances", "SecurityGroups"];
    let looks: BTreeSet<String> = looks.map(|what| format!("ec2:Describe{what}")).into();
    let writes = ["AssociateAddress", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"];
    let mends: BTreeSet<String> = writes.iter().map(|what| format!("ec2:{what}")).chain(looks.clone()).collect();
    let of_ec2 =
        |actions: BTreeSet<String>| actions.into_iter().filter(|one| one.starts_with("ec2:")).collect::<BTreeSet<_>>();
    assert_eq!(of_ec2(called(&watched, "HealthCheckRole")), looks);
    assert_eq!(of_ec2(called(&watched, "RepairRole")), mends);

    // Stopped by hand: told, with what to do, and not mended by us.
    aws.ec2("StopInstances", &[("InstanceId.1", &server)]).await;
    let stopped = watched.check().await;
    let state = stopped["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "emite-server");
    let state = state.unwrap_or_else(|| panic!("{stopped:#}"));
    assert_eq!((&state["severity"], &state["repair"]), (&json!("Critical"), &Value::Null), "{state:#}");
    aws.ec2("StartInstances", &[("InstanceId.1", &server)]).await;

    // A newer image, and updates of all kinds: the server stays the one that it is.
    let name = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-SQL_2022_Express";
    let newer = json!({ "Name": name, "Value": "ami-0aaaaaaaaaaaaaaaa", "Type": "String", "Overwrite": true });
    aws.json_call("ssm", "AmazonSSM.PutParameter", &newer).await;
    let changes =
        [("TimeZone", "Europe/Dublin"), ("ServerInstanceType", "r5.xlarge"), ("EmiteServerCidrs", "203.0.113.7")];
    let (good, updated) = aws.deploy(&watched.stack.name, &changes).await;
    assert!(good, "{:#?}", updated.reasons);
    assert_eq!(updated.resources["Server"].physical_id.as_deref(), Some(server.as_str()));
    assert_eq!(element(&described(aws, &server).await, "imageId"), Some(image));
    let policy = admission(&watched).await;
    let admitted = &policy["Statement"][0]["Condition"]["IpAddress"]["aws:SourceIp"];
    assert_eq!(*admitted, json!([format!("{address}/32"), "203.0.113.7"]));
    // What would replace it is refused, and the stack is as before.
    let (good, refused) = aws.deploy(&watched.stack.name, &[("ServerVolumeGiB", "200")]).await;
    assert!(!good && refused.reasons.iter().any(|reason| reason.contains("ServerVolumeGiB")), "{refused:#?}");
    assert_eq!(refused.status, "UPDATE_ROLLBACK_COMPLETE");

    // The stack goes, the server stays, with its address.
    let Watched { stack, deployment, .. } = watched;
    stack.deleted().await;
    let live = described(aws, &server).await;
    assert!(live.contains("<name>running</name>"), "{live}");
    let kept = aws.ec2("DescribeAddresses", &[("AllocationId.1", &allocation)]).await;
    assert_eq!(element(&kept, "instanceId"), Some(server.clone()));
    clean_up(aws, &deployment).await;
}

#[tokio::test]
async fn remote_desktop_is_open_to_the_offices_and_to_nobody_else() {
    let mut stack = Stack::new(Before::Nothing).await;
    let aws = stack.aws;
    let key = format!("{}-key", stack.name);
    aws.ec2("CreateKeyPair", &[("KeyName", &key)]).await;
    let more = [("ServerAccess", "Rdp"), ("KeyPairName", &key), ("OfficeCidrs", "198.51.100.7/32,198.51.100.16/28")];
    let parameters = server(&stack).await;
    stack.parameters.extend(parameters);
    stack.parameters.extend(more.map(|(name, value)| (name, value.to_owned())));
    let deployment = stack.created().await;
    let id = |name: &str| deployment.resources[name].physical_id.clone().expect("an id");
    let group = aws.ec2("DescribeSecurityGroups", &[("GroupId.1", &id("ServerGroup"))]).await;
    let inbound = group.split("<ipPermissionsEgress>").next().unwrap_or_default();
    let rules: Vec<&str> = inbound.split("<fromPort>").skip(1).collect();
    let from: Vec<&str> = rules
        .iter()
        .filter(|rule| rule.starts_with("3389<"))
        .flat_map(|rule| rule.split("<cidrIp>").skip(1).filter_map(|cidr| cidr.split('<').next()))
        .collect();
    let wanted = ["198.51.100.7/32", "198.51.100.16/28", "60.241.25.74/32", "54.79.101.24/32", "13.238.169.116/32"];
    let (mut from, mut wanted) = (from, wanted.to_vec());
    from.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(from, wanted, "{group}");
    stack.deleted().await;
    clean_up(aws, &deployment).await;
}
