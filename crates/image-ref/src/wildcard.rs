//! Patterns with `*`, matched in at most pattern length times text length steps.

/// Returns whether `text` matches `pattern`, in which `*` stands for any text. Only the last `*` is ever tried again.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut position) = (0, 0);
    let mut star = None;
    while position < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, position));
        } else if pattern.get(at) == Some(&text[position]) {
            at += 1;
            position += 1;
        } else if let Some((after, matched)) = star {
            at = after;
            position = matched + 1;
            star = Some((after, position));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "a/b"),
            ("a*", "a"),
            ("a*c", "abbc"),
            ("*b*d", "abcbd"),
            ("a**b", "axb"),
            ("*aab", "aaab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*c", "abb"), ("*b", "ba"), ("a*", "ba")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    /// With a step for each division of the text among the stars, this would not end.
    #[test]
    fn many_stars_take_little_time() {
        let pattern = "*a".repeat(30) + "b";
        assert!(!matches(&pattern, &"a".repeat(5000)));
    }
}
