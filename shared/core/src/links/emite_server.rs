//! Owns the eMite server of this account as a link: the instance profile with which it reads, and the Elastic IP by which the
//! search domain and the agents know it.

use std::collections::BTreeSet;

use crate::arn::Arn;

/// The instance profile of a server, as EC2 keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What EC2 calls the association, `iip-assoc-…`.
    pub association_id: String,
    /// The profile's ARN.
    pub arn: String,
}

impl Profile {
    /// Whether it is the one of this ARN.
    pub fn is(&self, arn: &Arn) -> bool {
        self.arn == arn.to_string()
    }
}

/// The Elastic IP that a server should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The instance that it is associated with, or else the network interface; none if there is neither.
    pub holder: Option<String>,
    /// The Elastic IPs that the server has in its place.
    pub instead: BTreeSet<String>,
}

impl Address {
    /// Whether an address is lost when the server gets this one: by its current holder, or by the server itself.
    pub fn is_taken(&self) -> bool {
        self.holder.is_some() || !self.instead.is_empty()
    }
}
