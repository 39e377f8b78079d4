//! Owns [`Look`]: what reading one thing showed, or why it could not be read.
//!
//! A read that failed is [`Unseen`], with its cause: neither healthy nor broken.

use serde::{Deserialize, Serialize};

/// What reading one thing showed, or why it could not be read.
pub type Look<T> = Result<T, Unseen>;

/// A read that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The IAM action of the call, such as `kinesis:DescribeStreamSummary`.
    pub action: &'static str,
    /// Why it failed.
    pub cause: Cause,
    /// AWS's id of the request, for a support case.
    pub request_id: Option<String>,
}

/// Why a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A policy refused the function's role.
    Denied,
    /// AWS throttled the call, even after retries.
    Throttled,
    /// No answer in time.
    TimedOut,
    /// Anything else.
    Failed,
}

impl Cause {
    /// What happened to the call, as the end of a sentence that begins with its action.
    pub fn words(self) -> &'static str {
        match self {
            Self::Denied => "was denied",
            Self::Throttled => "was throttled by AWS",
            Self::TimedOut => "did not answer in time",
            Self::Failed => "failed",
        }
    }

    /// What an admin can do about it.
    pub fn remedy(self, action: &str) -> String {
        match self {
            Self::Denied => format!(
                "Allow {action} for the role of the health check again: a policy, a permissions boundary or an organisation's rule denies it."
            ),
            Self::Throttled => {
                "Nothing yet: the next run looks again. If it lasts, find what else calls this API so often.".to_owned()
            }
            Self::TimedOut | Self::Failed => {
                "Nothing yet: the next run looks again. If it lasts, see https://health.aws.amazon.com for this region."
                    .to_owned()
            }
        }
    }
}
