//! Owns the JSON form of a failed record, in which a field of an unexpected type counts as missing.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) raw_data: RawData<'a>,
    #[serde(borrow)]
    pub(super) es_document_id: OptionalText<'a>,
    #[serde(borrow)]
    pub(super) es_index_name: OptionalText<'a>,
    #[serde(borrow)]
    pub(super) es_type_name: OptionalText<'a>,
    pub(super) arrival_timestamp: ArrivalTime,
}

/// A time in milliseconds since 1970, as a number or in a text, or as RFC 3339 has it.
fn time(text: &str) -> Option<Timestamp> {
    match text.parse::<i64>() {
        Ok(milliseconds) => Timestamp::from_millisecond(milliseconds).ok(),
        Err(_) => text.parse().ok(),
    }
}

/// Implements the visits to what counts as missing.
macro_rules! anything_else_is_missing {
    () => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("anything")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

#[derive(Default)]
pub(super) struct OptionalText<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for OptionalText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BorrowingVisitor;
        impl<'de> Visitor<'de> for BorrowingVisitor {
            type Value = OptionalText<'de>;
            anything_else_is_missing!();

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(OptionalText(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OptionalText(Cow::Owned(text.to_owned())))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(OptionalText::default())
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(OptionalText::default())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(OptionalText::default())
            }
        }
        deserializer.deserialize_any(BorrowingVisitor)
    }
}

/// A text that is not checked to be UTF-8: base64 is decoded in any case.
#[derive(Default)]
pub(super) struct RawData<'a>(pub(super) Option<Cow<'a, [u8]>>);

impl<'de: 'a, 'a> Deserialize<'de> for RawData<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BorrowingVisitor;
        impl<'de> Visitor<'de> for BorrowingVisitor {
            type Value = RawData<'de>;
            anything_else_is_missing!();

            fn visit_borrowed_bytes<E: Error>(self, text: &'de [u8]) -> Result<Self::Value, E> {
                Ok(RawData(Some(Cow::Borrowed(text))))
            }

            fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<Self::Value, E> {
                Ok(RawData(Some(Cow::Owned(text.to_owned()))))
            }
        }
        deserializer.deserialize_bytes(BorrowingVisitor)
    }
}

#[derive(Default)]
pub(super) struct ArrivalTime(pub(super) Option<Timestamp>);

impl<'de> Deserialize<'de> for ArrivalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArrivalVisitor;
        impl<'de> Visitor<'de> for ArrivalVisitor {
            type Value = ArrivalTime;
            anything_else_is_missing!();

            fn visit_str<E: Error>(self, text: &str) -> Result<ArrivalTime, E> {
                Ok(ArrivalTime(time(text)))
            }

            fn visit_i64<E: Error>(self, milliseconds: i64) -> Result<ArrivalTime, E> {
                Ok(ArrivalTime(Timestamp::from_millisecond(milliseconds).ok()))
            }

            fn visit_u64<E: Error>(self, milliseconds: u64) -> Result<ArrivalTime, E> {
                self.visit_i64(i64::try_from(milliseconds).unwrap_or(i64::MAX))
            }

            #[allow(clippy::cast_possible_truncation, reason = "what does not fit is no time")]
            fn visit_f64<E: Error>(self, milliseconds: f64) -> Result<ArrivalTime, E> {
                self.visit_i64(milliseconds as i64)
            }
        }
        deserializer.deserialize_any(ArrivalVisitor)
    }
}
