//! Sizes such as `128m`, in the form in which buildx prints them.

use serde_json::Value;

use crate::error::{BakeError, Result};
use crate::value::text;

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// Returns a size with a binary unit: `128m` is `128MiB`.
pub(super) fn normal(size: &Value) -> Result<String> {
    let written = text(size)?;
    let wrong = || BakeError::new(format!("{written:?} is no size such as 128m"));
    let lower = written.trim().to_lowercase();
    let end = lower
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let power = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return Err(wrong()),
    };
    let mut size = (number * 1024_f64.powi(power)).trunc();
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    // Four digits, without zeros at the end.
    let before = format!("{size:.0}").len();
    let shown = format!("{size:.*}", 4_usize.saturating_sub(before));
    let shown = if shown.contains('.') {
        shown.trim_end_matches('0').trim_end_matches('.')
    } else {
        &shown
    };
    Ok(format!("{shown}{}", UNITS[unit]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (written, expected) in [
            ("128m", "128MiB"),
            ("1.5gb", "1.5GiB"),
            ("64", "64B"),
            ("2048k", "2MiB"),
        ] {
            assert_eq!(normal(&Value::from(written)).unwrap(), expected);
        }
        assert!(normal(&Value::from("much")).is_err());
    }
}
