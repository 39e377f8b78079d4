//! Owns the calls of EC2: those about the eMite server, and those about where a new one can be placed.

mod attachments;
mod placement;
mod server;

#[cfg(test)]
pub(crate) use attachments::of_instance;
pub use attachments::{address, profile};
pub(crate) use attachments::{associate_address, set_profile};
pub use placement::{
    Subnet, address_count, address_limit, has_internet_route, has_key_pair, offers_instance_type, subnet,
};
pub use server::{Machine, machine, server};
