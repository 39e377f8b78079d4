//! Owns the reading of a signed request as the IAM action that it needs, for the calls that the functions make. The service
//! comes from the SigV4 credential scope, the operation from whatever the service's protocol says it with.

use crate::http::Request;

/// How a service spells its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `X-Amz-Target`, errors as `__type` (DynamoDB, Kinesis, Firehose, KMS, EventBridge, Logs, SQS, SSM).
    AwsJson,
    /// The operation in the path, bodies in CBOR, errors as `__type` (CloudWatch).
    Cbor,
    /// Method and path, errors as a header (Connect, OpenSearch).
    RestJson,
    /// `Action=` in a form, errors as XML (CloudFormation, IAM, SNS, STS).
    Query,
    /// The same with errors in an envelope of its own (EC2).
    Ec2Query,
    /// Method, path and query, errors as XML without an envelope (S3).
    RestXml,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The IAM action, such as `connect:ListApprovedOrigins`.
    pub action: String,
    /// How to answer an error.
    pub protocol: Protocol,
    /// The access key that signed it.
    pub access_key: String,
}

/// Reads a request.
///
/// # Errors
/// Names what is not recognised: a new call has to be added here, so that it takes part in the fault matrix.
pub fn identify(request: &Request) -> Result<Asked, String> {
    let authorization = request.header("authorization").ok_or("a request without signature")?;
    let credential = authorization
        .split("Credential=")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .ok_or_else(|| format!("a request without credential scope: {authorization}"))?;
    let scope: Vec<&str> = credential.trim().split('/').collect();
    // <key>/<date>[/<region>]/<service>/aws4_request: SigV4a names no region.
    let [access_key, .., service, _] = scope.as_slice() else { return Err(format!("credential scope {credential}")) };
    let (operation, protocol) = match *service {
        "dynamodb" | "kinesis" | "firehose" | "kms" | "events" | "logs" | "sqs" | "ssm" => {
            (target_operation(request), Protocol::AwsJson)
        }
        "monitoring" => (target_operation(request), Protocol::Cbor),
        "connect" => (connect_operation(request), Protocol::RestJson),
        "es" => (search_operation(request), Protocol::RestJson),
        "cloudformation" | "iam" | "sns" | "sts" => (form_operation(request), Protocol::Query),
        "ec2" => (form_operation(request), Protocol::Ec2Query),
        "s3" => (bucket_operation(request), Protocol::RestXml),
        _ => (None, Protocol::RestJson),
    };
    let operation =
        operation.ok_or_else(|| format!("unknown call to {service}: {} {}", request.method, request.target))?;
    let namespace = if *service == "monitoring" { "cloudwatch" } else { service };
    Ok(Asked { action: format!("{namespace}:{operation}"), protocol, access_key: (*access_key).to_owned() })
}

fn target_operation(request: &Request) -> Option<String> {
    let target = request.header("x-amz-target").and_then(|target| target.rsplit('.').next());
    // The CBOR protocol says it in the path: /service/<service>/operation/<operation>.
    target.or_else(|| request.path().split("/operation/").nth(1)).map(str::to_owned)
}

fn form_operation(request: &Request) -> Option<String> {
    let form = std::str::from_utf8(&request.body).ok()?;
    form.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned)
}

fn connect_operation(request: &Request) -> Option<String> {
    let parts: Vec<&str> = request.path().trim_matches('/').split('/').collect();
    let operation = match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["instance"]) => "ListInstances",
        ("GET", ["instance", _]) => "DescribeInstance",
        ("GET", ["instance", _, "attribute", _]) => "DescribeInstanceAttribute",
        ("PUT", ["instance", _, "storage-config"]) => "AssociateInstanceStorageConfig",
        ("GET", ["instance", _, "storage-configs"]) => "ListInstanceStorageConfigs",
        ("GET", ["instance", _, "storage-config", _]) => "DescribeInstanceStorageConfig",
        ("POST", ["instance", _, "storage-config", _]) => "UpdateInstanceStorageConfig",
        ("DELETE", ["instance", _, "storage-config", _]) => "DisassociateInstanceStorageConfig",
        ("PUT", ["instance", _, "approved-origin"]) => "AssociateApprovedOrigin",
        ("GET", ["instance", _, "approved-origins"]) => "ListApprovedOrigins",
        ("DELETE", ["instance", _, "approved-origin"]) => "DisassociateApprovedOrigin",
        _ => return None,
    };
    Some(operation.to_owned())
}

fn search_operation(request: &Request) -> Option<String> {
    let path = request.path().strip_prefix("/2021-01-01/").unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    // The IAM names are those of the older API, which the newer one kept: es:DescribeDomain, es:ListVersions, …
    let operation = match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["opensearch", "domain", _]) => "DescribeDomain",
        ("GET", ["opensearch", "domain", _, "config"]) => "DescribeDomainConfig",
        ("POST", ["opensearch", "domain", _, "config"]) => "UpdateDomainConfig",
        ("GET", ["opensearch", "versions"]) => "ListVersions",
        ("GET", ["opensearch", "compatibleVersions"]) => "GetCompatibleVersions",
        ("GET", ["opensearch", "instanceTypeDetails", _]) => "ListInstanceTypeDetails",
        _ => return None,
    };
    Some(operation.to_owned())
}

fn bucket_operation(request: &Request) -> Option<String> {
    let query = request.target.split('?').nth(1).unwrap_or_default();
    let key = request.path().trim_matches('/').split_once('/');
    let asks = |what: &str| query.split('&').any(|part| part.trim_end_matches('=') == what);
    let operation = match (request.method.as_str(), key) {
        ("GET", None) if asks("location") => "GetBucketLocation",
        ("GET", None) if asks("encryption") => "GetEncryptionConfiguration",
        // HeadBucket and both versions of ListObjects are authorised as ListBucket.
        ("HEAD", None) => "ListBucket",
        ("GET", None) if query.contains("list-type=2") => "ListBucket",
        // HeadObject is authorised as GetObject, and everything that makes an object as PutObject.
        ("GET" | "HEAD", Some(_)) => "GetObject",
        ("PUT" | "POST", Some(_)) => "PutObject",
        ("DELETE", Some(_)) if query.contains("uploadId=") => "AbortMultipartUpload",
        ("DELETE", Some(_)) => "DeleteObject",
        _ => return None,
    };
    Some(operation.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(service: &str, method: &str, target: &str) -> Request {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDX/20261123/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        Request::new(method, target, "").with("authorization", &authorization)
    }

    fn action(request: &Request) -> Result<String, String> {
        identify(request).map(|asked| asked.action)
    }

    #[test]
    fn every_connect_call_is_its_iam_action() {
        let table = [
            ("GET", "/instance/i", "connect:DescribeInstance"),
            ("GET", "/instance/i/storage-configs?resourceType=AGENT_EVENTS", "connect:ListInstanceStorageConfigs"),
            ("PUT", "/instance/i/storage-config", "connect:AssociateInstanceStorageConfig"),
            ("POST", "/instance/i/storage-config/a?resourceType=X", "connect:UpdateInstanceStorageConfig"),
            ("DELETE", "/instance/i/storage-config/a?resourceType=X", "connect:DisassociateInstanceStorageConfig"),
            ("GET", "/instance/i/approved-origins", "connect:ListApprovedOrigins"),
            ("PUT", "/instance/i/approved-origin", "connect:AssociateApprovedOrigin"),
            ("DELETE", "/instance/i/approved-origin?origin=x", "connect:DisassociateApprovedOrigin"),
        ];
        for (method, target, expected) in table {
            assert_eq!(action(&signed("connect", method, target)).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn the_other_protocols_are_read_too() {
        let table = signed("dynamodb", "POST", "/").with("x-amz-target", "DynamoDB_20120810.PutItem");
        assert_eq!(action(&table).as_deref(), Ok("dynamodb:PutItem"));
        let cbor = signed("kinesis", "POST", "/service/Kinesis_20131202/operation/DescribeStreamSummary");
        assert_eq!(action(&cbor).as_deref(), Ok("kinesis:DescribeStreamSummary"));
        let metrics = signed("monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/GetMetricData");
        assert_eq!(action(&metrics).as_deref(), Ok("cloudwatch:GetMetricData"));
        let form = Request { body: "Action=GetRole&RoleName=x".into(), ..signed("iam", "POST", "/") };
        assert_eq!(action(&form).as_deref(), Ok("iam:GetRole"));
        let bucket = signed("s3", "GET", "/bucket?location");
        assert_eq!(action(&bucket).as_deref(), Ok("s3:GetBucketLocation"));
        let listing = signed("s3", "GET", "/bucket?list-type=2&prefix=a%2F");
        assert_eq!(action(&listing).as_deref(), Ok("s3:ListBucket"));
        assert_eq!(action(&signed("s3", "GET", "/bucket/a/key?x-id=GetObject")).as_deref(), Ok("s3:GetObject"));
        for (method, target, expected) in [
            ("HEAD", "/bucket/key", "s3:GetObject"),
            ("PUT", "/bucket/key?x-id=CopyObject", "s3:PutObject"),
            ("POST", "/bucket/key?uploads", "s3:PutObject"),
            ("DELETE", "/bucket/key?uploadId=u", "s3:AbortMultipartUpload"),
            ("DELETE", "/bucket/key?x-id=DeleteObject", "s3:DeleteObject"),
        ] {
            assert_eq!(action(&signed("s3", method, target)).as_deref(), Ok(expected));
        }
        let domain = signed("es", "GET", "/2021-01-01/opensearch/domain/d");
        assert_eq!(action(&domain).as_deref(), Ok("es:DescribeDomain"));
    }

    #[test]
    fn an_unknown_call_and_an_unsigned_one_are_named() {
        assert!(action(&signed("ec2", "POST", "/")).unwrap_err().contains("ec2"));
        assert!(action(&signed("connect", "POST", "/users")).unwrap_err().contains("/users"));
        assert!(action(&Request::new("GET", "/", "")).is_err());
    }
}
