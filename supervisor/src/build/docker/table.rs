//! What a verb of Docker is made of, as data: its flags, and what becomes of each.

use super::Unavailable;
use super::arguments::Parsed;
use super::plan::Planner;

/// Whether a flag has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// One, glued or as the next argument.
    Value,
    /// None, unless glued: `--push=false`.
    Switch,
}

/// What becomes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Buildah has it too.
    Passed,
    /// Buildah has it under another name.
    Renamed(&'static str),
    /// The verb's own function sees to it; the text says how.
    Ours(&'static str),
    /// What it asks for is always so here; the text says why.
    Given(&'static str),
    /// It changes nothing here, and a line on stderr says so.
    Ignored(&'static str),
    /// Because of what, and what to use instead.
    Unavailable(&'static str, &'static str),
}

/// One flag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) takes: Takes,
    pub(super) does: Does,
}

/// A flag with a value.
pub(super) const fn value(long: &'static str, short: Option<char>, does: Does) -> Flag {
    Flag {
        long,
        short,
        takes: Takes::Value,
        does,
    }
}

/// A flag without.
pub(super) const fn switch(long: &'static str, short: Option<char>, does: Does) -> Flag {
    Flag {
        long,
        short,
        takes: Takes::Switch,
        does,
    }
}

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
