//! Owns the calls of Systems Manager.

use aws_sdk_ssm::Client;

use crate::error::AwsError;

/// The value of a parameter (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>).
/// Needs `ssm:GetParameter`.
pub async fn parameter(ssm: &Client, name: &str) -> Result<String, AwsError> {
    const ACTION: &str = "ssm:GetParameter";
    let answer = ssm.get_parameter().name(name).send().await.map_err(AwsError::of(ACTION))?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    value.ok_or_else(|| AwsError::unusable(ACTION, "the parameter has no value".to_owned()))
}
