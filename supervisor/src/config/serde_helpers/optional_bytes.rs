//! A number of bytes as Kubernetes writes it: `32Mi`, `1Gi`, or plain digits.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

const EXPECTED: &str = "a number of bytes such as 32Mi or 33554432";
const UNITS: [(&str, u32); 3] = [("Ki", 10), ("Mi", 20), ("Gi", 30)];

fn parse(text: &str) -> Option<u64> {
    let unit = UNITS
        .iter()
        .find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (digits, bits) = unit.unwrap_or((text, 0));
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << bits)
}

fn show(bytes: u64) -> String {
    let mut units = UNITS.iter().rev();
    let unit = units.find(|(_, bits)| bytes > 0 && bytes.is_multiple_of(1 << bits));
    unit.map_or_else(
        || bytes.to_string(),
        |(unit, bits)| format!("{}{unit}", bytes >> bits),
    )
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if matches!(text, "" | "none") {
            return Ok(None);
        }
        let problem = || E::custom(format!("found {text:?}, expected {EXPECTED}"));
        parse(text).map(Some).ok_or_else(problem)
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Self::Value, E> {
        Ok(Some(bytes))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Self::Value, E> {
        let problem = |_| E::custom(format!("found {bytes}, expected {EXPECTED}"));
        u64::try_from(bytes).map(Some).map_err(problem)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

pub(crate) fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(bytes) => to.serialize_str(&show(*bytes)),
        None => to.serialize_str("none"),
    }
}

pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<u64>, D::Error> {
    from.deserialize_any(BytesVisitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_and_shown_as_kubernetes_does() {
        for (text, bytes) in [
            ("32Mi", 32 << 20),
            ("1Gi", 1 << 30),
            ("7", 7),
            ("3Ki", 3072),
        ] {
            assert_eq!(parse(text), Some(bytes));
            assert_eq!(show(bytes), text);
        }
        for bad in ["", "Mi", "32M", "-1", "1.5Gi", "99999999999Gi"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
