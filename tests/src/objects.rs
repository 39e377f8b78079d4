//! Owns what tests do with objects in buckets of the local AWS, as root: put, get, list and delete.

use hyper::body::Bytes;

use crate::http::{Reply, Request};
use crate::local_aws::{LocalAws, percent_encoded};

impl LocalAws {
    /// Puts an object.
    pub async fn put_object(&self, bucket: &str, key: &str, content: impl Into<Bytes>) {
        let reply = self.send("s3", Request::new("PUT", &path(bucket, key), content)).await;
        assert!(reply.status < 300, "{key}: {reply:?}");
    }

    /// An object, if there is one.
    pub async fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let reply = self.send("s3", Request::new("GET", &path(bucket, key), "")).await;
        assert!(reply.status < 300 || reply.status == 404, "{key}: {reply:?}");
        (reply.status < 300).then_some(reply.body)
    }

    /// Deletes an object.
    pub async fn delete_object(&self, bucket: &str, key: &str) {
        let reply = self.send("s3", Request::new("DELETE", &path(bucket, key), "")).await;
        assert!(reply.status < 300, "{key}: {reply:?}");
    }

    /// All keys that begin with a prefix. Keys of tests need no escaping in XML.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        loop {
            let after =
                keys.last().map(|key: &String| format!("&start-after={}", percent_encoded(key))).unwrap_or_default();
            let target = format!("/{bucket}?list-type=2&prefix={}{after}", percent_encoded(prefix));
            let page: Reply = self.send("s3", Request::new("GET", &target, "")).await;
            let text = String::from_utf8_lossy(&page.body).into_owned();
            assert!(page.status < 300, "{prefix}: {text}");
            let found = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            keys.extend(found.map(str::to_owned));
            if !text.contains("<IsTruncated>true</IsTruncated>") {
                return keys;
            }
        }
    }

    /// Uploads that have begun and not ended.
    pub async fn unfinished_uploads(&self, bucket: &str) -> usize {
        let reply = self.send("s3", Request::new("GET", &format!("/{bucket}?uploads"), "")).await;
        assert!(reply.status < 300, "{reply:?}");
        String::from_utf8_lossy(&reply.body).matches("<UploadId>").count()
    }
}

fn path(bucket: &str, key: &str) -> String {
    let parts: Vec<String> = key.split('/').map(percent_encoded).collect();
    format!("/{bucket}/{}", parts.join("/"))
}
