//! The verbs of a program as data: names, flags and translation.

use super::arguments::Parsed;
use super::credentials::First;
use super::error::TranslateError;
use super::flag_specs::Flag;
use super::planner::Planner;

/// The program whose command line is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `docker`, with `docker buildx`.
    Docker,
    /// `podman`.
    Podman,
}

impl Program {
    /// Returns whose file of credentials comes first.
    pub(super) fn first(self) -> First {
        match self {
            Self::Docker => First::Docker,
            Self::Podman => First::Podman,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// How a verb becomes steps.
#[derive(Clone, Copy)]
pub(super) enum Translation {
    /// A function makes the steps from the parsed flags.
    Steps(fn(&Parsed, &mut Planner<'_>) -> Result<(), TranslateError>),
    /// As `Steps`, for a verb whose arguments are a command with its own flags.
    Command(fn(&Parsed, &mut Planner<'_>) -> Result<(), TranslateError>),
    /// Buildah has the same verb under these words, with the same flags. The arguments are not read.
    Verbatim(&'static [&'static str]),
}

/// One verb.
pub(super) struct Verb {
    /// All names of the verb.
    pub(super) names: &'static [&'static str],
    pub(super) flags: &'static [&'static [Flag]],
    /// The commands of Buildah that it becomes, for `--help` and docs/docker-commands.md.
    pub(super) effect: &'static str,
    pub(super) translation: Translation,
}

/// Verbs that are not available, with the reason and the replacement.
pub(super) struct Unsupported {
    pub(super) names: &'static [&'static str],
    pub(super) because: &'static str,
    pub(super) instead: &'static str,
}

/// Returns the entry of a table that has this name.
pub(super) fn find_by_name<'a, T>(
    table: &'a [T],
    names: impl Fn(&T) -> &'static [&'static str],
    name: &str,
) -> Option<&'a T> {
    table.iter().find(|entry| names(entry).contains(&name))
}
