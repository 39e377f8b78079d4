//! Owns the plain HTTPS client, for the two addresses that no SDK client talks to: CloudFormation's for answers, and
//! the search domain's `_bulk`.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client that sends whole bodies and keeps its connections open.
pub type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// What a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// Nothing but `https`.
    HttpsOnly,
    /// `http` too; the caller sees to it that this stays on the machine.
    HttpsOrHttp,
}

/// A client that trusts the system's certificate authorities, or those of the file that `SSL_CERT_FILE` names.
///
/// # Errors
/// When there are none.
pub fn client(schemes: Schemes) -> std::io::Result<Client> {
    let builder = HttpsConnectorBuilder::new().with_native_roots()?;
    let connector = match schemes {
        Schemes::HttpsOnly => builder.https_only().enable_http1().build(),
        Schemes::HttpsOrHttp => builder.https_or_http().enable_http1().build(),
    };
    Ok(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(schemes: Schemes) -> String {
        let request = hyper::Request::get("http://127.0.0.1:1/").body(Full::default()).unwrap();
        format!("{:?}", client(schemes).unwrap().request(request).await.unwrap_err())
    }

    #[tokio::test]
    async fn a_client_for_https_only_opens_no_plain_connection() {
        let (refused, tried) = (outcome(Schemes::HttpsOnly).await, outcome(Schemes::HttpsOrHttp).await);
        assert!(!refused.contains("ConnectionRefused"), "{refused}");
        assert!(tried.contains("ConnectionRefused"), "{tried}");
    }
}
