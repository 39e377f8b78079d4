//! Owns the layout of the bucket: which folders the stack and Firehose have in it, which of the objects there a redrive may
//! touch, and where it puts what it moves. Pure.

use std::collections::BTreeSet;

/// What the keys of all stacks begin with.
const ROOT: &str = "emite-connect/";

/// The folder that a delivery stream of the stack puts failed records into.
pub const FAILED: &str = "failed";
/// The folder of records that the search domain rejected again.
pub const QUARANTINE: &str = "quarantine";
/// The folder that objects are moved to when they are redriven.
pub const REDRIVEN: &str = "redriven";
/// The folder that the state machine of the redrive writes its results to.
pub const RESULTS: &str = "results";
/// The folder of the hand-over.
pub const HANDOVER: &str = "handover";

/// Folders that Firehose names itself, at the bucket's root or below the prefix of a stream that was made by hand
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_AmazonopensearchserviceDestinationConfiguration.html>).
pub const FIREHOSE_FOLDERS: [&str; 4] = [
    "AmazonOpenSearchService-failed/",
    "AmazonOpenSearchService_failed/",
    "elasticsearch-failed/",
    "elasticsearch_failed/",
];

/// The longest key that S3 allows, in bytes.
const LONGEST_KEY: usize = 1024;

/// The prefix of one of a stack's own folders.
pub fn folder(delivery_stream: &str, name: &str) -> String {
    format!("{}{name}/", own(delivery_stream))
}

/// What a stack's own folders are in.
fn own(delivery_stream: &str) -> String {
    format!("{ROOT}{delivery_stream}/")
}

/// The delivery stream of the stack that has this prefix for the folder `name`; none if no stack has.
pub fn stream_of<'a>(prefix: &'a str, name: &str) -> Option<&'a str> {
    prefix.strip_prefix(ROOT)?.strip_suffix('/')?.strip_suffix(name)?.strip_suffix('/')
}

/// What the keys of failed records begin with before Firehose's name of the error, by the prefixes of a delivery stream's
/// bucket; none if that name is not the first thing that varies
/// (<https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html>).
pub fn failed_prefix(prefix: Option<&str>, error_prefix: Option<&str>) -> Option<String> {
    const ERROR_TYPE: &str = "!{firehose:error-output-type}";
    match error_prefix.filter(|prefix| !prefix.is_empty()) {
        Some(error_prefix) => {
            let (before, _) = error_prefix.split_once(ERROR_TYPE)?;
            (!before.contains("!{")).then(|| before.to_owned())
        }
        None => Some(prefix.unwrap_or_default().to_owned()).filter(|prefix| !prefix.contains("!{")),
    }
}

/// The folders of one delivery stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFolders {
    /// What the stack's own folders are in.
    own: String,
    failed: Vec<String>,
    /// What the names of the stream's objects begin with, where other streams may use the same folders.
    names: Option<String>,
}

impl StreamFolders {
    /// Those of a delivery stream that the stack made, which puts failed records below `failed_prefix`.
    pub fn managed(delivery_stream: &str, failed_prefix: &str) -> Self {
        Self { own: own(delivery_stream), failed: vec![failed_prefix.to_owned()], names: None }
    }

    /// Those of a delivery stream that existed before the stack. Below `failed_prefix` it has failed records in a folder that
    /// Firehose names, in one of four spellings, and so may others; its objects' names begin with its own name
    /// (<https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html>).
    pub fn existing(delivery_stream: &str, failed_prefix: &str) -> Self {
        Self {
            own: own(delivery_stream),
            failed: FIREHOSE_FOLDERS.into_iter().map(|folder| format!("{failed_prefix}{folder}")).collect(),
            names: Some(format!("{delivery_stream}-")),
        }
    }

    /// The prefix of one of the stack's own folders.
    pub fn folder(&self, name: &str) -> String {
        format!("{}{name}/", self.own)
    }

    /// The folders that the delivery stream may put failed records into.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// The folders outside of the stack's own that failed records may be in.
    pub fn failed_elsewhere(&self) -> BTreeSet<&str> {
        let elsewhere = self.failed.iter().map(String::as_str).filter(|folder| !folder.starts_with(&*self.own));
        elsewhere.chain(FIREHOSE_FOLDERS).collect()
    }

    /// Whether an object is of another delivery stream, which puts its failed records into the same folder. Only the owner of
    /// that stream may touch it.
    pub fn is_of_another_stream(&self, key: &str) -> bool {
        let name = key.rsplit('/').next().unwrap_or_default();
        let in_folder = self.failed.iter().any(|folder| key.starts_with(folder));
        self.names.as_ref().is_some_and(|names| in_folder && !name.starts_with(names))
    }

    /// Whether a redrive may touch the objects with this key or prefix.
    pub fn may_be_redriven(&self, key: &str) -> bool {
        let own = self.below(FAILED, key).or_else(|| self.below(QUARANTINE, key)).is_some();
        let streams = self.failed.iter().any(|folder| key.starts_with(folder));
        let firehoses = FIREHOSE_FOLDERS.iter().any(|folder| key.starts_with(folder));
        let plain = key.split('/').all(|part| part != "." && part != "..") && key.len() <= LONGEST_KEY;
        (own || streams || firehoses) && plain
    }

    /// The whole prefix that `prefix` means: `failed/…` and `quarantine/…` stand for those of the stack.
    pub fn whole_prefix(&self, prefix: &str) -> String {
        let is_in = |folder| prefix.strip_prefix(folder).is_some_and(|rest: &str| rest.starts_with('/'));
        if is_in(FAILED) || is_in(QUARANTINE) { format!("{}{prefix}", self.own) } else { prefix.to_owned() }
    }

    /// Where an object of failed records is moved to when it is redriven.
    pub fn redriven_key(&self, key: &str) -> String {
        format!("{}{}", self.folder(REDRIVEN), key.strip_prefix(&*self.own).unwrap_or(key))
    }

    /// Where those records of an object go that the domain never takes: the object itself, if it is in quarantine already.
    pub fn quarantine_key(&self, key: &str) -> String {
        if self.below(QUARANTINE, key).is_some() {
            return key.to_owned();
        }
        let rest = self.below(FAILED, key).or_else(|| key.strip_prefix(&*self.own)).unwrap_or(key);
        format!("{}{rest}", self.folder(QUARANTINE))
    }

    /// The rest of a key in one of the stack's own folders.
    fn below<'k>(&self, name: &str, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&*self.own)?.strip_prefix(name)?.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed() -> StreamFolders {
        StreamFolders::managed("s", "emite-connect/s/failed/")
    }

    #[test]
    fn folder_names_its_stream() {
        assert_eq!(folder("s", HANDOVER), "emite-connect/s/handover/");
        assert_eq!(stream_of(&folder("s", HANDOVER), HANDOVER), Some("s"));
        for prefix in ["emite-connect/s/failed/", "emite-connect/handover/", "emite-connect/s/handover", "s/handover/"]
        {
            assert_eq!(stream_of(prefix, HANDOVER), None, "{prefix}");
        }
    }

    #[test]
    fn failed_records_are_found_by_what_a_streams_prefixes_say() {
        for (prefix, error_prefix, found) in [
            (None, None, Some("")),
            (Some("ctr/"), None, Some("ctr/")),
            (Some("ctr/"), Some(""), Some("ctr/")),
            (Some("ctr/"), Some("e/!{firehose:error-output-type}/!{timestamp:yyyy}/"), Some("e/")),
            (None, Some("e/!{timestamp:yyyy}/!{firehose:error-output-type}/"), None),
            (None, Some("errors/"), None),
            (Some("!{timestamp:yyyy}/"), None, None),
        ] {
            assert_eq!(failed_prefix(prefix, error_prefix).as_deref(), found, "{prefix:?} {error_prefix:?}");
        }
    }

    #[test]
    fn existing_stream_has_its_failed_records_below_its_prefix() {
        let folders = StreamFolders::existing("hand", "ctr/");
        let key = "ctr/elasticsearch-failed/2026/hand-1-x";
        assert_eq!(folders.failed().len(), FIREHOSE_FOLDERS.len());
        assert!(folders.may_be_redriven(key) && !folders.may_be_redriven("ctr/2026/x"));
        assert_eq!(folders.redriven_key(key), "emite-connect/hand/redriven/ctr/elasticsearch-failed/2026/hand-1-x");
        assert_eq!(folders.quarantine_key(key), "emite-connect/hand/quarantine/ctr/elasticsearch-failed/2026/hand-1-x");
        assert!(folders.failed_elsewhere().contains("ctr/elasticsearch-failed/"));
    }

    #[test]
    fn object_of_another_stream_is_recognised_by_its_name() {
        let existing = StreamFolders::existing("hand", "ctr/");
        assert!(existing.is_of_another_stream("ctr/elasticsearch-failed/2026/other-1-x"));
        assert!(!existing.is_of_another_stream("ctr/elasticsearch-failed/2026/hand-1-x"));
        assert!(!existing.is_of_another_stream("emite-connect/hand/quarantine/ctr/other-1-x"));
        assert!(
            !StreamFolders::managed("hand", "ctr/").is_of_another_stream("ctr/elasticsearch-failed/2026/other-1-x")
        );
    }

    #[test]
    fn each_object_has_a_key_for_itself_and_one_for_its_rejected_records() {
        for (key, redriven, quarantine) in [
            (
                "emite-connect/s/failed/elasticsearch-failed/2026/11/24/01/x",
                "emite-connect/s/redriven/failed/elasticsearch-failed/2026/11/24/01/x",
                "emite-connect/s/quarantine/elasticsearch-failed/2026/11/24/01/x",
            ),
            (
                "emite-connect/s/quarantine/a/x",
                "emite-connect/s/redriven/quarantine/a/x",
                "emite-connect/s/quarantine/a/x",
            ),
            (
                "AmazonOpenSearchService_failed/2026/x",
                "emite-connect/s/redriven/AmazonOpenSearchService_failed/2026/x",
                "emite-connect/s/quarantine/AmazonOpenSearchService_failed/2026/x",
            ),
            (
                "emite-connect/s/failed/quarantine/x",
                "emite-connect/s/redriven/failed/quarantine/x",
                "emite-connect/s/quarantine/quarantine/x",
            ),
        ] {
            let folders = managed();
            assert!(folders.may_be_redriven(key), "{key}");
            assert_eq!((&*folders.redriven_key(key), &*folders.quarantine_key(key)), (redriven, quarantine));
        }
    }

    #[test]
    fn any_other_key_is_left_alone() {
        for key in [
            "",
            "x",
            "emite-connect/s/redriven/failed/x",
            "emite-connect/s/results/x",
            "emite-connect/s/failedx",
            "emite-connect/other/failed/x",
            "emite-connect/s/failed/../results/x",
            "emite-connect/s/failed/./x",
            "processing-failed/x",
            "/emite-connect/s/failed/x",
            "xelasticsearch-failed/x",
            &format!("emite-connect/s/failed/{}", "x".repeat(1024)),
        ] {
            assert!(!managed().may_be_redriven(key), "{key}");
        }
    }

    #[test]
    fn short_prefix_stands_for_a_folder_of_the_stack() {
        for (prefix, whole) in [
            ("failed/elastic", "emite-connect/s/failed/elastic"),
            ("quarantine/", "emite-connect/s/quarantine/"),
            ("elasticsearch-failed/2026", "elasticsearch-failed/2026"),
            ("emite-connect/s/failed/", "emite-connect/s/failed/"),
            ("failed", "failed"),
            ("results/", "results/"),
        ] {
            assert_eq!(managed().whole_prefix(prefix), whole);
        }
    }
}
