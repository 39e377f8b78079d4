//! Owns the messages: what an admin reads when something happens, in plain words.
//!
//! Free text of AWS or of a report is bounded and made printable first; commands come from `emite-core` alone. Pure: no I/O,
//! no clock. The limits are those of SNS (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>): a subject of fewer
//! than 100 characters, and far less text than its 262,144 bytes.

mod body;
mod deployed;
mod envelope;
mod found;
mod redrive;
mod test_message;

pub(crate) use deployed::deployed;
pub(crate) use envelope::{Message, MessageState, severity_name};
pub(crate) use found::{OpenEpisode, OpenFinding, Resolution, ResolvedEpisode, found, open_findings, resolved};
pub(crate) use redrive::redrive;
pub(crate) use test_message::test;

#[cfg(test)]
mod tests;
