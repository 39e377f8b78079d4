//! Owns which objects and prefixes a request may name. Pure.

use emite_core::layout::{FAILED, QUARANTINE, StreamFolders};

/// An object of failed records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceObject {
    pub(crate) key: String,
    /// Where it goes when it is done.
    pub(crate) redriven_key: String,
    /// Where the records go that the domain never takes; the source itself, if that is in quarantine already.
    pub(crate) quarantine_key: String,
}

impl SourceObject {
    /// The object with this key, or why it must not be touched.
    pub(crate) fn of(key: &str, folders: &StreamFolders) -> Result<Self, String> {
        admit(key, folders)?;
        Ok(Self {
            key: key.to_owned(),
            redriven_key: folders.redriven_key(key),
            quarantine_key: folders.quarantine_key(key),
        })
    }

    /// Whether it is made of records that were in quarantine before.
    pub(crate) fn is_quarantine(&self) -> bool {
        self.key == self.quarantine_key
    }
}

/// The whole prefix that `prefix` means, or why objects below it must not be touched.
pub(crate) fn whole_prefix(prefix: &str, folders: &StreamFolders) -> Result<String, String> {
    let whole = folders.whole_prefix(prefix);
    admit(&whole, folders).map(|()| whole)
}

fn admit(key: &str, folders: &StreamFolders) -> Result<(), String> {
    if folders.may_be_redriven(key) {
        return Ok(());
    }
    Err(format!(
        "'{}' must be below {}, {} or one of {}",
        key.chars().take(200).collect::<String>(),
        folders.folder(FAILED),
        folders.folder(QUARANTINE),
        Vec::from_iter(folders.failed_elsewhere()).join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> StreamFolders {
        StreamFolders::managed("s", "emite-connect/s/failed/")
    }

    #[test]
    fn the_folders_of_a_stream_that_was_there_are_below_its_prefix() {
        let folders = StreamFolders::existing("s", "ctr/");
        let source = SourceObject::of("ctr/elasticsearch-failed/2026/x", &folders).unwrap();
        assert_eq!(source.redriven_key, "emite-connect/s/redriven/ctr/elasticsearch-failed/2026/x");
        assert_eq!(source.quarantine_key, "emite-connect/s/quarantine/ctr/elasticsearch-failed/2026/x");
        assert!(SourceObject::of("ctr/2026/x", &folders).unwrap_err().contains("ctr/elasticsearch-failed/"));
    }

    #[test]
    fn object_in_quarantine_is_its_own_quarantine_object() {
        for key in [
            "emite-connect/s/failed/elasticsearch-failed/2026/11/24/01/x",
            "emite-connect/s/quarantine/a/x",
            "AmazonOpenSearchService_failed/2026/x",
            "emite-connect/s/failed/quarantine/x",
        ] {
            let source = SourceObject::of(key, &folders()).unwrap();
            assert_eq!(source.is_quarantine(), key.starts_with("emite-connect/s/quarantine/"), "{key}");
        }
    }

    #[test]
    fn any_other_key_is_refused() {
        for key in [
            "",
            "x",
            "emite-connect/s/redriven/failed/x",
            "emite-connect/s/results/x",
            "emite-connect/other/failed/x",
            "emite-connect/s/failed/../results/x",
            "emite-connect/s/failed/./x",
            "processing-failed/x",
            "/emite-connect/s/failed/x",
            "xelasticsearch-failed/x",
            &format!("emite-connect/s/failed/{}", "x".repeat(1024)),
        ] {
            let problem = SourceObject::of(key, &folders()).unwrap_err();
            assert!(problem.contains("must be below emite-connect/s/failed/"), "{problem}");
        }
    }

    #[test]
    fn a_prefix_may_be_short() {
        let prefix = |prefix| whole_prefix(prefix, &folders());
        assert_eq!(prefix("failed/elastic").as_deref(), Ok("emite-connect/s/failed/elastic"));
        assert_eq!(prefix("quarantine/").as_deref(), Ok("emite-connect/s/quarantine/"));
        assert_eq!(prefix("elasticsearch-failed/2026").as_deref(), Ok("elasticsearch-failed/2026"));
        assert_eq!(prefix("emite-connect/s/failed/").as_deref(), Ok("emite-connect/s/failed/"));
        for refused in ["", "emite-connect/s/", "results/", "emite-connect/s/failed"] {
            assert!(prefix(refused).is_err(), "{refused}");
        }
    }
}
