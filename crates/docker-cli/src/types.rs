//! What every part of the translation speaks of: the program, its flags, and why a command line is refused.

use pflag::FlagArity;

/// Why a command line is not carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There is no such thing here.
    #[error("{what} is not available, because {because}; use {instead}")]
    Refused {
        /// Command and flag.
        what: String,
        /// Why not.
        because: String,
        /// What to use.
        instead: String,
    },
    /// The command line is wrong.
    #[error("{command}: {what}; docs/docker-commands.md lists what there is")]
    Usage {
        /// The command.
        command: String,
        /// What is wrong.
        what: String,
    },
}

impl Unavailable {
    pub(super) fn refused(what: &str, because: &str, instead: &str) -> Self {
        Self::Refused {
            what: what.to_owned(),
            because: because.to_owned(),
            instead: instead.to_owned(),
        }
    }

    pub(super) fn usage(command: &str, what: &str) -> Self {
        Self::Usage {
            command: command.to_owned(),
            what: what.to_owned(),
        }
    }
}

/// As which program we were called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `docker`.
    Docker,
    /// `podman`.
    Podman,
}

impl Program {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// Why flags that choose a builder change nothing.
pub(super) const ONE_BUILDER: &str = "a pod has one builder, whatever it is called";

/// What becomes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlagPolicy {
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

/// One flag and what becomes of it.
pub(super) type Flag = pflag::Flag<FlagPolicy>;

/// A flag with a value.
pub(super) const fn value(long: &'static str, short: Option<char>, policy: FlagPolicy) -> Flag {
    Flag {
        long,
        short,
        arity: FlagArity::Value,
        policy,
    }
}

/// A flag without.
pub(super) const fn switch(long: &'static str, short: Option<char>, policy: FlagPolicy) -> Flag {
    Flag {
        long,
        short,
        arity: FlagArity::Switch,
        policy,
    }
}
