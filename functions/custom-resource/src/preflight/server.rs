//! Owns what Preflight asks AWS about the eMite server in this account: the network that it is to be in, and its image, which is
//! looked up once and then kept.

use aws_sdk_ec2::types::{AccountAttributeName, Filter, LocationType, RouteState};
use emite_aws::error::AwsError;

use super::problem::Problem;
use super::server_parameters::Server;
use crate::request::Object;
use crate::services::Services;

/// AWS names its newest Windows images below this
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters-ami.html>).
const IMAGES: &str = "/aws/service/ami-windows-latest/";
/// The image to make the server of, and what is in the way. What was right for a server that is there already (`before`) need
/// not be so for ever: only another type of instance is looked at then.
pub(super) async fn all(services: &Services, server: &Server, before: Option<&Before<'_>>) -> (String, Vec<Problem>) {
    if let Some(before) = before {
        let retyped = before.instance_type != server.instance_type;
        let found = if retyped { network(services, server).await } else { Vec::new() };
        return (before.image.to_owned(), found);
    }
    let (image, network, key_pair, address) = tokio::join!(
        newest_image(services, server),
        network(services, server),
        key_pair(services, server),
        address(services),
    );
    let mut problems: Vec<Problem> = network.into_iter().chain(key_pair).chain(address).collect();
    let image = image.unwrap_or_else(|problem| {
        problems.push(problem);
        String::new()
    });
    (image, problems)
}

/// The server that an update finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    /// What it was made of.
    image: &'a str,
    instance_type: &'a str,
}

impl<'a> Before<'a> {
    /// The server that the stack has, if it is to keep it. `image` is what the last request that was accepted chose.
    pub(super) fn of(old: &'a Object, image: &'a str) -> Option<Self> {
        let text = |name: &str| old.get(name).and_then(|value| value.as_str());
        (text("HostingMode") == Some("SelfHosted") && !image.is_empty())
            .then(|| Self { image, instance_type: text("ServerInstanceType").unwrap_or_default() })
    }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

async fn newest_image(services: &Services, server: &Server) -> Result<String, Problem> {
    const PARAMETER: &str = "ServerImage";
    let Server { image, .. } = server;
    let answer = services.aws.ssm().get_parameter().name(format!("{IMAGES}{image}")).send().await;
    match answer.map_err(AwsError::of("ssm:GetParameter")) {
        Ok(answer) => {
            answer.parameter.and_then(|found| found.value).filter(|id| id.starts_with("ami-")).ok_or_else(|| {
                Problem::new(format!(
                    "{PARAMETER}: what AWS gives for {image} is no image. Choose another {PARAMETER}."
                ))
            })
        }
        Err(error) if error.is_not_found() || error.code == "ParameterNotFound" => Err(Problem::new(format!(
            "{PARAMETER} {image} is not offered in {}. Choose another {PARAMETER}.",
            services.home.region
        ))),
        Err(error) => Err(Problem::unseen(PARAMETER, &error)),
    }
}

/// Whether the subnet is in the VPC, leads to the internet, and offers the type of instance.
async fn network(services: &Services, server: &Server) -> Vec<Problem> {
    const PARAMETER: &str = "SubnetId";
    let ec2 = services.aws.ec2();
    let Server { vpc, subnet, .. } = server;
    let found = ec2.describe_subnets().filters(filter("subnet-id", subnet)).send().await;
    let found = match found.map_err(AwsError::of("ec2:DescribeSubnets")) {
        Ok(found) => found.subnets.unwrap_or_default().into_iter().next(),
        Err(error) => return vec![Problem::unseen(PARAMETER, &error)],
    };
    let Some(found) = found else {
        return vec![Problem::new(format!(
            "{PARAMETER} {subnet} does not exist in this account and region. Copy it from the VPC console, Subnets."
        ))];
    };
    let elsewhere = found.vpc_id().unwrap_or_default();
    if elsewhere != vpc {
        return vec![Problem::new(format!(
            "{PARAMETER} {subnet} is in {elsewhere}, not in VpcId {vpc}. Correct one of the two."
        ))];
    }
    let zone = found.availability_zone().unwrap_or_default();
    let (route, offer) = tokio::join!(route(services, server), offer(services, server, zone));
    route.into_iter().chain(offer).collect()
}

/// Whether the subnet's route table, or that of its VPC if it has none of its own, leads to an internet gateway.
async fn route(services: &Services, server: &Server) -> Option<Problem> {
    const PARAMETER: &str = "SubnetId";
    const ACTION: &str = "ec2:DescribeRouteTables";
    let Server { vpc, subnet, .. } = server;
    let tables = async |filters: Vec<Filter>| {
        let request = services.aws.ec2().describe_route_tables().set_filters(Some(filters));
        request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of(ACTION))
    };
    let own = tables(vec![filter("association.subnet-id", subnet)]).await;
    let found = match own {
        Ok(own) if own.is_empty() => tables(vec![filter("vpc-id", vpc), filter("association.main", "true")]).await,
        own => own,
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let public = found.iter().flat_map(|table| table.routes()).any(|route| {
        let gateway = route.gateway_id().is_some_and(|gateway| gateway.starts_with("igw-"));
        gateway && route.destination_cidr_block() == Some("0.0.0.0/0") && route.state() == Some(&RouteState::Active)
    });
    (!public).then(|| {
        Problem::new(format!(
            "{PARAMETER} {subnet} is no public subnet: its route table has no route to an internet gateway for 0.0.0.0/0. Name one that has, or add the route."
        ))
    })
}

async fn offer(services: &Services, server: &Server, zone: &str) -> Option<Problem> {
    const PARAMETER: &str = "ServerInstanceType";
    let Server { instance_type, .. } = server;
    let request = services.aws.ec2().describe_instance_type_offerings().location_type(LocationType::AvailabilityZone);
    let request = request.filters(filter("location", zone)).filters(filter("instance-type", instance_type));
    let offers = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    match offers.map_err(AwsError::of("ec2:DescribeInstanceTypeOfferings")) {
        Ok(offers) if offers.is_empty() => Some(Problem::new(format!(
            "{PARAMETER} {instance_type} is not offered in {zone}, where SubnetId is. Choose another type, or a subnet in another zone."
        ))),
        Ok(_) => None,
        Err(error) => Some(Problem::unseen(PARAMETER, &error)),
    }
}

async fn key_pair(services: &Services, server: &Server) -> Option<Problem> {
    const PARAMETER: &str = "KeyPairName";
    let Server { key_pair, .. } = server;
    if key_pair.is_empty() {
        return None;
    }
    let found = services.aws.ec2().describe_key_pairs().key_names(key_pair).send().await;
    match found.map_err(AwsError::of("ec2:DescribeKeyPairs")) {
        Ok(_) => None,
        Err(error) if error.code == "InvalidKeyPair.NotFound" => Some(Problem::new(format!(
            "{PARAMETER} '{key_pair}' does not exist in this region. Correct it, or make one in the EC2 console, Key Pairs."
        ))),
        Err(error) => Some(Problem::unseen(PARAMETER, &error)),
    }
}

/// Whether the account may have another Elastic IP.
async fn address(services: &Services) -> Option<Problem> {
    const PARAMETER: &str = "HostingMode";
    const LIMIT: &str = "vpc-max-elastic-ips";
    let ec2 = services.aws.ec2();
    let (limit, addresses) = tokio::join!(
        ec2.describe_account_attributes().attribute_names(AccountAttributeName::from(LIMIT)).send(),
        ec2.describe_addresses().filters(filter("domain", "vpc")).send()
    );
    let limit = match limit.map_err(AwsError::of("ec2:DescribeAccountAttributes")) {
        Ok(answer) => answer.account_attributes.unwrap_or_default(),
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let taken = match addresses.map_err(AwsError::of("ec2:DescribeAddresses")) {
        Ok(answer) => answer.addresses().len(),
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    // An account that does not say has the limit told by AWS when the address is made.
    let values = limit.iter().filter(|attribute| attribute.attribute_name() == Some(LIMIT));
    let limit: usize =
        values.flat_map(|found| found.attribute_values()).find_map(|value| value.attribute_value()?.parse().ok())?;
    (taken >= limit).then(|| {
        Problem::new(format!(
            "{PARAMETER} SelfHosted needs an Elastic IP, and this account has {taken} of {limit} in this region. Release one in the EC2 console, or ask for more in Service Quotas (EC2-VPC Elastic IPs)."
        ))
    })
}
