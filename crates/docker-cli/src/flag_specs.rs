//! One flag of docker's or podman's as one value: its forms, its policy and the text for help and documentation.

use pflag::FlagArity;

/// One flag and what becomes of it.
pub(super) type Flag = pflag::Flag<FlagPolicy>;

/// What becomes of a flag. The texts appear in `--help` and in docs/docker-commands.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlagPolicy {
    /// The flag goes to Buildah, which has it too.
    Passed,
    /// The flag goes to Buildah under this name.
    Renamed(&'static str),
    /// The verb's function translates the flag; the text describes how.
    Handled(&'static str),
    /// The requested effect is always present; the text is the reason.
    Implied(&'static str),
    /// The flag changes nothing, and a line on standard error says why.
    Ignored(&'static str),
    /// The flag is an error: the reason and the replacement.
    NotAvailable(&'static str, &'static str),
}

/// Why a flag that chooses a builder changes nothing.
pub(super) const ONE_BUILDER: FlagPolicy =
    FlagPolicy::Implied("every name means the pod's one builder");
/// Why a flag that changes only messages or waiting times has no effect.
pub(super) const NO_EFFECT: FlagPolicy = FlagPolicy::Implied("it does not change the result");

/// Why a build takes no policy.
pub(super) const NO_POLICIES: FlagPolicy = FlagPolicy::NotAvailable(
    "Buildah has no policies for a build's sources",
    "the builder's own policy.json",
);

pub(super) const fn value(long: &'static str, short: Option<char>, policy: FlagPolicy) -> Flag {
    Flag {
        long,
        short,
        arity: FlagArity::Value,
        policy,
    }
}

pub(super) const fn switch(long: &'static str, short: Option<char>, policy: FlagPolicy) -> Flag {
    Flag {
        long,
        short,
        arity: FlagArity::Switch,
        policy,
    }
}
