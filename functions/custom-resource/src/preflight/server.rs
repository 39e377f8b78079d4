//! Owns checking what the eMite server in this account needs: the network that it is to be in, and its image, which is looked up
//! once and then kept.

use emite_aws::error::if_there;
use emite_aws::{ec2, ssm};
use emite_core::problems::Problems;

use super::previous::Previous;
use super::problem::Problem;
use super::server_parameters::ServerParameters;
use crate::provider::Provider;

/// AWS names its newest Windows images below this
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters-ami.html>).
const IMAGES: &str = "/aws/service/ami-windows-latest/";

/// The image to create the server from; empty without a server. What was right for a server that exists already need not be right
/// for ever: only another type of instance is checked then.
pub(super) async fn check(
    provider: &Provider,
    server: Option<&ServerParameters>,
    previous: Option<Previous<'_>>,
) -> Result<String, Vec<Problem>> {
    let Some(server) = server else { return Ok(String::new()) };
    let mut problems = Problems::default();
    if let Some(kept) = previous.and_then(KeptServer::of) {
        if kept.instance_type != server.instance_type {
            problems.extend(network(provider, server).await);
        }
        return problems.finish(Some(kept.image.to_owned()));
    }
    let (image, network, key_pair, address) = tokio::join!(
        newest_image(provider, server),
        network(provider, server),
        key_pair(provider, server),
        address(provider),
    );
    problems.extend(network.into_iter().chain(key_pair).chain(address));
    let image = problems.keep(image);
    problems.finish(image)
}

/// The server that an update keeps.
#[derive(Clone, Copy, Debug)]
struct KeptServer<'a> {
    /// What it was created from.
    image: &'a str,
    instance_type: &'a str,
}

impl<'a> KeptServer<'a> {
    /// The server that the stack has, if it has one.
    fn of(previous: Previous<'a>) -> Option<Self> {
        let image = previous.server_image;
        let exists = previous.text("HostingMode") == "SelfHosted" && !image.is_empty();
        exists.then(|| Self { image, instance_type: previous.text("ServerInstanceType") })
    }
}

async fn newest_image(provider: &Provider, server: &ServerParameters) -> Result<String, Problem> {
    const PARAMETER: &str = "ServerImage";
    let ServerParameters { image, .. } = server;
    let found = if_there(ssm::parameter(provider.aws.ssm(), &format!("{IMAGES}{image}")).await);
    match found.map_err(|error| Problem::unverified(PARAMETER, &error))? {
        Some(id) if id.starts_with("ami-") => Ok(id),
        Some(_) => Err(Problem::new(format!(
            "{PARAMETER}: what AWS gives for {image} is no image. Choose another {PARAMETER}."
        ))),
        None => Err(Problem::new(format!(
            "{PARAMETER} {image} is not offered in {}. Choose another {PARAMETER}.",
            provider.home.region
        ))),
    }
}

/// Whether the subnet is in the VPC, leads to the internet, and offers the type of instance.
async fn network(provider: &Provider, server: &ServerParameters) -> Vec<Problem> {
    const PARAMETER: &str = "SubnetId";
    let ServerParameters { vpc, subnet, .. } = server;
    let found = match ec2::subnet(provider.aws.ec2(), subnet).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            return vec![Problem::new(format!(
                "{PARAMETER} {subnet} does not exist in this account and region. Copy it from the VPC console, Subnets."
            ))];
        }
        Err(error) => return vec![Problem::unverified(PARAMETER, &error)],
    };
    if found.vpc != *vpc {
        let elsewhere = found.vpc;
        return vec![Problem::new(format!(
            "{PARAMETER} {subnet} is in {elsewhere}, not in VpcId {vpc}. Correct one of the two."
        ))];
    }
    let (route, offer) = tokio::join!(route(provider, server), offer(provider, server, &found.zone));
    route.into_iter().chain(offer).collect()
}

async fn route(provider: &Provider, server: &ServerParameters) -> Option<Problem> {
    const PARAMETER: &str = "SubnetId";
    let ServerParameters { vpc, subnet, .. } = server;
    match ec2::has_internet_route(provider.aws.ec2(), vpc, subnet).await {
        Ok(true) => None,
        Ok(false) => Some(Problem::new(format!(
            "{PARAMETER} {subnet} is no public subnet: its route table has no route to an internet gateway for 0.0.0.0/0. Name one that has, or add the route."
        ))),
        Err(error) => Some(Problem::unverified(PARAMETER, &error)),
    }
}

async fn offer(provider: &Provider, server: &ServerParameters, zone: &str) -> Option<Problem> {
    const PARAMETER: &str = "ServerInstanceType";
    let ServerParameters { instance_type, .. } = server;
    match ec2::offers_instance_type(provider.aws.ec2(), zone, instance_type).await {
        Ok(true) => None,
        Ok(false) => Some(Problem::new(format!(
            "{PARAMETER} {instance_type} is not offered in {zone}, where SubnetId is. Choose another type, or a subnet in another zone."
        ))),
        Err(error) => Some(Problem::unverified(PARAMETER, &error)),
    }
}

async fn key_pair(provider: &Provider, server: &ServerParameters) -> Option<Problem> {
    const PARAMETER: &str = "KeyPairName";
    let ServerParameters { key_pair, .. } = server;
    if key_pair.is_empty() {
        return None;
    }
    match ec2::has_key_pair(provider.aws.ec2(), key_pair).await {
        Ok(true) => None,
        Ok(false) => Some(Problem::new(format!(
            "{PARAMETER} '{key_pair}' does not exist in this region. Correct it, or make one in the EC2 console, Key Pairs."
        ))),
        Err(error) => Some(Problem::unverified(PARAMETER, &error)),
    }
}

/// Whether the account may have another Elastic IP.
async fn address(provider: &Provider) -> Option<Problem> {
    const PARAMETER: &str = "HostingMode";
    let ec2 = provider.aws.ec2();
    let (limit, taken) = tokio::join!(ec2::address_limit(ec2), ec2::address_count(ec2));
    let (limit, taken) = match (limit, taken) {
        (Ok(limit), Ok(taken)) => (limit, taken),
        (Err(error), _) | (_, Err(error)) => return Some(Problem::unverified(PARAMETER, &error)),
    };
    // Where the account does not say, AWS reports the limit when the address is created.
    let limit = limit?;
    (taken >= limit).then(|| {
        Problem::new(format!(
            "{PARAMETER} SelfHosted needs an Elastic IP, and this account has {taken} of {limit} in this region. Release one in the EC2 console, or ask for more in Service Quotas (EC2-VPC Elastic IPs)."
        ))
    })
}
