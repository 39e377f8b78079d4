//! Owns the policy statements that the stack needs, as the template deploys them.

pub mod domain_access;
pub mod emite_role;
pub mod trust;
