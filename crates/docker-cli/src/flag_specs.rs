//! What a verb of Docker is made of, as data: its flags, and what becomes of each.

use super::arguments::Parsed;
use super::plan::Planner;
use super::types::{Flag, Unavailable};

/// How a verb turns into steps.
#[derive(Clone, Copy)]
pub(super) enum Translation {
    /// Its flags are data, and a function makes the steps.
    Steps(fn(&Parsed, &mut Planner<'_>) -> Result<(), Unavailable>),
    /// Buildah has the very same verb, under these words; all flags are Buildah's.
    Verbatim(&'static [&'static str]),
}

/// One verb.
pub(super) struct Verb {
    /// Every way to write it.
    pub(super) names: &'static [&'static str],
    pub(super) flags: &'static [&'static [Flag]],
    /// What it becomes, for the documentation.
    pub(super) becomes: &'static str,
    pub(super) by: Translation,
}

/// Verbs that cannot be had: because of what, and what to use instead.
pub(super) struct Missing {
    pub(super) names: &'static [&'static str],
    pub(super) because: &'static str,
    pub(super) instead: &'static str,
}

/// `words` as a table's names have them.
pub(super) fn named<'a, T>(
    table: &'a [T],
    names: impl Fn(&T) -> &'static [&'static str],
    words: &str,
) -> Option<&'a T> {
    table.iter().find(|entry| names(entry).contains(&words))
}
