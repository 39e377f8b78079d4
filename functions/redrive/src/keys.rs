//! Owns which objects may be touched, and where their records and they themselves go. Pure.

use std::collections::BTreeSet;

use emite_core::failed_object::FIREHOSE_FOLDERS;
use emite_core::spec::Spec;

/// The folders of one delivery stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    base: String,
    /// Below what the delivery stream puts failed records.
    failed: Vec<String>,
    /// What their names begin with, where others may put theirs into the same folders.
    named: Option<String>,
}

/// An object of failed records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) key: String,
    /// Where it goes when it is done.
    pub(crate) moved_to: String,
    /// Where the records go that the domain never takes; the source itself, if that is in quarantine already.
    pub(crate) quarantine: String,
}

impl Source {
    /// Whether it is made of records that were in quarantine before.
    pub(crate) fn is_quarantine(&self) -> bool {
        self.key == self.quarantine
    }
}

impl Places {
    /// The folders of the stack's delivery stream.
    pub(crate) fn of(spec: &Spec) -> Self {
        Self {
            base: format!("emite-connect/{}/", spec.delivery_stream_name()),
            failed: spec.failed_folders(),
            named: spec.failed_names(),
        }
    }

    /// Whether an object is of another delivery stream, which puts its failed records into the same folder. Those are nobody's to
    /// touch but their owner's.
    pub(crate) fn is_anothers(&self, key: &str) -> bool {
        let name = key.rsplit('/').next().unwrap_or_default();
        let in_folder = self.failed.iter().any(|folder| key.starts_with(folder));
        self.named.as_ref().is_some_and(|named| in_folder && !name.starts_with(named))
    }

    /// The object with this key, or why it must not be touched.
    pub(crate) fn source(&self, key: &str) -> Result<Source, String> {
        self.admit(key)?;
        let below = key.strip_prefix(&*self.base);
        let quarantine = match below {
            Some(below) if below.starts_with("quarantine/") => key.to_owned(),
            Some(below) => format!("{}quarantine/{}", self.base, below.strip_prefix("failed/").unwrap_or(below)),
            None => format!("{}quarantine/{key}", self.base),
        };
        let moved_to = format!("{}redriven/{}", self.base, below.unwrap_or(key));
        Ok(Source { key: key.to_owned(), moved_to, quarantine })
    }

    /// The whole prefix that `prefix` means: `failed/…` and `quarantine/…` stand for those of the delivery stream.
    pub(crate) fn prefix(&self, prefix: &str) -> Result<String, String> {
        let short = ["failed/", "quarantine/"].iter().any(|folder| prefix.starts_with(folder));
        let whole = if short { format!("{}{prefix}", self.base) } else { prefix.to_owned() };
        self.admit(&whole).map(|()| whole)
    }

    /// Where failed records are, unless something else is asked for. A stream that was there before the stack puts them into one
    /// of several folders.
    pub(crate) fn failed(&self) -> &[String] {
        &self.failed
    }

    /// Where the state machine writes what its runs came to.
    pub(crate) fn results(&self) -> String {
        format!("{}results/", self.base)
    }

    fn admit(&self, key: &str) -> Result<(), String> {
        let own = key
            .strip_prefix(&*self.base)
            .is_some_and(|rest| ["failed/", "quarantine/"].iter().any(|at| rest.starts_with(at)));
        let own = own || self.failed.iter().any(|folder| key.starts_with(folder));
        let firehoses = FIREHOSE_FOLDERS.iter().any(|folder| key.starts_with(folder));
        let plain = key.split('/').all(|part| part != "." && part != "..") && key.len() <= 1024;
        if (own || firehoses) && plain {
            return Ok(());
        }
        let base = &self.base;
        let others = self.failed.iter().map(String::as_str).filter(|folder| !folder.starts_with(base));
        let others: BTreeSet<&str> = others.chain(FIREHOSE_FOLDERS).collect();
        Err(format!(
            "'{}' must be below {base}failed/, {base}quarantine/ or one of {}",
            key.chars().take(200).collect::<String>(),
            Vec::from_iter(others).join(", ")
        ))
    }
}

#[cfg(test)]
impl Places {
    /// The folders of a stack's own delivery stream.
    pub(crate) fn named(delivery_stream: &str) -> Self {
        let base = format!("emite-connect/{delivery_stream}/");
        Self { failed: vec![format!("{base}failed/")], named: None, base }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places::named("s")
    }

    #[test]
    fn the_folders_of_a_stream_that_was_there_are_below_its_prefix() {
        let places = Places { failed: vec!["ctr/elasticsearch-failed/".to_owned()], ..places() };
        let source = places.source("ctr/elasticsearch-failed/2026/x").unwrap();
        assert_eq!(source.moved_to, "emite-connect/s/redriven/ctr/elasticsearch-failed/2026/x");
        assert_eq!(source.quarantine, "emite-connect/s/quarantine/ctr/elasticsearch-failed/2026/x");
        let shared = Places { named: Some("hand-".to_owned()), ..places.clone() };
        assert!(shared.is_anothers("ctr/elasticsearch-failed/2026/other-1-x"));
        assert!(!shared.is_anothers("ctr/elasticsearch-failed/2026/hand-1-x"));
        assert!(!shared.is_anothers("emite-connect/s/quarantine/ctr/other-1-x"));
        assert!(!places.is_anothers("ctr/elasticsearch-failed/2026/other-1-x"));
        assert!(places.source("ctr/2026/x").unwrap_err().contains("ctr/elasticsearch-failed/"));
    }

    #[test]
    fn each_source_has_a_place_for_itself_and_one_for_its_bad_records() {
        for (key, moved_to, quarantine) in [
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
            let source = places().source(key).unwrap();
            assert_eq!((&*source.moved_to, &*source.quarantine), (moved_to, quarantine));
            assert_eq!(source.is_quarantine(), key.starts_with("emite-connect/s/quarantine/"));
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
            let problem = places().source(key).unwrap_err();
            assert!(problem.contains("must be below emite-connect/s/failed/"), "{problem}");
        }
    }

    #[test]
    fn a_prefix_may_be_short() {
        assert_eq!(places().prefix("failed/elastic").as_deref(), Ok("emite-connect/s/failed/elastic"));
        assert_eq!(places().prefix("quarantine/").as_deref(), Ok("emite-connect/s/quarantine/"));
        assert_eq!(places().prefix("elasticsearch-failed/2026").as_deref(), Ok("elasticsearch-failed/2026"));
        assert_eq!(places().prefix("emite-connect/s/failed/").as_deref(), Ok("emite-connect/s/failed/"));
        for prefix in ["", "emite-connect/s/", "results/", "emite-connect/s/failed"] {
            assert!(places().prefix(prefix).is_err(), "{prefix}");
        }
    }
}
