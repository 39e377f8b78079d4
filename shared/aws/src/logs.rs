//! Owns the calls of CloudWatch Logs.

use aws_sdk_cloudwatchlogs::Client;

use crate::error::AwsError;

/// The names of all account-level resource policies; those that belong to a log group do not count. Needs
/// `logs:DescribeResourcePolicies`
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeResourcePolicies.html>).
pub async fn resource_policies(logs: &Client) -> Result<Vec<String>, AwsError> {
    let mut names = Vec::new();
    let mut next = None;
    loop {
        let answer = logs.describe_resource_policies().set_next_token(next).send().await;
        let answer = answer.map_err(AwsError::of("logs:DescribeResourcePolicies"))?;
        let page = answer.resource_policies.unwrap_or_default();
        names.extend(page.into_iter().filter_map(|policy| policy.policy_name));
        next = answer.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(names);
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::operation::describe_resource_policies::DescribeResourcePoliciesOutput;
    use aws_sdk_cloudwatchlogs::types::ResourcePolicy;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    fn page(names: &[&str], next: Option<&str>) -> DescribeResourcePoliciesOutput {
        let policies = names.iter().map(|name| ResourcePolicy::builder().policy_name(*name).build()).collect();
        DescribeResourcePoliciesOutput::builder()
            .set_resource_policies(Some(policies))
            .set_next_token(next.map(str::to_owned))
            .build()
    }

    #[tokio::test]
    async fn every_page_is_counted() {
        let first = mock!(Client::describe_resource_policies)
            .match_requests(|call| call.next_token().is_none())
            .then_output(|| page(&["a", "b"], Some("more")));
        let last = mock!(Client::describe_resource_policies)
            .match_requests(|call| call.next_token() == Some("more"))
            .then_output(|| page(&["c"], None));
        let client = mock_client!(aws_sdk_cloudwatchlogs, RuleMode::Sequential, [&first, &last]);
        assert_eq!(resource_policies(&client).await.unwrap(), ["a", "b", "c"]);
    }
}
