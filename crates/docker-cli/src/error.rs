//! The error of a command line that cannot be translated.

/// Why a command line is not translated. Its text is one sentence for the user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TranslateError {
    /// Buildah or the builder has nothing like the command, flag or value.
    #[error("{what} is not available, because {because}; use {instead}")]
    NotAvailable {
        /// The command with the flag or the value, as the user wrote it.
        what: String,
        /// The reason.
        because: String,
        /// The replacement.
        instead: String,
    },
    /// The command line is wrong.
    #[error("{command}: {message}; docs/docker-commands.md lists all commands and flags")]
    Usage {
        /// The program and the verb.
        command: String,
        /// The mistake, with the expected form.
        message: String,
    },
}

impl TranslateError {
    pub(super) fn not_available(what: &str, because: &str, instead: &str) -> Self {
        Self::NotAvailable {
            what: what.to_owned(),
            because: because.to_owned(),
            instead: instead.to_owned(),
        }
    }

    pub(super) fn usage(command: &str, message: &str) -> Self {
        Self::Usage {
            command: command.to_owned(),
            message: message.to_owned(),
        }
    }
}
