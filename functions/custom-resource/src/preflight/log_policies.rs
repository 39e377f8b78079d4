//! Owns counting the resource policies of CloudWatch Logs: a search domain that writes its error log needs one, an account can have ten in a
//! region, and AWS does not raise that
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>).

use aws_sdk_cloudwatchlogs::Client;
use emite_connect::error::AwsError;

use super::Problem;
use crate::services::Services;

const PARAMETER: &str = "DomainLogs";
const MOST: usize = 10;

/// Whether there is no room for the policy of this stack.
pub(super) async fn full(services: &Services) -> Option<Problem> {
    let others = match names(&services.logs).await {
        Ok(names) => others(names, services.stack_id.resource.split('/').nth(1).unwrap_or_default()),
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    (others.len() >= MOST).then(|| {
        let (count, region) = (others.len(), &services.home.region);
        Problem::new(format!(
            "{PARAMETER} is Enabled, which takes a resource policy of CloudWatch Logs, and this account already has {count} of {MOST} in {region}: {}. Set {PARAMETER} to Disabled, or delete a policy that is no longer needed.",
            others.join(", ")
        ))
    })
}

/// Without the one that this stack would make, should it exist: that is replaced rather than added.
fn others(names: Vec<String>, stack: &str) -> Vec<String> {
    let own = format!("{stack}-search-domain");
    names.into_iter().filter(|name| *name != own).collect()
}

/// The names of all account-level policies; those that belong to a log group do not count
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeResourcePolicies.html>).
async fn names(logs: &Client) -> Result<Vec<String>, AwsError> {
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
        assert_eq!(names(&client).await.unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn the_policy_of_this_stack_needs_no_further_place() {
        let names = ["emite-search-domain", "emite-2-search-domain", "payroll"].map(str::to_owned).to_vec();
        assert_eq!(others(names, "emite"), ["emite-2-search-domain", "payroll"]);
    }
}
