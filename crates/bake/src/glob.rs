//! Patterns of names, as the Go function `path.Match` reads them.

/// Returns whether a name matches a pattern with `*`, `?` and `[…]`. Names have no slashes.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where the last star is, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    let (mut at, mut seen) = (0, 0);
    loop {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, seen));
            continue;
        }
        if seen == name.len() && at == pattern.len() {
            return true;
        }
        let next = name
            .get(seen)
            .and_then(|letter| one(&pattern[at..], *letter));
        match (next, star) {
            (Some(length), _) => {
                at += length;
                seen += 1;
            }
            (None, Some((after, taken))) if taken < name.len() => {
                star = Some((after, taken + 1));
                at = after;
                seen = taken + 1;
            }
            _ => return false,
        }
    }
}

/// Returns the length of the pattern's first element, if the letter matches it.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '[' => {
            let end = pattern.iter().position(|c| *c == ']')?;
            let inside = &pattern[1..end];
            let (inside, negated) = match inside.first() {
                Some('^') => (&inside[1..], true),
                _ => (inside, false),
            };
            let mut found = false;
            let mut index = 0;
            while index < inside.len() {
                let low = inside[index];
                let high = match inside.get(index + 1..index + 3) {
                    Some(['-', high]) => {
                        index += 2;
                        *high
                    }
                    _ => low,
                };
                found |= (low..=high).contains(&letter);
                index += 1;
            }
            (found != negated).then_some(end + 1)
        }
        plain => (plain == letter).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "app", true),
            ("a*", "app", true),
            ("a*p", "app", true),
            ("*-dev", "app-dev", true),
            ("*-dev", "app-dev2", false),
            ("a?p", "app", true),
            ("a?", "app", false),
            ("[a-c]pp", "bpp", true),
            ("[^a-c]pp", "bpp", false),
            ("[ab", "a", false),
            ("app", "app", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
