//! Owns reading the parameters that several custom resources have. Pure.

use emite_core::arn::{Arn, Home, InstanceId};

use crate::properties::Properties;

/// `name` read by `parse`, if the template gives it.
pub(crate) fn given<'a, T, E: ToString>(
    read: &mut Properties<'a>,
    name: &'static str,
    parse: impl FnOnce(&'a str) -> Result<T, E>,
) -> Option<T> {
    if read.optional(name).is_empty() { None } else { read.parsed(name, parse) }
}

/// An ARN of this stack's account and region.
pub(crate) fn at_home(text: &str, home: &Home) -> Result<Arn, String> {
    let arn: Arn = text.parse().map_err(|error: emite_core::arn::NotAnArn| error.to_string())?;
    match home.objection(&arn) {
        Some(objection) => Err(objection),
        None => Ok(arn),
    }
}

/// The Connect instance that an ARN of this stack's account and region names.
pub(crate) fn instance(text: &str, home: &Home) -> Result<InstanceId, String> {
    let arn = at_home(text, home)?;
    InstanceId::of(&arn).ok_or_else(|| {
        "must be the ARN of an Amazon Connect instance: arn:aws:connect:region:account:instance/id".to_owned()
    })
}

/// The ARN of a KMS key of this stack's account and region.
pub(crate) fn kms_key(text: &str, home: &Home) -> Result<Arn, String> {
    let arn = at_home(text, home)?;
    let named = arn.service == "kms" && arn.resource.starts_with("key/");
    if named {
        Ok(arn)
    } else {
        Err("must be the ARN of a KMS key (not of an alias): arn:aws:kms:region:account:key/id".to_owned())
    }
}

/// The name of an S3 bucket.
pub(crate) fn bucket_name(text: &str) -> Result<String, String> {
    let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    match name(text, 3, 63, ".-") {
        Ok(name) if lower => Ok(name),
        _ => Err("must be the name of a bucket: 3 to 63 characters of lower-case letters, digits, . and -".to_owned()),
    }
}

/// The zone's exact IANA name: eMite reads it literally.
pub(crate) fn time_zone(text: &str) -> Result<(), String> {
    let known = jiff::tz::TimeZone::get(text).ok();
    match known.as_ref().and_then(|zone| zone.iana_name()) {
        Some(name) if name == text => Ok(()),
        Some(name) => Err(format!("must be spelt {name}")),
        None => {
            Err("is not a time zone of the IANA database. Take a name such as Europe/Dublin or Australia/Sydney"
                .to_owned())
        }
    }
}

/// A name of `shortest` to `longest` characters: letters, digits and `marks`.
pub(crate) fn name(text: &str, shortest: usize, longest: usize, marks: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || marks.as_bytes().contains(&byte);
    if (shortest..=longest).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("must have {shortest} to {longest} characters of letters, digits and {marks}"))
}

/// The external ID of `emite-role`, which eMite calls the customer id.
pub(crate) fn customer_id(text: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    let fits = (2..=1224).contains(&text.len()) && text.bytes().all(allowed);
    if fits { Ok(text.to_owned()) } else { Err("must have 2 to 1224 characters of letters, digits and _+=,.@:/-") }
}
