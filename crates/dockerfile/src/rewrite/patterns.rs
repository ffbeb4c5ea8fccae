//! Applies the patterns of `${NAME#pattern}`, `${NAME%pattern}` and `${NAME/pattern/replacement}` to a value.
//!
//! Source: moby/buildkit, `shell/lex.go`: `*` stands for any text, `?` for any character, and a line feed for neither.

/// One part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Letter(char),
}

/// Returns the value after the substitution. `None` if the pattern is invalid, or the work would take too long.
pub(super) fn apply(
    value: &str,
    sign: char,
    doubled: bool,
    pattern: &str,
    replacement: &str,
) -> Option<String> {
    let parts = parse(pattern)?;
    let value: Vec<char> = value.chars().collect();
    // A job writes both, and PID 1 matches them.
    if value.len() > MAX_VALUE || parts.len() > MAX_PATTERN {
        return None;
    }
    match sign {
        '#' => {
            let end = ends(&parts, &value, doubled);
            Some(value[end.unwrap_or(0)..].iter().collect())
        }
        '%' => {
            let parts: Vec<Part> = parts.into_iter().rev().collect();
            let reversed: Vec<char> = value.iter().rev().copied().collect();
            let end = ends(&parts, &reversed, doubled).unwrap_or(0);
            Some(value[..value.len() - end].iter().collect())
        }
        // BuildKit reads `$1` in a replacement of all matches as a group.
        _ if doubled && replacement.contains('$') => None,
        _ => replace(&value, &parts, doubled, replacement),
    }
}

/// Returns about how many steps [`apply`] takes.
pub(super) fn steps(value: &str, sign: char, pattern: &str) -> usize {
    let starts = if sign == '/' { value.len() } else { 1 };
    (value.len() + 1)
        .saturating_mul(pattern.len() + 1)
        .saturating_mul(starts)
}

const MAX_VALUE: usize = 1024;
const MAX_PATTERN: usize = 128;

fn parse(pattern: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => match letters.next()? {
                escaped @ ('}' | '/' | '*' | '?' | '\\') => Part::Letter(escaped),
                _ => return None,
            },
            letter => Part::Letter(letter),
        });
    }
    Some(parts)
}

/// Returns the end of the shortest or longest match at the beginning of the value.
fn ends(parts: &[Part], value: &[char], longest: bool) -> Option<usize> {
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; value.len() + 1];
        for at in 0..=value.len() {
            let before = at.checked_sub(1);
            next[at] = match part {
                Part::Any => {
                    reached[at]
                        || before.is_some_and(|before| next[before] && value[before] != '\n')
                }
                Part::One => before.is_some_and(|before| reached[before] && value[before] != '\n'),
                Part::Letter(letter) => {
                    before.is_some_and(|before| reached[before] && value[before] == *letter)
                }
            };
        }
        reached = next;
    }
    if longest {
        reached.iter().rposition(|reached| *reached)
    } else {
        reached.iter().position(|reached| *reached)
    }
}

/// Replaces the longest match at each place, from the left.
fn replace(value: &[char], parts: &[Part], all: bool, replacement: &str) -> Option<String> {
    // An empty pattern matches between all letters.
    if parts.iter().all(|part| *part == Part::Any) && (all || parts.is_empty()) {
        return None;
    }
    let mut result = String::new();
    let (mut at, mut done) = (0, false);
    while at < value.len() {
        let end = if done {
            None
        } else {
            ends(parts, &value[at..], true)
        };
        if let Some(length) = end {
            result += replacement;
            at += length;
            done = !all;
        } else {
            result.push(value[at]);
            at += 1;
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        let cases = [
            ("a/b/c", '#', false, "*/", "", "b/c"),
            ("a/b/c", '#', true, "*/", "", "c"),
            ("a:b:c", '%', false, ":*", "", "a:b"),
            ("r/x:1", '%', true, ":*", "", "r/x"),
            ("abc", '#', false, "abc", "", ""),
            ("abc", '%', false, "?", "", "ab"),
            ("abc", '#', false, "x*", "", "abc"),
            ("a*c", '#', false, "a\\*", "", "c"),
            ("1.2.3", '/', false, ".", "-", "1-2.3"),
            ("1.2.3", '/', true, ".", "-", "1-2-3"),
            ("a/b", '/', true, "\\/", "_", "a_b"),
            ("", '/', false, "x", "y", ""),
            ("xaxa", '/', false, "a*", "-", "x-"),
        ];
        for (value, sign, doubled, pattern, replacement, wanted) in cases {
            let found = apply(value, sign, doubled, pattern, replacement);
            assert_eq!(found.as_deref(), Some(wanted), "{value} {sign} {pattern}");
        }
        assert_eq!(apply("a", '#', false, "\\a", ""), None);
        assert_eq!(apply(&"a".repeat(2000), '#', false, "a", ""), None);
    }
}
