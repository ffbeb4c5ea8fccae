//! Faults of the builder itself: why it cannot begin or go on, and why an operation has no exit code.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::paths::PathError;
use super::rejected::Rejected;
use dockerfile::IgnoreError;

/// The kernel refused something that the builder needs.
#[derive(Debug, Error)]
#[error("{what}: {source}")]
pub struct ServeError {
    /// What the builder needs.
    pub what: &'static str,
    /// The kernel's error.
    pub source: io::Error,
}

impl ServeError {
    /// Returns a function for `map_err`.
    pub(crate) fn kernel<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self {
            what,
            source: error.into(),
        }
    }
}

/// Why an operation has no exit code. The client prints the text.
#[derive(Debug, Error)]
pub(crate) enum OperationError {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("the client closed its connection")]
    ClientGone,
    #[error("processes of this build could not be killed: {0:?}")]
    Survivors(Vec<i32>),
    #[error("unpacking into {path} ended with {code}")]
    Unpack { path: String, code: u8 },
    #[error("the isolation probe ended with {code}: {output}")]
    Probe { code: u8, output: String },
    /// The child ended before it executed Buildah. `stderr` is empty, or begins with a newline.
    #[error("the sandbox did not start: {problem}{stderr}")]
    Sandbox { problem: String, stderr: String },
}

/// Why the sandbox's child cannot execute its program.
#[derive(Debug, Error)]
pub(crate) enum SandboxError {
    #[error("expected the path of an operation's directory")]
    NoDirectory,
    #[error("{call}: {source}")]
    Call { call: String, source: io::Error },
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("{}: {source}", path.display())]
    Ignore { path: PathBuf, source: IgnoreError },
    #[error(
        "the context has more than {0} files to compare with the ignore file; leave out whole directories, or build in a smaller context"
    )]
    TooManyFiles(usize),
    #[error(
        "the kernel refuses an overlay mount on the context, and more than {0} ignored files cannot be covered; leave out whole directories"
    )]
    TooManyMasks(usize),
    #[error(
        "comparing the context with the ignore file takes more than {0} seconds; leave out whole directories"
    )]
    TooLong(u64),
}

impl SandboxError {
    /// Returns a function for `map_err`.
    pub(crate) fn call<E: Into<io::Error>>(call: impl Into<String>) -> impl FnOnce(E) -> Self {
        let call = call.into();
        move |error| Self::Call {
            call,
            source: error.into(),
        }
    }

    /// Returns a function for `map_err` that names a path.
    pub(crate) fn at<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Self {
        Self::call(path.display().to_string())
    }
}
