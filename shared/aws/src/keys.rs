//! Owns where claims stand in the ledger.

use emite_core::links::approved_origin::Place;
use emite_core::links::data_streaming::Source;

use crate::ledger::Key;

/// The place of the claim on what `source` streams to.
pub fn streaming_key(source: &Source) -> Key {
    Key { partition: format!("association#{}", source.instance), sort: source.resource_type.as_str().to_owned() }
}

/// The place of the claim on an approved origin.
pub fn origin_key(place: &Place) -> Key {
    Key { partition: format!("origin#{}", place.instance), sort: place.origin.to_string() }
}
