//! Owns the resources of the chain from Amazon Connect to eMite that an account may have already: the two parameters that name
//! each, and whether the stack creates it.

/// A resource of the chain, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChainResource {
    /// The stack creates it.
    Created(String),
    /// It exists already, and stays as it is.
    Existing(String),
}

impl ChainResource {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Created(name) | Self::Existing(name) => name,
        }
    }

    pub(super) fn created(&self) -> Option<&str> {
        if let Self::Created(name) = self { Some(name) } else { None }
    }

    pub(super) fn existing(&self) -> Option<&str> {
        if let Self::Existing(name) = self { Some(name) } else { None }
    }
}

/// The two parameters that name a resource, of which the second one takes precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameParameters {
    /// The name of one that the stack creates.
    pub(super) created: &'static str,
    /// The name of one that exists already.
    pub(super) existing: &'static str,
}

pub(super) const AGENT_EVENT_STREAM: NameParameters =
    NameParameters { created: "AgentEventStreamName", existing: "ExistingAgentEventStreamName" };
pub(super) const DELIVERY_STREAM: NameParameters =
    NameParameters { created: "DeliveryStreamName", existing: "ExistingDeliveryStreamName" };
pub(super) const DOMAIN: NameParameters = NameParameters { created: "DomainName", existing: "ExistingDomainName" };
pub(super) const ROLE: NameParameters = NameParameters { created: "RoleName", existing: "ExistingRoleName" };

/// The name of the role that the stack creates for a delivery stream, as the guide's console does.
pub(super) fn delivery_role_name(delivery_stream: &str) -> String {
    format!("{delivery_stream}{DELIVERY_ROLE_SUFFIX}")
}

/// What goes with the delivery stream's name to make that of its role.
pub(super) const DELIVERY_ROLE_SUFFIX: &str = "-role";
