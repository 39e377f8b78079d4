//! Owns counting the CloudWatch Logs resource policies of the account: a search domain that writes its error log needs one, and an
//! account can have ten in a region, which AWS does not raise
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>).

use aws_sdk_cloudwatchlogs::Client;
use emite_aws::error::AwsError;
use emite_core::watchdog::stack_name;

use super::problem::Problem;
use crate::services::Services;

const PARAMETER: &str = "DomainLogs";
const MOST: usize = 10;

/// What is in the way of the policy that this stack is about to make.
pub(super) async fn obstacle(services: &Services) -> Option<Problem> {
    match names(services.aws.logs()).await {
        Ok(names) => obstacle_among(&names, stack_name(&services.stack_id), &services.home.region),
        Err(error) => {
            let unseen = Problem::unseen(PARAMETER, &error);
            Some(Problem { text: format!("{} Or set {PARAMETER} to Disabled.", unseen.text), ..unseen })
        }
    }
}

fn obstacle_among(names: &[String], stack: &str, region: &str) -> Option<Problem> {
    let own = format!("{stack}-search-domain");
    if names.contains(&own) {
        return Some(Problem::new(format!(
            "{PARAMETER}: the CloudWatch Logs resource policy '{own}' exists already, perhaps left by an earlier stack. Delete it, or set {PARAMETER} to Disabled."
        )));
    }
    (names.len() >= MOST).then(|| {
        Problem::new(format!(
            "{PARAMETER} is Enabled, which needs a CloudWatch Logs resource policy, but this account already has {} of {MOST} in {region}: {}. Set {PARAMETER} to Disabled, or delete a policy that is no longer needed.",
            names.len(),
            names.join(", ")
        ))
    })
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
    fn ten_policies_leave_no_room_and_one_of_the_same_name_is_in_the_way() {
        let names = |count: usize| (0..count).map(|number| format!("p{number}")).collect::<Vec<_>>();
        assert_eq!(obstacle_among(&names(9), "emite", "eu-west-2"), None);
        for full in [10, 11] {
            let problem = obstacle_among(&names(full), "emite", "eu-west-2").unwrap();
            assert!(
                problem.text.contains(&format!("already has {full} of 10 in eu-west-2: p0, p1,")),
                "{}",
                problem.text
            );
        }
        let left_over = ["emite-2-search-domain", "emite-search-domain"].map(str::to_owned);
        let problem = obstacle_among(&left_over, "emite", "eu-west-2").unwrap();
        assert!(problem.text.contains("'emite-search-domain' exists already"), "{}", problem.text);
    }
}
