//! What a container has to do: for each duty there are checks.

/// What a container must have to do for a check to matter to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Every container.
    Any,
    /// Builds images itself.
    Builds,
    /// Runs the job.
    Job,
    /// Holds staged secrets.
    Secrets,
}
