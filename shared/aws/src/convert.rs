//! Owns the conversions of the SDK's numbers and times.

use aws_smithy_types::DateTime;
use jiff::Timestamp;

/// A count, which the SDK has as a signed number; 0 if it is negative or too large.
pub(crate) fn count(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or_default()
}

/// A time of the SDK's, in whole seconds; none if it is out of range.
pub(crate) fn timestamp(at: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(at.secs()).ok()
}
