//! The duties of a container. A check applies to the containers that have its duty.

/// The work that a container must do for a check to apply to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Every container.
    Any,
    /// Builds images itself.
    Builds,
    /// Runs the job.
    Job,
    /// Has staged secrets.
    Secrets,
}
