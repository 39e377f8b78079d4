//! Owns the type of an engine's error, in the forms that engines give it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The `type` of an error, which is an object; older engines give a text.
#[derive(Default)]
pub(super) struct ErrorType<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for ErrorType<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ErrorTypeVisitor;
        impl<'de> Visitor<'de> for ErrorTypeVisitor {
            type Value = ErrorType<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an error")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = ErrorType::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == "type" {
                        found = ErrorType(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(found)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ErrorType::default())
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(ErrorType::default())
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(ErrorType::default())
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(ErrorType::default())
            }
        }
        deserializer.deserialize_any(ErrorTypeVisitor)
    }
}
