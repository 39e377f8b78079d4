//! Owns the calls of KMS.

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyManagerType, KeySpec, KeyState};
use emite_core::arn::Arn;

use crate::error::{AwsError, if_there};

/// A KMS key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// `Enabled`, `Disabled`, `PendingDeletion`, …; `unknown` if AWS does not say.
    pub state: String,
    /// It encrypts and decrypts, rather than signs.
    pub is_symmetric: bool,
    /// It is one of AWS's own, whose policy nothing can change.
    pub is_managed_by_aws: bool,
}

/// A key; `None` if it does not exist. Needs `kms:DescribeKey`
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>).
pub async fn key(kms: &Client, key: &Arn) -> Result<Option<KmsKey>, AwsError> {
    const ACTION: &str = "kms:DescribeKey";
    let answer = kms.describe_key().key_id(key.to_string()).send().await;
    let Some(answer) = if_there(answer.map_err(AwsError::of(ACTION)))? else { return Ok(None) };
    let Some(key) = answer.key_metadata else {
        return Err(AwsError::unusable(ACTION, "the answer has no key".to_owned()));
    };
    Ok(Some(KmsKey {
        state: key.key_state.as_ref().map_or("unknown", KeyState::as_str).to_owned(),
        is_symmetric: key.key_spec.is_none_or(|spec| spec == KeySpec::SymmetricDefault),
        is_managed_by_aws: key.key_manager == Some(KeyManagerType::Aws),
    }))
}
