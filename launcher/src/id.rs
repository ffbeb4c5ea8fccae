//! The name of one launch: given by the caller, so that a retry is known again, or drawn.

use std::fmt;
use std::str::FromStr;

/// Kubernetes appends a dash and five characters to a Job's name for its pod, and a label's value holds 63.
const NAME_LIMIT: usize = 57;
/// As many as a random id has, so that a prefix leaves room for either.
const PREFIX_LIMIT: usize = 20;
const RANDOM_LENGTH: usize = 10;
/// Without the letters and digits that people confuse.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What is wrong with a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Not of the form that Kubernetes takes.
    #[error(
        "\"{text}\" cannot be part of a Kubernetes name: take lower-case letters, digits and dashes, beginning with a letter or digit and not ending with a dash"
    )]
    Form {
        /// The name.
        text: String,
    },
    /// Too long.
    #[error("\"{text}\" has {length} characters, and {limit} fit")]
    Length {
        /// The name.
        text: String,
        /// How many it has.
        length: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The kernel gave no random numbers.
    #[error("no random id could be drawn ({0}): give one with --id")]
    Random(String),
}

/// A launch's id. The same id never makes two jobs, as long as its Job is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(String);

/// What the names of all jobs of one installation begin with, at Kubernetes and at GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Id {
    /// Draws one: 50 bits, so that a million living jobs meet with a chance of 1 in 2,000.
    ///
    /// # Errors
    /// Where the kernel gives no random numbers.
    pub fn random() -> Result<Self, IdError> {
        let mut bytes = [0; RANDOM_LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| IdError::Random(error.to_string()))?;
        let letters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        Ok(Self(letters.iter().collect()))
    }

    /// The id of one of several jobs of a launch.
    ///
    /// # Errors
    /// Where the number makes it too long.
    pub fn numbered(&self, number: usize) -> Result<Self, IdError> {
        format!("{}-{number}", self.0).parse()
    }
}

impl Prefix {
    /// The name of an id's Job, Secret and runner.
    ///
    /// ```
    /// use launcher::id::{Id, Prefix};
    /// let prefix: Prefix = "runner".parse()?;
    /// let id: Id = "build-4711".parse()?;
    /// assert_eq!(prefix.name(&id), "runner-build-4711");
    /// # Ok::<(), launcher::id::IdError>(())
    /// ```
    #[must_use]
    pub fn name(&self, id: &Id) -> String {
        format!("{}-{}", self.0, id.0)
    }

    /// Whether a name was made with this prefix.
    #[must_use]
    pub fn made(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.0);
        rest.and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|id| id.parse::<Id>().is_ok())
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        check(text, NAME_LIMIT - PREFIX_LIMIT - 1).map(Self)
    }
}

impl FromStr for Prefix {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        check(text, PREFIX_LIMIT).map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str, limit: usize) -> Result<String, IdError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let formed = text.chars().all(|c| plain(c) || c == '-')
        && text.starts_with(plain)
        && text.ends_with(plain);
    match (formed, text.len()) {
        (false, _) => Err(IdError::Form {
            text: text.to_owned(),
        }),
        (true, length) if length > limit => Err(IdError::Length {
            text: text.to_owned(),
            length,
            limit,
        }),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kubernetes_takes_is_an_id() {
        for good in ["a", "4711", "build-4711", &"a".repeat(36)] {
            assert!(good.parse::<Id>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"a".repeat(37)] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }

    #[test]
    fn random_ids_are_ids_and_differ() {
        let ids: std::collections::HashSet<String> = (0..100)
            .map(|_| Id::random().unwrap().to_string())
            .collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.parse::<Id>().is_ok()));
    }

    #[test]
    fn a_prefix_knows_its_own_names() {
        let prefix: Prefix = "ci".parse().unwrap();
        assert!(prefix.made("ci-4711"));
        for other in ["ci", "ci-", "cid-4711", "ci-4_7", "xci-4711"] {
            assert!(!prefix.made(other), "{other}");
        }
    }

    #[test]
    fn the_longest_name_leaves_room_for_the_pods() {
        let prefix: Prefix = "p".repeat(PREFIX_LIMIT).parse().unwrap();
        let id: Id = "i".repeat(36).parse().unwrap();
        assert_eq!(prefix.name(&id).len(), NAME_LIMIT);
    }
}
