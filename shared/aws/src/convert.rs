//! Owns the conversions of the SDK's plain values.

use aws_smithy_types::DateTime;
use jiff::Timestamp;

/// A count as AWS gives it: never below zero.
pub(crate) fn count(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or_default()
}

/// Our timestamp of AWS's; none if it is outside of what a timestamp can be.
pub(crate) fn timestamp(at: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(at.secs()).ok()
}
