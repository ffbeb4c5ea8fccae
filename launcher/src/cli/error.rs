//! A command's error, with its exit code.

use launcher::exit;
use launcher::launch::LaunchError;
use launcher::render::RenderError;

/// A failed command: its exit code and message.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(super) code: u8,
    pub(super) message: String,
}

impl CliError {
    // By value, so that it can be passed to map_err.
    #[allow(clippy::needless_pass_by_value)]
    pub(super) fn new(code: u8, message: impl ToString) -> Self {
        let message = message.to_string();
        Self { code, message }
    }

    pub(super) fn usage(message: impl ToString) -> Self {
        Self::new(exit::USAGE, message)
    }
}

impl From<LaunchError> for CliError {
    fn from(error: LaunchError) -> Self {
        Self::new(exit::of(&error), error)
    }
}

impl From<RenderError> for CliError {
    fn from(error: RenderError) -> Self {
        Self::new(exit::CONFIG, error)
    }
}
