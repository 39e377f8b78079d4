//! Owns the calls of EC2 about where a new server can be placed: its subnet, its type, its key pair and its address.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{AccountAttributeName, Filter, LocationType, RouteState, RouteTable};

use crate::error::{AwsError, if_there};

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its VPC, `vpc-…`.
    pub vpc: String,
    /// Its availability zone.
    pub zone: String,
}

/// A subnet; `None` if it does not exist. Needs `ec2:DescribeSubnets`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>).
pub async fn subnet(ec2: &Client, id: &str) -> Result<Option<Subnet>, AwsError> {
    let answer = ec2.describe_subnets().filters(filter("subnet-id", id)).send().await;
    let found = answer.map_err(AwsError::of("ec2:DescribeSubnets"))?.subnets.unwrap_or_default().into_iter().next();
    Ok(found.map(|subnet| Subnet {
        vpc: subnet.vpc_id.unwrap_or_default(),
        zone: subnet.availability_zone.unwrap_or_default(),
    }))
}

/// Whether the subnet's route table, or that of its VPC if it has none of its own, leads to an internet gateway. Needs
/// `ec2:DescribeRouteTables` (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html>).
pub async fn has_internet_route(ec2: &Client, vpc: &str, subnet: &str) -> Result<bool, AwsError> {
    let own = route_tables(ec2, vec![filter("association.subnet-id", subnet)]).await?;
    let tables = match own.is_empty() {
        false => own,
        true => route_tables(ec2, vec![filter("vpc-id", vpc), filter("association.main", "true")]).await?,
    };
    Ok(tables.iter().flat_map(RouteTable::routes).any(|route| {
        let gateway = route.gateway_id().is_some_and(|gateway| gateway.starts_with("igw-"));
        gateway && route.destination_cidr_block() == Some("0.0.0.0/0") && route.state() == Some(&RouteState::Active)
    }))
}

async fn route_tables(ec2: &Client, filters: Vec<Filter>) -> Result<Vec<RouteTable>, AwsError> {
    let pages = ec2.describe_route_tables().set_filters(Some(filters)).into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("ec2:DescribeRouteTables"))
}

/// Whether an availability zone offers a type of instance. Needs `ec2:DescribeInstanceTypeOfferings`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html>).
pub async fn offers_instance_type(ec2: &Client, zone: &str, instance_type: &str) -> Result<bool, AwsError> {
    let request = ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone);
    let request = request.filters(filter("location", zone)).filters(filter("instance-type", instance_type));
    let offers = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    Ok(!offers.map_err(AwsError::of("ec2:DescribeInstanceTypeOfferings"))?.is_empty())
}

/// Whether the region has a key pair of this name. Needs `ec2:DescribeKeyPairs`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeKeyPairs.html>).
pub async fn has_key_pair(ec2: &Client, name: &str) -> Result<bool, AwsError> {
    let answer = ec2.describe_key_pairs().key_names(name).send().await;
    Ok(if_there(answer.map_err(AwsError::of("ec2:DescribeKeyPairs")))?.is_some())
}

/// How many Elastic IPs the account may have in the region; none if it does not say. Needs `ec2:DescribeAccountAttributes`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAccountAttributes.html>).
pub async fn address_limit(ec2: &Client) -> Result<Option<usize>, AwsError> {
    const LIMIT: &str = "vpc-max-elastic-ips";
    let answer = ec2.describe_account_attributes().attribute_names(AccountAttributeName::from(LIMIT)).send().await;
    let attributes = answer.map_err(AwsError::of("ec2:DescribeAccountAttributes"))?.account_attributes;
    let attributes = attributes.unwrap_or_default();
    let limits = attributes.iter().filter(|attribute| attribute.attribute_name() == Some(LIMIT));
    Ok(limits.flat_map(|found| found.attribute_values()).find_map(|value| value.attribute_value()?.parse().ok()))
}

/// How many Elastic IPs the account has in the region. Needs `ec2:DescribeAddresses`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAddresses.html>).
pub async fn address_count(ec2: &Client) -> Result<usize, AwsError> {
    let answer = ec2.describe_addresses().filters(filter("domain", "vpc")).send().await;
    Ok(answer.map_err(AwsError::of("ec2:DescribeAddresses"))?.addresses().len())
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}
