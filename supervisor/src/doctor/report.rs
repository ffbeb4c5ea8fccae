//! The doctor's output for programs. docs/doctor.schema.json describes it.
//!
//! A field may be added without notice. A field is changed or removed only with a new version of the schema.

use std::time::Duration;

use serde::Serialize;

use super::check::{CheckResult, Status};
use super::context::{Context, Profile, Role, Shape};
use super::duty::Duty;
use report::exit;

/// Name and version of the schema.
pub(super) const SCHEMA: &str = "ci-cd-agents.doctor/v1";

/// The results of one run of the doctor.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Name and version of the schema: `ci-cd-agents.doctor/v1`.
    pub schema: &'static str,
    /// The supervisor's version.
    pub version: &'static str,
    /// The worst status of the checks that were not skipped.
    pub status: Status,
    /// The exit code of this process.
    pub exit_code: u8,
    /// The shape of the pod.
    pub shape: Shape,
    /// The role of this container.
    pub role: Role,
    /// What the nodes should offer, if the user named it.
    pub profile: Option<Profile>,
    /// The user id of this process.
    pub uid: u32,
    /// The kernel's release.
    pub kernel: String,
    /// The machine's architecture.
    pub architecture: &'static str,
    /// Duration of all checks in milliseconds.
    pub ms: f64,
    /// The results in the order of the output.
    pub checks: Vec<CheckResult>,
    /// Whether this container builds images itself.
    #[serde(skip)]
    pub(super) builds: bool,
}

impl Report {
    pub(super) fn new(context: &Context, checks: Vec<CheckResult>, took: Duration) -> Self {
        let has = |status| {
            checks
                .iter()
                .any(|check: &CheckResult| check.status == status)
        };
        let status = [Status::Fail, Status::Warn]
            .into_iter()
            .find(|status| has(*status))
            .unwrap_or(Status::Ok);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            status,
            exit_code: if status == Status::Fail {
                exit::PREFLIGHT
            } else {
                0
            },
            shape: context.shape,
            role: context.role,
            profile: context.profile,
            uid: nix::unistd::getuid().as_raw(),
            kernel: kernel.trim().to_owned(),
            architecture: std::env::consts::ARCH,
            ms: (took.as_secs_f64() * 1e4).round() / 10.0,
            checks,
            builds: context.excused(Duty::Builds).is_none(),
        }
    }

    /// Counts the checks with this status.
    pub(super) fn count(&self, status: Status) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.status == status).count()
    }

    /// Returns the report as one JSON object, indented, with a newline at its end.
    #[must_use]
    pub fn json(&self) -> String {
        // Texts and numbers cannot fail to serialize.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
