//! Owns what stays the same while an event is handled.

use emite_core::spec::Spec;

/// What stays the same while an event is handled.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// The stack.
    pub(crate) spec: Spec,
    /// The name of this function, as people invoke it.
    pub(crate) function: String,
}
