//! Owns which texts can only be the names of errors: they say nothing of what went wrong with whose data.

/// Whether a text can only be the name of a type of error.
pub(super) fn is_error_type(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:".contains(&byte);
    (1..=80).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether a text is `<status>/<type>`, such as `400/mapper_parsing_exception`; `none/<type>` where nothing answered, and
/// `unreadable/<kind>` for what is no record.
pub(super) fn is_error_kind(kind: &str) -> bool {
    kind.split_once('/').is_some_and(|(status, name)| {
        let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        (is_status || ["none", "unreadable"].contains(&status)) && is_error_type(name)
    })
}

/// The name of an error of Step Functions, such as `States.Timeout`. One of which nothing can be shown is still one.
pub(super) fn error_name(error: &str) -> String {
    let name: String =
        error.chars().filter(|char| char.is_ascii_alphanumeric() || "._-".contains(*char)).take(80).collect();
    if name.is_empty() { "other".to_owned() } else { name }
}
