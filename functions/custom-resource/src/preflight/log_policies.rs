//! Owns counting the CloudWatch Logs resource policies of the account: a search domain that writes its error log needs one, and an
//! account can have ten in a region, which AWS does not raise
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>).

use emite_aws::logs;
use emite_core::watchdog::stack_name;

use super::chain::{ChainResource, DOMAIN};
use super::previous::Previous;
use super::problem::Problem;
use super::values::Parameters;
use crate::provider::Provider;

const PARAMETER: &str = "DomainLogs";
const MOST: usize = 10;

/// What is in the way of the policy that this stack is about to create, if it is.
pub(super) async fn check(
    provider: &Provider,
    parameters: &Parameters,
    previous: Option<Previous<'_>>,
) -> Option<Problem> {
    let needed = parameters.domain_logs && parameters.domain.as_ref().and_then(ChainResource::created).is_some();
    let exists =
        previous.is_some_and(|previous| previous.created(DOMAIN).is_some() && previous.text(PARAMETER) != "Disabled");
    if !needed || exists {
        return None;
    }
    match logs::resource_policies(provider.aws.logs()).await {
        Ok(names) => obstacle_among(&names, stack_name(&provider.stack_id), &provider.home.region),
        Err(error) => {
            let Problem { text, denied } = Problem::unverified(PARAMETER, &error);
            Some(Problem { text: format!("{text} Or set {PARAMETER} to Disabled."), denied })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_policies_or_one_of_the_same_name_are_an_obstacle() {
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
