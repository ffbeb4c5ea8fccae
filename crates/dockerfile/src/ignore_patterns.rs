//! Reads an ignore file by Docker's rules, and decides which files of a context it leaves out.
//!
//! Source: moby/patternmatcher 0.6, which reads and compares, and tonistiigi/fsutil, whose walk hands the matches of a directory
//! on to what is in it.

mod glob;

use glob::Glob;

/// The most patterns that an ignore file may have. A job writes them, and each is compared with each file.
const MAX_PATTERNS: usize = 10_000;
/// The most bytes of a pattern, limits.h `PATH_MAX`.
const MAX_LENGTH: usize = 4096;

/// An ignore file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A pattern that filepath.Match of Go refuses.
    #[error("line {line}: {pattern:?} is no pattern, because of its brackets or backslashes")]
    Pattern {
        /// The line, from 1.
        line: usize,
        /// The pattern.
        pattern: String,
    },
    /// A pattern that is too long.
    #[error("line {0}: a pattern has at most {MAX_LENGTH} bytes")]
    TooLong(usize),
    /// There are too many.
    #[error("it has more than {MAX_PATTERNS} patterns; leave out whole directories")]
    TooMany,
}

/// The patterns of an ignore file, in order.
#[derive(Debug, Default)]
pub struct IgnorePatterns {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// Whether it takes back what earlier patterns leave out.
    taken_back: bool,
    glob: Glob,
}

/// Which patterns match a directory, and so all that is in it. The one of the context itself is empty.
#[derive(Debug, Clone, Default)]
pub struct ParentMatches(Vec<bool>);

impl IgnorePatterns {
    /// Reads an ignore file. Bytes that are not UTF-8 match nothing.
    ///
    /// # Errors
    /// [`IgnoreError`] for a pattern that Docker refuses too, and for more than the limits.
    pub fn parse(content: &[u8]) -> Result<Self, IgnoreError> {
        let mut patterns = Vec::new();
        read(content, |pattern| patterns.push(pattern))?;
        Ok(Self { patterns })
    }

    /// Checks an ignore file, and returns whether it leaves out anything. It keeps no pattern: PID 1 calls it, and a pattern
    /// takes more memory than its text.
    ///
    /// # Errors
    /// As [`IgnorePatterns::parse`].
    pub fn check(content: &[u8]) -> Result<bool, IgnoreError> {
        let mut leaves_out = false;
        read(content, |pattern| leaves_out |= !pattern.taken_back)?;
        Ok(leaves_out)
    }

    /// Whether a path of the context is left out. `parent` has the matches of its directory. The result has its own.
    #[must_use]
    pub fn ignores(&self, path: &str, parent: &ParentMatches) -> (bool, ParentMatches) {
        let path: Vec<char> = path.chars().collect();
        let mut ignored = false;
        let matches = self.patterns.iter().enumerate().map(|(at, pattern)| {
            // As in Docker, a pattern that cannot change the result is not compared, and does not count for what is beneath.
            let inherited = parent.0.get(at).copied().unwrap_or(false);
            let matched =
                inherited || (pattern.taken_back == ignored && pattern.glob.matches(&path));
            if matched {
                ignored = !pattern.taken_back;
            }
            matched
        });
        let matches = ParentMatches(matches.collect());
        (ignored, matches)
    }

    /// Whether something beneath a directory may differ from it: be left out, or be taken back if the directory is left out.
    #[must_use]
    pub fn may_differ_beneath(&self, directory: &str, ignored: bool) -> bool {
        let directory: Vec<char> = directory.chars().collect();
        let mut patterns = self.patterns.iter();
        patterns.any(|pattern| {
            pattern.taken_back == ignored && pattern.glob.may_match_beneath(&directory)
        })
    }
}

/// Reads the patterns of an ignore file, one after the other.
fn read(content: &[u8], mut add: impl FnMut(Pattern)) -> Result<(), IgnoreError> {
    let text = String::from_utf8_lossy(content);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut count = 0;
    for (index, line) in text.lines().enumerate() {
        // A comment begins in the first column.
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        count += 1;
        if count > MAX_PATTERNS {
            return Err(IgnoreError::TooMany);
        }
        add(Pattern::parse(line.trim(), index + 1)?);
    }
    Ok(())
}

impl Pattern {
    fn parse(text: &str, line: usize) -> Result<Self, IgnoreError> {
        let (taken_back, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        let invalid = || IgnoreError::Pattern {
            line,
            pattern: text.chars().take(100).collect(),
        };
        if rest.is_empty() {
            return Err(invalid());
        }
        if rest.len() > MAX_LENGTH {
            return Err(IgnoreError::TooLong(line));
        }
        let cleaned = clean(rest);
        let relative = cleaned.strip_prefix('/').filter(|rest| !rest.is_empty());
        let relative = relative.unwrap_or(&cleaned);
        // Docker shortens the pattern again with its mark, so that `!../../a` is `a`.
        let marked = clean(&format!("!{relative}"));
        let (taken_back, relative) = match marked.strip_prefix('!').filter(|_| taken_back) {
            Some("") => return Err(invalid()),
            Some(rest) => (true, rest),
            None if taken_back => (false, marked.as_str()),
            None => (false, relative),
        };
        let glob = Glob::parse(relative).ok_or_else(invalid)?;
        Ok(Self { taken_back, glob })
    }
}

/// Shortens a path as path.Clean of Go does.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a path is left out, with the matches of all directories above it.
    fn ignored(text: &str, path: &str) -> bool {
        let patterns = IgnorePatterns::parse(text.as_bytes()).unwrap();
        let ends = path.match_indices('/').map(|(at, _)| at);
        let mut matches = ParentMatches::default();
        for end in ends {
            matches = patterns.ignores(&path[..end], &matches).1;
        }
        patterns.ignores(path, &matches).0
    }

    #[test]
    fn leaves_out_what_docker_leaves_out() {
        for (text, path, wanted) in [
            (".env", ".env", true),
            (".env", "a/.env", false),
            ("a", "a/b/c", true),
            ("/a/", "a/b", true),
            ("a/../b", "b", true),
            ("**/.env", "a/b/.env", true),
            ("**/.env", ".env", true),
            ("**/a/b", "x/a/b/c", true),
            ("a/**", "a/b", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("*.log", "x.log", true),
            ("*.log", "d/x.log", false),
            ("*/*.log", "d/x.log", true),
            ("?", "é", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*", "any/thing", true),
            ("**", "any/thing", true),
            ("**foo", "a/xfoo", true),
            ("# c\n#a", "#a", false),
            (" #a", "#a", true),
            ("\u{feff}a", "a", true),
            ("a\r\nb\r\n", "b", true),
            (".", "a", false),
            ("/", "a", false),
            ("a.b", "axb", false),
        ] {
            assert_eq!(ignored(text, path), wanted, "{text:?} {path}");
        }
    }

    #[test]
    fn later_patterns_take_back() {
        let text = "*\n!src\nsrc/secret\n!**/*.md\n";
        for (path, wanted) in [
            ("x", true),
            ("src", false),
            ("src/a/b", false),
            ("src/secret", true),
            ("src/secret/x", true),
            ("src/secret/x.md", false),
            ("docs", true),
            ("docs/a.md", false),
        ] {
            assert_eq!(ignored(text, path), wanted, "{path}");
        }
        assert!(!ignored("a\n!a/b", "a/b") && ignored("a\n!a/b", "a/c"));
        assert!(ignored("!a\na", "a"));
    }

    #[test]
    fn knows_what_may_be_beneath() {
        let may = |text: &str, directory: &str| {
            let patterns = IgnorePatterns::parse(text.as_bytes()).unwrap();
            patterns.may_differ_beneath(directory, true)
        };
        assert!(!may("a", "a"));
        assert!(may("a\n!a/b", "a") && !may("a\n!a/b", "b"));
        assert!(!may("a\n!a/b", "ab"));
        assert!(may("a\n!a/*/c", "a/x") && !may("a\n!a/*/c", "b"));
        assert!(may("a\n!**/c", "b/c/d"));
        // The directory itself is taken back, and so is all of it.
        assert!(may("a\n!a", "a"));
        assert!(may("a\n!a*", "ab"));
        let patterns = IgnorePatterns::parse(b"a/b\n!c/d").unwrap();
        assert!(patterns.may_differ_beneath("a", false));
        assert!(!patterns.may_differ_beneath("c", false));
    }

    #[test]
    fn refuses_what_docker_refuses_and_too_much() {
        for text in ["[", "a[", "a[b-]", "x\\", "!", "!/", "[]a]"] {
            let error = IgnorePatterns::parse(format!("ok\n{text}").as_bytes()).unwrap_err();
            assert!(
                matches!(error, IgnoreError::Pattern { line: 2, .. }),
                "{text}"
            );
        }
        let many = "a\n".repeat(MAX_PATTERNS + 1);
        assert_eq!(
            IgnorePatterns::parse(many.as_bytes()).unwrap_err(),
            IgnoreError::TooMany
        );
        let long = "a".repeat(MAX_LENGTH + 1);
        assert_eq!(
            IgnorePatterns::parse(long.as_bytes()).unwrap_err(),
            IgnoreError::TooLong(1)
        );
        let leaves_out = |text: &str| IgnorePatterns::check(text.as_bytes());
        assert_eq!(leaves_out("# only\n\n!a\n"), Ok(false));
        assert_eq!(leaves_out("!a\nb"), Ok(true));
        assert!(leaves_out("a\n[").is_err());
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let text = "*a".repeat(1000);
        assert!(!ignored(&text, &format!("{}b", "a".repeat(2000))));
        let text = "**/a/".repeat(400) + "b*c";
        assert!(!ignored(&text, &"a/".repeat(2000)));
    }
}
