//! Owns the ledger keys of claims. Never change one: deployed stacks have entries under it.

use emite_core::links::approved_origin::Place;
use emite_core::links::data_streaming::Source;

use crate::ledger::Key;

/// The key of the claim on what `source` streams to.
pub fn streaming_key(source: &Source) -> Key {
    Key { partition: format!("association#{}", source.instance), sort: source.resource_type.as_str().to_owned() }
}

/// The key of the claim on an approved origin.
pub fn origin_key(place: &Place) -> Key {
    Key { partition: format!("origin#{}", place.instance), sort: place.origin.to_string() }
}
