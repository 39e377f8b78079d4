//! Owns the network of the local AWS, as far as a server needs it: subnets, addresses and key pairs, by EC2's query API.

use crate::local_aws::{LocalAws, percent_encoded};

/// The part of a text between two others.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(found, _)| found)
}

/// The text of the first element of this name.
#[must_use]
pub fn element(xml: &str, name: &str) -> Option<String> {
    between(xml, &format!("<{name}>"), &format!("</{name}>")).map(str::to_owned)
}

impl LocalAws {
    /// One call of EC2 as root.
    pub async fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let more: String =
            parameters.iter().map(|(name, value)| format!("&{name}={}", percent_encoded(value))).collect();
        self.form_call("ec2", &format!("Action={action}&Version=2016-11-15{more}")).await
    }

    /// The VPC and the subnet of the first zone of the default network, which leads to the internet; the last zone offers few
    /// types of instances.
    pub async fn public_subnets(&self) -> Vec<(String, String)> {
        let filter = [("Filter.1.Name", "default-for-az"), ("Filter.1.Value.1", "true")];
        let found = self.ec2("DescribeSubnets", &filter).await;
        let mut subnets: Vec<(String, String, String)> = found
            .split("<subnetId>")
            .skip(1)
            .filter_map(|rest| {
                let (id, rest) = rest.split_once("</subnetId>")?;
                Some((element(rest, "availabilityZone"), element(rest, "vpcId"), id.to_owned()))
            })
            .filter_map(|(zone, vpc, id)| Some((zone?, vpc?, id)))
            .collect();
        subnets.sort();
        assert!(!subnets.is_empty(), "no default subnet in {found}");
        subnets.into_iter().map(|(_, vpc, id)| (vpc, id)).collect()
    }

    /// A subnet of the default VPC whose route table leads nowhere else.
    pub async fn private_subnet(&self, cidr: &str) -> (String, String) {
        let (vpc, _) = self.public_subnets().await.remove(0);
        let made = self.ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", cidr)]).await;
        let subnet = element(&made, "subnetId").expect("a subnet");
        let table = self.ec2("CreateRouteTable", &[("VpcId", &vpc)]).await;
        let table = element(&table, "routeTableId").expect("a route table");
        self.ec2("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &subnet)]).await;
        (vpc, subnet)
    }
}
