//! Owns search domains of the local AWS: each has its own endpoint at the gate, which tests put an engine behind, and have
//! break.

use serde_json::{Value, json};

use crate::functions::until;
use crate::http::{self, Request};
use crate::local_aws::{LocalAws, read};

/// A search domain.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `https://…`, which [`crate::local_aws::Endpoints::search_authority`] vouches for.
    pub endpoint: String,
}

impl LocalAws {
    /// Makes a domain.
    pub async fn new_domain(&self, name: &str, version: &str) -> Domain {
        let input = json!({ "DomainName": name, "EngineVersion": version }).to_string();
        let reply = self.rest_call("es", "POST", "/2021-01-01/opensearch/domain", &input).await;
        let status = read(name, &reply)["DomainStatus"].clone();
        let text = |field: &str| status[field].as_str().unwrap_or_else(|| panic!("{field} in {status}")).to_owned();
        Domain { name: name.to_owned(), arn: text("ARN"), endpoint: format!("https://{}", text("Endpoint")) }
    }

    async fn gate(&self, domain: &Domain, method: &str, what: &str, input: &Value) -> Value {
        let target = format!("/domains/{}/{what}", domain.name);
        let request = Request::new(method, &target, if input.is_null() { String::new() } else { input.to_string() });
        let reply = http::send(&self.endpoints.search_control, request).await.expect("the gate answers");
        read(&format!("{method} {target} {input}"), &reply)
    }

    /// Puts an engine at this address behind a domain; none: the stand-in.
    pub async fn put_behind(&self, domain: &Domain, url: Option<&str>) {
        self.gate(domain, "POST", "engine", &json!({ "url": url })).await;
    }

    /// Has a domain refuse bodies that are larger than this.
    pub async fn limit_bodies(&self, domain: &Domain, most_bytes: usize) {
        self.gate(domain, "POST", "options", &json!({ "mostBytes": most_bytes })).await;
    }

    /// Whether AWS is carrying out a change of the domain of this name, so that it refuses another one.
    pub async fn keep_changing(&self, name: &str, changing: bool) {
        let input = json!({ "changing": changing }).to_string();
        let request = Request::new("POST", &format!("/domains/{name}/changing"), input);
        let reply = http::send(&self.endpoints.search_control, request).await.expect("the gate answers");
        read(&format!("changing of {name}"), &reply);
    }

    /// Breaks requests to a domain, from the one behind `skip` others: `times` of them, or all for 0. The kinds are in
    /// `localaws/search/faults.py`.
    pub async fn break_domain(&self, domain: &Domain, kind: &str, skip: usize, times: usize) {
        self.gate(domain, "POST", "faults", &json!({ "kind": kind, "skip": skip, "times": times })).await;
    }

    /// Nothing breaks any more.
    pub async fn heal_domain(&self, domain: &Domain) {
        self.gate(domain, "DELETE", "faults", &Value::Null).await;
    }

    /// Returns once a request to a domain is held (`hold`: not done; `stuck`: done).
    pub async fn domain_holds(&self, domain: &Domain) {
        self.gate(domain, "GET", "held", &Value::Null).await;
    }

    /// The requests to a domain, as `{"path","bytes","status","fault",…}`; one that is not answered yet has no status.
    pub async fn domain_requests(&self, domain: &Domain) -> Vec<Value> {
        self.gate(domain, "GET", "requests", &Value::Null).await.as_array().cloned().unwrap_or_default()
    }

    /// Waits until a domain has had so many requests.
    pub async fn await_requests(&self, domain: &Domain, number: usize) {
        until(&format!("request {number} to {}", domain.name), || async {
            (self.domain_requests(domain).await.len() >= number).then_some(())
        })
        .await;
    }
}
