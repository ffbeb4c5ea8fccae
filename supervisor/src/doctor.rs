//! The doctor: why a rootless build would fail here, and the line that cures it.
//!
//! Checks are data (`check`, `checks`), run by one engine; `preflight` is the cheap part of them, before each job.

mod batch;
mod check;
mod checks;
pub mod child;
mod clearing;
mod duty;
mod engine;
mod examine;
mod explain;
pub mod leash;
mod preflight;
pub mod render;
mod report;
mod scene;
mod selection;

pub use check::{Outcome, Status};
pub use examine::examine;
pub use explain::explain;
pub use preflight::{Fatal, Found, preflight};
pub use report::{Report, SCHEMA};
pub use scene::{Profile, Role, Scene, Shape};
pub use selection::{Selection, Unknown};

/// Why a secret of this key, not yet staged, is of no use: what the check `secrets.content` would fail for.
#[must_use]
pub fn refused_secret(key: &str, value: &str) -> Option<String> {
    checks::refused_secret(key, value)
}
