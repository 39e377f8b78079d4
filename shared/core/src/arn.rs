//! Owns Amazon Resource Names: taking them apart, and saying which stack's account and region they belong to.
//!
//! Only the parts that we compare are kept; see
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An Amazon Resource Name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// The service as IAM names it: `connect`, `kinesis`, `firehose`, …
    pub service: String,
    /// The region, or empty for a global service.
    pub region: String,
    /// The 12 digits of the account, or empty for a resource that needs none.
    pub account: String,
    /// Everything behind the account, such as `instance/1b2c…`.
    pub resource: String,
}

impl Arn {
    /// The name behind the last slash of the resource: of a role with a path, what IAM's calls take.
    pub fn name(&self) -> &str {
        self.resource.rsplit('/').next().unwrap_or_default()
    }
}

/// A text that should have been an ARN and is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an ARN of the form arn:partition:service:region:account:resource")]
pub struct NotAnArn;

impl FromStr for Arn {
    type Err = NotAnArn;

    fn from_str(text: &str) -> Result<Self, NotAnArn> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(NotAnArn);
        if next()? != "arn" {
            return Err(NotAnArn);
        }
        let arn = Self {
            partition: next()?.to_owned(),
            service: next()?.to_owned(),
            region: next()?.to_owned(),
            account: next()?.to_owned(),
            resource: next()?.to_owned(),
        };
        let printable = text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
        let whole = !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty();
        if printable && whole { Ok(arn) } else { Err(NotAnArn) }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl TryFrom<String> for Arn {
    type Error = NotAnArn;

    fn try_from(text: String) -> Result<Self, NotAnArn> {
        text.parse()
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.to_string()
    }
}

impl Serialize for Arn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Arn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a stack lives: whatever it manages must be in the same partition, region and account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// The stack's region.
    pub region: String,
    /// The stack's account, 12 digits.
    pub account: String,
}

impl Home {
    /// The partition, region and account of the stack that `stack_id` names.
    pub fn of(stack_id: &Arn) -> Self {
        let Arn { partition, region, account, .. } = stack_id.clone();
        Self { partition, region, account }
    }

    /// An ARN of this home.
    pub fn arn(&self, service: &str, resource: impl Into<String>) -> Arn {
        Arn {
            partition: self.partition.clone(),
            service: service.to_owned(),
            region: self.region.clone(),
            account: self.account.clone(),
            resource: resource.into(),
        }
    }

    /// An ARN of this home's account in IAM, whose ARNs name no region.
    pub fn iam_arn(&self, resource: impl Into<String>) -> Arn {
        Arn { region: String::new(), ..self.arn("iam", resource) }
    }

    /// Says in one clause why `arn` is not in this account and region, or nothing if it is.
    pub fn objection(&self, arn: &Arn) -> Option<String> {
        if arn.account != self.account {
            return Some(format!("belongs to account '{}', but this stack is in {}", arn.account, self.account));
        }
        if arn.region != self.region {
            return Some(format!("is in region '{}', but this stack is in {}", arn.region, self.region));
        }
        (arn.partition != self.partition)
            .then(|| format!("is in partition '{}', but this stack is in {}", arn.partition, self.partition))
    }
}

/// The identifier of an Amazon Connect instance, as the API takes it: never the ARN, which AWS answers with
/// AccessDenied because it would authorise a resource of that odd name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// The instance that `arn` names, if it is an instance's ARN and not something inside an instance.
    pub fn of(arn: &Arn) -> Option<Self> {
        let id = arn.resource.strip_prefix("instance/")?;
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (arn.service == "connect" && plain && (1..=100).contains(&id.len())).then(|| Self(id.to_owned()))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_arn_keeps_colons_of_its_resource() {
        let text = "arn:aws:logs:eu-west-2:111122223333:log-group:/emite-connect/x:*";
        let arn: Arn = text.parse().unwrap();
        assert_eq!(arn.resource, "log-group:/emite-connect/x:*");
        assert_eq!(arn.to_string(), text);
    }

    #[test]
    fn texts_that_are_no_arns_are_refused() {
        for text in [
            "",
            "arn",
            "arn:aws:kinesis:r:a",
            "urn:aws:kinesis:r:a:stream/x",
            "arn::kinesis:r:a:stream/x",
            "arn:aws:kinesis:r:a:strëam",
        ] {
            assert_eq!(text.parse::<Arn>(), Err(NotAnArn), "{text}");
        }
    }

    #[test]
    fn something_inside_an_instance_is_not_the_instance() {
        let id = |resource: &str| {
            let arn = Arn { resource: resource.into(), ..format!("arn:aws:connect:r:a:{resource}").parse().unwrap() };
            InstanceId::of(&arn).map(|id| id.to_string())
        };
        assert_eq!(id("instance/1b2c-3d"), Some("1b2c-3d".into()));
        assert_eq!(id("instance/1b2c/agent/9f8e"), None);
        assert_eq!(id("phone-number/1b2c"), None);
    }

    #[test]
    fn an_arn_from_elsewhere_is_objected_to_by_name() {
        let home = Home { partition: "aws".into(), region: "eu-west-2".into(), account: "111122223333".into() };
        assert_eq!(home.objection(&home.arn("kinesis", "stream/x")), None);
        let other = Arn { account: "999999999999".into(), ..home.arn("kinesis", "stream/x") };
        assert!(home.objection(&other).unwrap().contains("999999999999"));
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_as_it_was(text in "arn:[a-z:/0-9-]{0,60}") {
            if let Ok(arn) = text.parse::<Arn>() {
                prop_assert_eq!(arn.to_string(), text);
            }
        }
    }
}
