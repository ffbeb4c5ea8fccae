//! Makes Buildah look for files that a .dockerignore takes back, such as `!**/*.go` after `*`.
//!
//! Buildah 1.39 does not enter a directory that is left out, unless a pattern with `!` begins with its name. So a pattern that
//! matches no file is added for each directory that may hold such files. Source: containers/buildah, `copier/copier.go`.

/// The name of a file that no context has. A pattern for it takes nothing back.
const NOTHING: &str = ".ci-cd-agents.nothing";

/// A pattern with `!` and a wildcard.
#[derive(Debug, PartialEq, Eq)]
pub struct Wildcard {
    /// The directories before the first wildcard, with a slash at the end.
    prefix: String,
    /// The part after the last slash.
    last: String,
}

/// Returns the patterns of an ignore file that take files back from directories that they do not name.
#[must_use]
pub fn wildcards(text: &str) -> Vec<Wildcard> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let patterns = text.lines().filter_map(|line| {
        let pattern = line
            .trim()
            .strip_prefix('!')
            .filter(|_| !line.starts_with('#'))?;
        let pattern = pattern.trim().trim_start_matches('/').trim_end_matches('/');
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let wildcard = pattern.find(['*', '?', '[', '\\'])?;
        let prefix = pattern[..wildcard].rfind('/').map_or(0, |slash| slash + 1);
        let last = pattern.rsplit('/').next().unwrap_or(pattern);
        Some(Wildcard {
            prefix: pattern[..prefix].to_owned(),
            last: last.to_owned(),
        })
    });
    patterns.collect()
}

impl Wildcard {
    /// Whether the pattern may match an entry of a directory, or all that is beneath it. The directory is relative to the
    /// context, with a slash at the end.
    #[must_use]
    pub fn may_match(&self, directory: &str, name: &str) -> bool {
        directory.starts_with(&self.prefix)
            && (self.last.contains(['[', '\\']) || matches(&self.last, name))
    }

    /// Whether the pattern may match something in a directory or beneath it.
    #[must_use]
    pub fn may_be_in(&self, directory: &str) -> bool {
        directory.starts_with(&self.prefix) || self.prefix.starts_with(directory)
    }
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut letter, mut star) = (0, 0, None);
    while letter < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, letter));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[letter] => {
                (at, letter) = (at + 1, letter + 1);
            }
            _ => match star {
                // The star takes one more letter.
                Some((pattern, before)) => {
                    (at, letter) = (pattern + 1, before + 1);
                    star = Some((pattern, before + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// Adds patterns for which Buildah enters these directories. Each has a slash at the end.
#[must_use]
pub fn entered(text: &str, directories: &[String]) -> String {
    let mut result = text.to_owned();
    if !directories.is_empty() && !text.ends_with('\n') {
        result.push('\n');
    }
    for directory in directories {
        result += &format!("!{directory}{NOTHING}\n");
    }
    result
}

/// Whether the name of a directory can stand in a pattern as it is.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    let trimmed = name.trim() == name;
    trimmed && !name.contains(['\n', '\r', '[', '\\', '*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_patterns_that_buildah_does_not_follow() {
        let found = wildcards("*\n!**/*.go\n! /src/**/u.?o/\n#!x*\n!literal/a\nx*\n!a[b]/c\n");
        let found: Vec<String> = found
            .iter()
            .map(|found| format!("{}|{}", found.prefix, found.last))
            .collect();
        assert_eq!(found, ["|*.go", "src/|u.?o", "|c"]);
    }

    #[test]
    fn matches_names_in_directories_beneath_the_prefix() {
        let pattern = &wildcards("!src/*/*.go")[0];
        assert!(pattern.may_match("src/b/", "k.go") && !pattern.may_match("src/b/", "k.c"));
        assert!(!pattern.may_match("b/", "k.go"));
        assert!(pattern.may_be_in("") && pattern.may_be_in("src/x/") && !pattern.may_be_in("lib/"));
        for (pattern, name, wanted) in [
            ("**", "x", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "xy", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn adds_patterns_that_take_nothing_back() {
        assert_eq!(entered("*\n!**/*.go", &[]), "*\n!**/*.go");
        assert_eq!(
            entered("*\n!**/*.go", &["b/".to_owned()]),
            "*\n!**/*.go\n!b/.ci-cd-agents.nothing\n"
        );
    }
}
