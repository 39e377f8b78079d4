//! Owns which index a record goes to: its own, with the suffix that Firehose's rotation would have given it, and the
//! names that are none.

use std::fmt::Write;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::record::{FailedRecord, Unreadable};

/// How the spec wants records to be filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexNaming {
    /// The index without suffix, as the delivery stream has it.
    pub index: String,
    /// What suffix it gets.
    pub rotation: Rotation,
    /// The document type; none where the engine has no types.
    pub doc_type: Option<String>,
}

/// Firehose's rotations of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The index is named as it is.
    None,
    /// `-YYYY-MM-DD-HH`
    Hour,
    /// `-YYYY-MM-DD`
    Day,
    /// `-YYYY-wWW`
    Week,
    /// `-YYYY-MM`
    Month,
}

impl FromStr for Rotation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "NoRotation" => Ok(Self::None),
            "OneHour" => Ok(Self::Hour),
            "OneDay" => Ok(Self::Day),
            "OneWeek" => Ok(Self::Week),
            "OneMonth" => Ok(Self::Month),
            other => {
                Err(format!("indexRotation is '{other}': must be NoRotation, OneHour, OneDay, OneWeek or OneMonth"))
            }
        }
    }
}

impl Rotation {
    /// Writes the suffix for a time, in UTC
    /// (<https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html#es-index-rotation>).
    fn write(self, at: Timestamp, name: &mut String) {
        let at = Offset::UTC.to_datetime(at);
        let (year, month, day) = (at.year(), at.month(), at.day());
        // Writing to a text cannot fail.
        let _ = match self {
            Self::None => Ok(()),
            Self::Month => write!(name, "-{year:04}-{month:02}"),
            Self::Day => write!(name, "-{year:04}-{month:02}-{day:02}"),
            Self::Hour => write!(name, "-{year:04}-{month:02}-{day:02}-{:02}", at.hour()),
            Self::Week => {
                let week = at.date().iso_week_date();
                write!(name, "-{:04}-w{:02}", week.year(), week.week())
            }
        };
    }
}

impl IndexNaming {
    /// Puts the name of the record's index into `name`.
    pub fn index_of(&self, record: &FailedRecord<'_>, name: &mut String) -> Result<(), Unreadable> {
        name.clear();
        name.push_str(&record.index);
        if self.rotation != Rotation::None && record.index == self.index.as_str() {
            self.rotation.write(record.arrival.ok_or(Unreadable::NoArrival)?, name);
        }
        if is_index(name) { Ok(()) } else { Err(Unreadable::BadIndex) }
    }

    /// The document's type, where the engine has types.
    pub fn type_of<'a>(&'a self, record: &'a FailedRecord<'_>) -> Option<&'a str> {
        let named = Some(&*record.doc_type).filter(|name| !name.is_empty());
        self.doc_type.as_deref().map(|usual| named.unwrap_or(usual))
    }
}

/// Whether an engine allows an index of this name
/// (<https://opensearch.org/docs/latest/api-reference/index-apis/create-index/#index-naming-restrictions>). Names with a
/// dot in front are the engine's own, and no delivery stream writes there.
fn is_index(name: &str) -> bool {
    let allowed = |character: char| {
        !character.is_uppercase()
            && !character.is_whitespace()
            && !character.is_control()
            && !"\\/*?\"<>|,#".contains(character)
    };
    (1..=255).contains(&name.len()) && !name.starts_with(['.', '-', '_', '+']) && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use proptest::prelude::*;

    fn named(rotation: Rotation, index: &str, arrival: Option<&str>) -> Result<String, Unreadable> {
        let naming = IndexNaming { index: "emite-contacts".into(), rotation, doc_type: None };
        let record = FailedRecord {
            id: "1".into(),
            index: index.into(),
            doc_type: "".into(),
            data: Cow::Borrowed(b""),
            arrival: arrival.map(|at| at.parse().unwrap()),
        };
        let mut name = "left over".to_owned();
        naming.index_of(&record, &mut name).map(|()| name)
    }

    #[test]
    fn the_base_name_gets_the_suffix_of_its_rotation_in_utc() {
        let base = |rotation, at| named(rotation, "emite-contacts", Some(at)).unwrap();
        for (rotation, at, name) in [
            (Rotation::None, "2026-11-24T01:02:03Z", "emite-contacts"),
            (Rotation::Month, "2026-11-24T01:02:03Z", "emite-contacts-2026-11"),
            (Rotation::Month, "2026-12-01T08:00:00+11:00", "emite-contacts-2026-11"),
            (Rotation::Day, "2026-11-04T01:02:03Z", "emite-contacts-2026-11-04"),
            (Rotation::Hour, "2026-11-24T01:59:59.999Z", "emite-contacts-2026-11-24-01"),
            (Rotation::Week, "2026-11-24T01:02:03Z", "emite-contacts-2026-w48"),
            (Rotation::Week, "2027-01-01T00:00:00Z", "emite-contacts-2026-w53"),
            (Rotation::Week, "2024-12-30T00:00:00Z", "emite-contacts-2025-w01"),
        ] {
            assert_eq!(base(rotation, at), name, "{at}");
        }
    }

    #[test]
    fn a_name_of_its_own_stays_and_needs_no_time() {
        assert_eq!(named(Rotation::Month, "emite-contacts-2026-10", None).unwrap(), "emite-contacts-2026-10");
        assert_eq!(named(Rotation::None, "emite-contacts", None).unwrap(), "emite-contacts");
        assert_eq!(named(Rotation::Month, "emite-contacts", None), Err(Unreadable::NoArrival));
    }

    #[test]
    fn names_that_no_engine_allows_are_told() {
        for name in [
            "Contacts",
            "a b",
            "_all",
            "-a",
            "+a",
            ".kibana",
            "..",
            "a*",
            "a,b",
            "<a-{now/d}>",
            "a/b",
            "a#",
            "a\n",
            &"x".repeat(256),
        ] {
            assert_eq!(named(Rotation::None, name, None), Err(Unreadable::BadIndex), "{name}");
        }
        for name in ["a", "emite_contacts-2026.11", "ü"] {
            assert_eq!(named(Rotation::None, name, None).as_deref(), Ok(name));
        }
    }

    #[test]
    fn the_type_is_the_records_own_and_only_where_the_engine_has_types() {
        let typed = |usual: Option<&str>, own: &'static str| {
            let naming =
                IndexNaming { index: "i".into(), rotation: Rotation::None, doc_type: usual.map(str::to_owned) };
            let record = FailedRecord {
                id: "1".into(),
                index: "i".into(),
                doc_type: own.into(),
                data: Cow::Borrowed(b""),
                arrival: None,
            };
            naming.type_of(&record).map(str::to_owned)
        };
        assert_eq!(typed(None, "contacts"), None);
        assert_eq!(typed(Some("contacts"), "other").as_deref(), Some("other"));
        assert_eq!(typed(Some("contacts"), "").as_deref(), Some("contacts"));
    }

    proptest! {
        #[test]
        fn a_rotated_name_is_one_and_sorts_as_its_times_do(first in 0..4_000_000_000_i64, second in 0..4_000_000_000_i64) {
            for rotation in [Rotation::Hour, Rotation::Day, Rotation::Week, Rotation::Month] {
                let name = |seconds| {
                    let at = Timestamp::from_second(seconds).unwrap().to_string();
                    named(rotation, "emite-contacts", Some(&at)).unwrap()
                };
                let (earlier, later) = (name(first.min(second)), name(first.max(second)));
                prop_assert!(earlier <= later, "{} {}", earlier, later);
            }
        }
    }
}
