//! Owns the access policy of the search domain: whom it has to admit, beside all whom it admits already.

use serde_json::{Value, json};

use crate::spec::Spec;

/// All that can be done with a domain by HTTP: what `es:ESHttp*` stands for.
pub const ACTIONS: [&str; 6] =
    ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPatch", "es:ESHttpPost", "es:ESHttpPut"];

/// The statements as the template deploys them.
pub fn statements(spec: &Spec) -> Vec<Value> {
    let everything = format!("{}/*", spec.domain);
    let servers: Vec<String> = spec.emite_servers.iter().map(ToString::to_string).collect();
    vec![
        json!({
            "Sid": "EmiteServers", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ACTIONS, "Resource": everything,
            "Condition": {"IpAddress": {"aws:SourceIp": servers}},
        }),
        json!({
            "Sid": "ThisAccount", "Effect": "Allow", "Principal": {"AWS": root(spec)}, "Action": ACTIONS,
            "Resource": everything,
        }),
    ]
}

/// This account as a principal.
pub fn root(spec: &Spec) -> String {
    format!("arn:{}:iam::{}:root", spec.home.partition, spec.home.account)
}
