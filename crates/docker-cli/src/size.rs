//! Sizes as Docker prints them. Buildah prints `4.62 KB`, and Docker prints `4.62kB`.

/// Decimal units. Source: <https://github.com/docker/go-units/blob/master/size.go>.
const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Returns a size of Buildah's in Docker's form.
pub(super) fn from_buildah(size: &str) -> String {
    size.replace("KB", "kB").replace(' ', "")
}

/// Returns the number of bytes of a size of Buildah's, or 0 if the text has another form.
pub(super) fn bytes(size: &str) -> f64 {
    let size = from_buildah(size);
    let end = size.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = size.split_at(end.unwrap_or(size.len()));
    let power = UNITS.iter().position(|name| *name == unit).unwrap_or(0);
    let factor = UNITS[..power].iter().fold(1.0, |factor, _| factor * 1000.0);
    number.parse::<f64>().unwrap_or(0.0) * factor
}

/// Returns a number of bytes with at most four digits.
pub(super) fn human(bytes: f64) -> String {
    rounded(bytes, 4)
}

/// Returns a number of bytes with at most three digits, as in lists of images and layers.
pub(super) fn human_of_three(bytes: u64) -> String {
    // The digits that a float loses are not printed.
    #[allow(clippy::cast_precision_loss)]
    rounded(bytes as f64, 3)
}

/// Rounds as Go's `%.4g` does.
fn rounded(mut bytes: f64, digits: usize) -> String {
    let mut unit = 0;
    while bytes >= 1000.0 && unit + 1 < UNITS.len() {
        bytes /= 1000.0;
        unit += 1;
    }
    let whole = match bytes {
        100.0.. => 3,
        10.0.. => 2,
        _ => 1,
    };
    let number = format!("{bytes:.*}", digits - whole);
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        &number
    };
    format!("{number}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_dockers_form() {
        for (buildah, docker) in [
            ("4.62 KB", "4.62kB"),
            ("128 MB", "128MB"),
            ("956 B", "956B"),
        ] {
            assert_eq!(from_buildah(buildah), docker);
            assert_eq!(human(bytes(buildah)), docker);
        }
        assert_eq!(human(0.0), "0B");
        assert_eq!(human_of_three(2_048), "2.05kB");
        assert_eq!(human(2_001_500.0), "2.002MB");
        assert_eq!(human(999.0), "999B");
        assert_eq!(bytes("odd"), 0.0);
    }
}
