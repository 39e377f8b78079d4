//! Owns what Preflight says of the eMite server in this account: its parameters, the network that it is to be in, and its
//! image, which is looked up once and then kept.

use aws_sdk_ec2::types::{AccountAttributeName, Filter, LocationType, RouteState};
use emite_aws::error::AwsError;

use super::Problem;
use super::values::ranges;
use crate::properties::Properties;
use crate::request::Object;
use crate::services::Services;

/// The server that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    vpc: String,
    subnet: String,
    instance_type: String,
    /// The name of the image among AWS's public parameters.
    image: String,
    /// Empty: none.
    key_pair: String,
}

/// AWS names its newest Windows images below this
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters-ami.html>).
const IMAGES: &str = "/aws/service/ami-windows-latest/";
/// The places that the security group has for addresses of one kind.
const MOST_RANGES: usize = 5;
const LEAST_GIB: u32 = 100;
const MOST_GIB: u32 = 16_384;

/// Reads the parameters, which count only if the server is in this account.
pub(super) fn read(read: &mut Properties<'_>, self_hosted: bool) -> Option<Server> {
    const PARAMETERS: [&str; 7] =
        ["VpcId", "SubnetId", "ServerInstanceType", "ServerVolumeGiB", "ServerImage", "ServerAccess", "KeyPairName"];
    if !self_hosted {
        for name in PARAMETERS {
            read.optional(name);
        }
        for name in ["OfficeCidrs", "EmiteOfficeCidrs"] {
            read.list(name);
        }
        return None;
    }
    let vpc = read.parsed("VpcId", |text| id(text, "vpc-"));
    let subnet = read.parsed("SubnetId", |text| id(text, "subnet-"));
    let instance_type = read.parsed("ServerInstanceType", |text| Ok::<_, &str>(text.to_owned()));
    read.parsed("ServerVolumeGiB", |text| match text.parse::<u32>() {
        Ok(gib) if (LEAST_GIB..=MOST_GIB).contains(&gib) => Ok(()),
        _ => Err(format!("must be a whole number of GiB from {LEAST_GIB} to {MOST_GIB}")),
    });
    let image = read.parsed("ServerImage", image);
    let key_pair = read.optional("KeyPairName").to_owned();
    let rdp = read.parsed("ServerAccess", access).unwrap_or(false);
    let mut offices = ["OfficeCidrs", "EmiteOfficeCidrs"]
        .map(|parameter| {
            let ranges = ranges(read, parameter);
            // Here EC2 takes no address alone.
            if ranges.iter().any(|range| !range.contains('/')) {
                read.problem(parameter, "has an address without a prefix. Write one address as 203.0.113.10/32");
            }
            if ranges.len() > MOST_RANGES {
                let count = ranges.len();
                read.problem(parameter, format!("has {count} addresses. Give {MOST_RANGES} at most; a range is one"));
            }
            ranges
        })
        .concat();
    offices.sort_unstable();
    if let Some(twice) = offices.windows(2).find(|pair| pair[0] == pair[1]) {
        let shown: String = twice[0].chars().take(50).collect();
        read.problem(
            "OfficeCidrs",
            format!("and EmiteOfficeCidrs have '{shown}' twice, which EC2 refuses. Give each range once"),
        );
    }
    if rdp && key_pair.is_empty() {
        let why = "is Rdp, which needs KeyPairName: the administrator's password is encrypted with it";
        read.problem("ServerAccess", format!("{why}. Name a key pair, or choose SessionManager"));
    }
    if rdp && offices.is_empty() {
        let why = "is Rdp, which needs addresses in OfficeCidrs or EmiteOfficeCidrs";
        read.problem("ServerAccess", format!("{why}. Give some, or choose SessionManager"));
    }
    Some(Server { vpc: vpc?, subnet: subnet?, instance_type: instance_type?, image: image?, key_pair })
}

fn id(text: &str, prefix: &str) -> Result<String, String> {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if (8..=17).contains(&digits.len()) && hexadecimal {
        return Ok(text.to_owned());
    }
    Err(format!("must look like {prefix}0a1b2c3d4e5f60718. Copy it from the VPC console"))
}

fn image(text: &str) -> Result<String, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if text.starts_with("Windows_Server-") && plain {
        return Ok(text.to_owned());
    }
    Err("must be the name of a Windows image of AWS, such as Windows_Server-2022-English-Full-Base")
}

/// Whether Remote Desktop is opened.
fn access(text: &str) -> Result<bool, &'static str> {
    match text {
        "SessionManager" => Ok(false),
        "Rdp" => Ok(true),
        _ => Err("must be SessionManager or Rdp"),
    }
}

/// What an update must leave as it is, as another server would take the place of the one that is there.
pub(super) fn replacements(before: Option<&Object>, properties: &Object) -> Vec<Problem> {
    const KEPT: [(&str, &str); 5] = [
        ("VpcId", "Set it back"),
        ("SubnetId", "Set it back"),
        ("KeyPairName", "Set it back; more people are given access in Windows itself"),
        ("ServerImage", "Set it back, and upgrade Windows on the server itself"),
        ("ServerVolumeGiB", "Set it back, and enlarge the volume in the EC2 console"),
    ];
    let hosted = |object: &Object| object.get("HostingMode").and_then(|mode| mode.as_str()) == Some("SelfHosted");
    let Some(before) = before.filter(|before| hosted(before) && hosted(properties)) else { return Vec::new() };
    let changed = KEPT.into_iter().filter(|(name, _)| before.get(*name) != properties.get(*name));
    changed
        .map(|(name, instead)| {
            Problem::new(format!(
                "{name} cannot be changed once there is a server: AWS would put a new, empty one in its place. {instead}."
            ))
        })
        .collect()
}

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
