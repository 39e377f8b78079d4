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

/// How many Elastic IPs the account may have in the region; none if it does not say. Needs
/// `ec2:DescribeAccountAttributes`
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

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::describe_key_pairs::DescribeKeyPairsError;
    use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
    use aws_sdk_ec2::types::Route;
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::mocks::{client, code};

    /// An answer to a question with these filters, of one table with a route to `gateway`, or of none.
    fn tables(filters: &'static [(&str, &str)], gateway: Option<&'static str>) -> Rule {
        mock!(Client::describe_route_tables)
            .match_requests(|call| {
                let wanted = filters.iter().map(|(name, value)| filter(name, value));
                call.filters() == wanted.collect::<Vec<_>>()
            })
            .then_output(move || {
                let route = |gateway: &str| {
                    let route = Route::builder().gateway_id(gateway).destination_cidr_block("0.0.0.0/0");
                    RouteTable::builder().routes(route.state(RouteState::Active).build()).build()
                };
                DescribeRouteTablesOutput::builder()
                    .set_route_tables(Some(gateway.map(route).into_iter().collect()))
                    .build()
            })
    }

    const OWN: &[(&str, &str)] = &[("association.subnet-id", "subnet-1")];
    const MAIN: &[(&str, &str)] = &[("vpc-id", "vpc-1"), ("association.main", "true")];

    #[tokio::test]
    async fn route_table_of_the_vpc_counts_only_for_a_subnet_without_its_own() {
        let is_public = async |rules: &[&Rule]| has_internet_route(&client(rules), "vpc-1", "subnet-1").await.unwrap();
        assert!(is_public(&[&tables(OWN, Some("igw-1"))]).await);
        assert!(!is_public(&[&tables(OWN, Some("vgw-1"))]).await);
        assert!(is_public(&[&tables(OWN, None), &tables(MAIN, Some("igw-1"))]).await);
        assert!(!is_public(&[&tables(OWN, None), &tables(MAIN, None)]).await);
    }

    #[tokio::test]
    async fn key_pair_of_another_name_does_not_exist_and_a_denied_call_is_an_error() {
        let has = async |error: &'static str| {
            let rule =
                mock!(Client::describe_key_pairs).then_error(move || DescribeKeyPairsError::generic(code(error)));
            has_key_pair(&client(&[&rule]), "admins").await
        };
        assert!(!has("InvalidKeyPair.NotFound").await.unwrap());
        assert!(has("UnauthorizedOperation").await.unwrap_err().is_denied());
    }
}
