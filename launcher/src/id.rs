//! The id of one launch: given by the caller, so that a retry is recognised, or random.

use std::fmt;
use std::str::FromStr;

/// Kubernetes names a Job's pod by the Job's name, a dash and five characters. A label's value has at most 63.
const NAME_LIMIT: usize = 57;
/// The longest prefix. It leaves 36 characters for an id.
const PREFIX_LIMIT: usize = 20;
const RANDOM_LENGTH: usize = 10;
/// Letters and digits without those that people confuse (`l`, `o`, `0`, `1`).
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// An invalid id or prefix.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// The text cannot be part of a Kubernetes name (RFC 1123).
    #[error(
        "\"{text}\" cannot be part of a Kubernetes name; use lower-case letters, digits and dashes, with a letter or digit at both ends"
    )]
    Form {
        /// The invalid text.
        text: String,
    },
    /// The text is too long.
    #[error("\"{text}\" has {length} characters; expected at most {limit}")]
    Length {
        /// The invalid text.
        text: String,
        /// Its length in characters.
        length: usize,
        /// The greatest length in characters.
        limit: usize,
    },
    /// The kernel gave no random numbers.
    #[error("cannot generate a random id: {0}; pass --id")]
    Random(String),
}

/// The id of a launch. The same id never makes a second job while its Job exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(String);

/// The prefix of all names of one installation, in Kubernetes and at GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Id {
    /// Generates a random id of 50 bits. Among a million jobs, two have the same id with a chance of 1 in 2,000.
    ///
    /// # Errors
    /// If the kernel gives no random numbers.
    pub fn random() -> Result<Self, IdError> {
        let mut bytes = [0; RANDOM_LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| IdError::Random(error.to_string()))?;
        let letters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        Ok(Self(letters.iter().collect()))
    }

    /// Returns `ID-NUMBER`, the id of one of several jobs of a command.
    ///
    /// # Errors
    /// If the number makes the id too long.
    pub fn numbered(&self, number: usize) -> Result<Self, IdError> {
        format!("{}-{number}", self.0).parse()
    }
}

impl Prefix {
    /// Returns `PREFIX-ID`, the name of a launch's Job, Secret and runner.
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

    /// Returns whether a name consists of this prefix and an id.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
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
    fn an_id_is_part_of_a_kubernetes_name() {
        for good in ["a", "4711", "build-4711", &"a".repeat(36)] {
            assert!(good.parse::<Id>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"a".repeat(37)] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }

    #[test]
    fn random_ids_are_valid_and_distinct() {
        let ids: std::collections::HashSet<String> = (0..100)
            .map(|_| Id::random().unwrap().to_string())
            .collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.parse::<Id>().is_ok()));
    }

    #[test]
    fn a_prefix_matches_its_own_names() {
        let prefix: Prefix = "ci".parse().unwrap();
        assert!(prefix.matches("ci-4711"));
        for other in ["ci", "ci-", "cid-4711", "ci-4_7", "xci-4711"] {
            assert!(!prefix.matches(other), "{other}");
        }
    }

    #[test]
    fn the_longest_name_leaves_room_for_the_pods_suffix() {
        let prefix: Prefix = "p".repeat(PREFIX_LIMIT).parse().unwrap();
        let id: Id = "i".repeat(36).parse().unwrap();
        assert_eq!(prefix.name(&id).len(), NAME_LIMIT);
    }
}
