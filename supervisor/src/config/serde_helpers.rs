//! Deserializes values as people write them: durations as `90s`, lists as `a,b`.
//!
//! An environment variable is always text. So a list can be one string, and `SUPERVISOR_LOCAL__EVENT=1` stays the text `1`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;

const DURATION: &str = "a duration such as 90s, 10m or 1h30m";

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DURATION)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if matches!(text, "" | "none") {
            return Ok(None);
        }
        humantime::parse_duration(text)
            .map(Some)
            .map_err(|_| E::custom(format!("found {text:?}, expected {DURATION}")))
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
        Ok(Some(Duration::from_secs(seconds)))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self::Value, E> {
        let seconds = u64::try_from(seconds)
            .map_err(|_| E::custom(format!("found {seconds}, expected {DURATION}")))?;
        Ok(Some(Duration::from_secs(seconds)))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A duration: text as `humantime` reads it, or a number of seconds.
pub(super) mod duration {
    use super::{DURATION, Deserializer, Duration, DurationVisitor, Error, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*value))
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        from.deserialize_any(DurationVisitor)?
            .ok_or_else(|| D::Error::custom(format!("found nothing, expected {DURATION}")))
    }
}

/// A duration, or nothing (empty, `none`).
pub(super) mod optional_duration {
    use super::{Deserializer, Duration, DurationVisitor, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::duration::serialize(value, to),
            None => to.serialize_str("none"),
        }
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        from.deserialize_any(DurationVisitor)
    }
}

/// A number of bytes, or nothing (empty, `none`).
pub(super) mod optional_bytes;

struct ListVisitor;

impl<'a> Visitor<'a> for ListVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts, or one text with commas")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Ok(parts.map(str::to_owned).collect())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<String>()? {
            list.push(item);
        }
        Ok(list)
    }
}

/// A list: an array, or one text with commas.
pub(super) mod list {
    use super::{Deserializer, ListVisitor, Serializer};
    use serde::Serialize;

    pub(crate) fn serialize<S: Serializer>(value: &[String], to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<String>, D::Error> {
        from.deserialize_any(ListVisitor)
    }
}

/// A list of paths.
pub(super) mod paths {
    use super::{Deserializer, ListVisitor, Serializer};
    use serde::Serialize;
    use std::path::PathBuf;

    pub(crate) fn serialize<S: Serializer>(value: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
        let list = from.deserialize_any(ListVisitor)?;
        Ok(list.into_iter().map(PathBuf::from).collect())
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(String::new())
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(String::new())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.to_string())
    }
}

/// A text, or nothing.
pub(super) mod optional_text {
    use super::{Deserializer, Serializer, TextVisitor};
    use serde::Serialize;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<String>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<String>, D::Error> {
        let text = from.deserialize_any(TextVisitor)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

/// A text, even if it has the form of a number.
pub(super) mod text {
    use super::{Deserializer, Serializer, TextVisitor};

    pub(crate) fn serialize<S: Serializer>(value: &str, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<String, D::Error> {
        from.deserialize_any(TextVisitor)
    }
}
