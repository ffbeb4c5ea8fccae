//! The doctor: why a rootless build would fail here, and the remedy to paste.
//!
//! Checks are data (`check`, `checks`), and one engine runs them. `preflight` is the cheap part of them, before each job.

pub mod batch;
mod check;
mod checks;
mod cleanup;
mod context;
mod duty;
mod engine;
mod examine;
mod explain;
pub mod kill_on_disconnect;
mod preflight;
pub mod render;
mod report;
mod selection;

pub use check::{CheckResult, Status};
pub use context::{Context, Profile, Role, Shape};
pub use examine::examine;
pub use explain::explain;
pub use preflight::{PreflightError, preflight};
pub use report::Report;
pub use selection::{Selection, UnknownName};

/// Returns the reason why the value of `key`, not yet staged, is of no use; `None` if it can be staged. It is the reason
/// for which the check `secrets.content` would fail later.
#[must_use]
pub fn refused_secret(key: &str, value: &str) -> Option<String> {
    checks::refused_secret(key, value)
}
