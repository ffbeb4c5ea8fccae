//! What the doctor says to programs. The name of the schema stands in `docs/doctor.md`; a field is added without notice, changed
//! only with a new version.

use std::time::Duration;

use serde::Serialize;

use super::check::{Outcome, Status};
use super::duty::Duty;
use super::scene::{Profile, Role, Scene, Shape};
use report::exit;

/// Version of the schema.
pub const SCHEMA: &str = "ci-cd-agents.doctor/v1";

/// The whole examination.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The supervisor's version.
    pub version: &'static str,
    /// The worst of the checks, skipped ones apart.
    pub status: Status,
    /// The code this process ends with.
    pub exit_code: u8,
    /// How the pod is made up.
    pub shape: Shape,
    /// Which container of it this is.
    pub role: Role,
    /// What the nodes are said to allow.
    pub profile: Option<Profile>,
    /// The user id this ran as.
    pub uid: u32,
    /// The kernel's release.
    pub kernel: String,
    /// The machine's architecture.
    pub architecture: &'static str,
    /// Milliseconds in all.
    pub ms: f64,
    /// Every check in order.
    pub checks: Vec<Outcome>,
    /// Whether this container builds images itself.
    #[serde(skip)]
    pub(super) builds: bool,
}

impl Report {
    pub(super) fn new(scene: &Scene, checks: Vec<Outcome>, took: Duration) -> Self {
        let has = |status| checks.iter().any(|check: &Outcome| check.status == status);
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
            shape: scene.shape,
            role: scene.role,
            profile: scene.profile,
            uid: nix::unistd::getuid().as_raw(),
            kernel: kernel.trim().to_owned(),
            architecture: std::env::consts::ARCH,
            ms: (took.as_secs_f64() * 1e4).round() / 10.0,
            checks,
            builds: scene.excused(Duty::Builds).is_none(),
        }
    }

    /// How many checks ended so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.status == status).count()
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        // Texts and numbers cannot fail to serialize.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
