//! Makes Buildah look for files that a .dockerignore takes back, such as `!**/*.go` after `*`.
//!
//! Buildah 1.39 does not enter a directory that is left out, unless a pattern with `!` begins with its name. So a pattern that
//! matches no file is added for each directory that may hold such files. Source: containers/buildah, `copier/copier.go`.

use std::cell::Cell;

/// The name of a file that no context has. A pattern for it takes nothing back.
const NOTHING: &str = ".ci-cd-agents.nothing";

/// The most patterns that are read. A job writes them, and each is compared with each directory.
const MAX_PATTERNS: usize = 1000;

/// The most steps of comparing. Each takes some nanoseconds.
const MAX_STEPS: usize = 100_000_000;

/// A pattern with `!` and a wildcard.
#[derive(Debug)]
struct Wildcard {
    /// The directories before the first wildcard, with a slash at the end.
    prefix: String,
    /// The part after the last slash. `None` if any name may match.
    last: Option<Vec<char>>,
    /// The number of its parts. `None` if it matches at any depth.
    depth: Option<usize>,
}

/// The patterns of an ignore file that take files back from directories that they do not name.
#[derive(Debug)]
pub struct Wildcards {
    patterns: Vec<Wildcard>,
    /// The steps that are left.
    steps: Cell<usize>,
}

impl Wildcards {
    /// Reads an ignore file. `None` if it has no such pattern, or more than 1000.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let found = text.lines().filter_map(Wildcard::parse);
        let patterns: Vec<Wildcard> = found.take(MAX_PATTERNS + 1).collect();
        (1..=MAX_PATTERNS)
            .contains(&patterns.len())
            .then_some(Self {
                patterns,
                steps: Cell::new(MAX_STEPS),
            })
    }

    /// Whether a pattern may match one of these entries of a directory, or all that is beneath it. The directory is relative to
    /// the context, with a slash at the end.
    #[must_use]
    pub fn may_match<'a>(&self, directory: &str, names: impl Iterator<Item = &'a str>) -> bool {
        let depth = depth(directory) + 1;
        let applies = |pattern: &&Wildcard| {
            self.step(1 + directory.len().min(pattern.prefix.len()) / 16);
            pattern.depth.is_none_or(|wanted| wanted == depth)
                && directory.starts_with(&pattern.prefix)
        };
        let patterns: Vec<&Wildcard> = self.patterns.iter().filter(applies).collect();
        if patterns.is_empty() {
            return false;
        }
        let mut names = names.map(|name| name.chars().collect::<Vec<char>>());
        names.any(|name| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| {
                let last = pattern.last.as_ref();
                last.is_none_or(|last| matches(last, &name, &|| self.step(1)))
            })
        })
    }

    /// Whether a pattern may match something in a directory or beneath it.
    #[must_use]
    pub fn may_be_in(&self, directory: &str) -> bool {
        let depth = depth(directory);
        self.patterns.iter().any(|pattern| {
            self.step(1 + directory.len().min(pattern.prefix.len()) / 16);
            pattern.depth.is_none_or(|wanted| wanted > depth)
                && (directory.starts_with(&pattern.prefix) || pattern.prefix.starts_with(directory))
        })
    }

    /// Whether the comparisons took too long. What was found until then is incomplete.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.steps.get() == 0
    }

    /// Counts steps. Returns whether some are left.
    fn step(&self, count: usize) -> bool {
        self.steps.set(self.steps.get().saturating_sub(count));
        !self.exhausted()
    }
}

impl Wildcard {
    fn parse(line: &str) -> Option<Self> {
        let pattern = line.trim().strip_prefix('!')?;
        let pattern = pattern.trim().trim_start_matches('/').trim_end_matches('/');
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let wildcard = pattern.find(['*', '?', '[', '\\'])?;
        let prefix = pattern[..wildcard].rfind('/').map_or(0, |slash| slash + 1);
        let last = pattern.rsplit('/').next().unwrap_or(pattern);
        let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
        let (count, up) = parts.fold((0, false), |(count, up), part| {
            (count + 1, up || part == "..")
        });
        // A class or an escape may stand for a slash.
        let plain = !pattern.contains(['[', '\\']);
        let fixed = plain && !up && !pattern.contains("**");
        Some(Self {
            prefix: pattern[..prefix].to_owned(),
            last: plain.then(|| last.chars().collect()),
            depth: fixed.then_some(count),
        })
    }
}

/// Returns the number of a directory's parts.
fn depth(directory: &str) -> usize {
    directory.bytes().filter(|byte| *byte == b'/').count()
}

/// Whether a name matches a pattern with `*` and `?`. `step` counts the steps, and returns whether some are left.
fn matches(pattern: &[char], name: &[char], step: &dyn Fn() -> bool) -> bool {
    let (mut at, mut letter, mut star) = (0, 0, None);
    while letter < name.len() && step() {
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
    // Only stars may be left. More than one is rare, but a job may write a million of them.
    pattern[at..].iter().all(|letter| *letter == '*' && step())
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

    fn wildcards(text: &str) -> Wildcards {
        Wildcards::parse(text).unwrap()
    }

    #[test]
    fn finds_the_patterns_that_buildah_does_not_follow() {
        let text = "*\n!**/*.go\n! /src/**/u.?o/\n#!x*\n!literal/a\nx*\n!a[b]/c\n!x/./y?//z\n";
        let found = wildcards(text).patterns;
        let found: Vec<String> = found
            .iter()
            .map(|found| {
                let last = found.last.iter().flatten().collect::<String>();
                format!("{}|{last}|{:?}", found.prefix, found.depth)
            })
            .collect();
        assert_eq!(
            found,
            ["|*.go|None", "src/|u.?o|None", "||None", "x/./|z|Some(3)"]
        );
        assert!(Wildcards::parse("*\n!a\n").is_none());
    }

    #[test]
    fn matches_names_in_directories_beneath_the_prefix() {
        let found = wildcards("!src/*/*.go");
        let may_match = |directory, name| found.may_match(directory, std::iter::once(name));
        assert!(may_match("src/b/", "k.go") && !may_match("src/b/", "k.c"));
        assert!(!may_match("b/", "k.go"));
        assert!(found.may_be_in("") && found.may_be_in("src/x/") && !found.may_be_in("lib/"));
        for (pattern, name, wanted) in [
            ("**", "x", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "xy", false),
            ("*", "", true),
        ] {
            let letters = |text: &str| text.chars().collect::<Vec<char>>();
            let found = matches(&letters(pattern), &letters(name), &|| true);
            assert_eq!(found, wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_without_two_stars_has_a_depth() {
        let found = wildcards("**/node_modules\n*.md\n!README*.md\n");
        assert!(found.may_be_in("") && !found.may_be_in("docs/"));
        assert!(found.may_match("", std::iter::once("README.md")));
        let found = wildcards("!a/*/c?");
        assert!(found.may_be_in("a/b/") && !found.may_be_in("a/b/c/"));
        assert!(!found.may_match("a/", std::iter::once("cx")));
        let found = wildcards("!**/*.go");
        assert!(found.may_be_in("a/b/c/") && found.may_match("a/b/c/", std::iter::once("x.go")));
    }

    #[test]
    fn the_work_has_limits() {
        assert!(Wildcards::parse(&"!*q\n".repeat(MAX_PATTERNS)).is_some());
        assert!(Wildcards::parse(&"!*q\n".repeat(MAX_PATTERNS + 1)).is_none());
        // Without a limit, these would take more than 10^11 steps.
        let found = wildcards(&format!("!{}q\n", "*a".repeat(4000)).repeat(MAX_PATTERNS));
        found.steps.set(MAX_STEPS / 100);
        let name = "a".repeat(255);
        let names = std::iter::repeat_n(name.as_str(), 200_000);
        assert!(!found.may_match("", names.take_while(|_| !found.exhausted())));
        assert!(found.exhausted());
        let found = wildcards("!**/*.go\n!*.md\n");
        found.steps.set(MAX_STEPS / 100);
        let names = std::iter::repeat_n("a_name_of_20_letters.c", 2000);
        assert!(!found.may_match("", names) && !found.exhausted());
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
