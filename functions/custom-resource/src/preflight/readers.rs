//! Owns reading single parameters of Preflight: what their texts mean, and what is wrong with them. Pure.

use emite_core::arn::{Arn, Home, InstanceId};

use crate::parameters::{at_home, instance, name};

/// Whether an engine keeps documents by type. AWS has no others of its own major versions.
pub(super) fn has_types(engine: &str) -> bool {
    let version =
        engine.strip_prefix("Elasticsearch_").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    version.is_some_and(|major| major < 7)
}

pub(super) fn index(text: &str) -> Result<String, String> {
    let begins = text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    match name(text, 1, 80, "_.-") {
        Ok(name) if begins && text.bytes().all(|byte| !byte.is_ascii_uppercase()) => Ok(name),
        _ => {
            Err("must have 1 to 80 characters of lower-case letters, digits and _.-, and start with a letter or digit"
                .to_owned())
        }
    }
}

pub(super) fn rotation(text: &str) -> Result<String, &'static str> {
    match text {
        "NoRotation" | "OneHour" | "OneDay" | "OneWeek" | "OneMonth" => Ok(text.to_owned()),
        _ => Err("must be NoRotation, OneHour, OneDay, OneWeek or OneMonth"),
    }
}

/// Where the eMite server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosting {
    /// With eMite.
    EmiteHosted,
    /// In this account.
    SelfHosted,
}

pub(super) fn hosting(text: &str) -> Result<Hosting, &'static str> {
    match text {
        "EmiteHosted" => Ok(Hosting::EmiteHosted),
        "SelfHosted" => Ok(Hosting::SelfHosted),
        _ => Err("must be EmiteHosted or SelfHosted"),
    }
}

pub(super) fn connect_instance(text: &str, home: &Home) -> Result<InstanceId, String> {
    instance(text, home).map_err(|what| {
        format!("{what}. Copy the instance ARN from the Amazon Connect console of this account and region")
    })
}

pub(super) fn domain_logs(text: &str) -> Result<bool, &'static str> {
    match text {
        "Enabled" => Ok(true),
        "Disabled" => Ok(false),
        _ => Err("must be Enabled or Disabled"),
    }
}

pub(super) fn on_existing(text: &str) -> Result<bool, &'static str> {
    match text {
        "Fail" => Ok(false),
        "Replace" => Ok(true),
        _ => Err("must be Fail or Replace"),
    }
}

pub(super) fn domain_name(text: &str) -> Result<String, String> {
    let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    match name(text, 3, 28, "-") {
        Ok(name) if starts_well && lower => Ok(name),
        _ => {
            Err("must have 3 to 28 characters of lower-case letters, digits and -, and start with a letter".to_owned())
        }
    }
}

pub(super) fn topic(text: &str, home: &Home) -> Result<Arn, String> {
    let arn = at_home(text, home)?;
    if arn.service != "sns" || arn.resource.contains(':') {
        return Err("must be the ARN of an SNS topic: arn:aws:sns:region:account:name".to_owned());
    }
    if arn.resource.ends_with(".fifo") {
        return Err("is a FIFO topic, which cannot send email. Give a standard topic".to_owned());
    }
    Ok(arn)
}
