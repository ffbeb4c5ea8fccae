//! Chooses how RUN steps are isolated from Buildah: the strongest way that a probe proves.

use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use thiserror::Error;
use tracing::info;

use linux::probe::{self, Probe, ProbeResult};
use linux::userns_probe;

use super::command::FlagArgument;
use super::error::OperationError;

/// The longest that the probe of /proc may take. It usually takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(5);

/// The values of `--isolation`, buildah-build(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// An OCI runtime makes a container.
    Oci,
    /// An OCI runtime makes a container, with the rights of a user.
    Rootless,
    /// chroot(2) alone. It does not hide processes.
    Chroot,
}

impl Isolation {
    /// Returns Buildah's name of it.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Rootless => "rootless",
            Self::Chroot => "chroot",
        }
    }

    /// Returns the flags of a build. A process with CAP_SYS_CHROOT can leave a changed root directory (chroot(2), NOTES).
    /// It would then see Buildah's storage and the job's logins.
    pub(super) fn flags(self) -> Vec<FlagArgument> {
        let mut flags = vec![FlagArgument::new("isolation", self.name())];
        if self == Self::Chroot {
            flags.push(FlagArgument::new("cap-drop", "CAP_SYS_CHROOT"));
        }
        flags
    }
}

/// Why a probe failed.
#[derive(Debug, Clone, Error)]
pub(crate) enum ProbeError {
    /// The kernel refused a system call.
    #[error("{call}: {errno}")]
    Refused {
        /// The system call.
        call: String,
        /// Its errno.
        errno: Errno,
    },
    /// The probe could not be carried out.
    #[error("{0}")]
    Failed(String),
}

impl From<OperationError> for ProbeError {
    fn from(error: OperationError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Checks that a container can mount a /proc of its own. All isolations but chroot need that. It fails if parts of the
/// builder's own /proc are masked, as in most pods.
pub(super) fn probe_own_proc() -> Result<(), ProbeError> {
    let probe = Probe {
        name: userns_probe::PROC,
        arguments: Vec::new(),
        forked: Some(|name, _| probe::print_result(userns_probe::run_in_child(name))),
        mapped: false,
        timeout: LIMIT,
    };
    match probe.run() {
        Ok(ProbeResult::Works) => Ok(()),
        Ok(ProbeResult::Refused { call, errno }) => {
            let errno = Errno::from_raw(errno);
            Err(ProbeError::Refused { call, errno })
        }
        Err(error) => Err(ProbeError::Failed(error.to_string())),
    }
}

/// The isolation that the probes chose, once they are done.
#[derive(Debug)]
pub(super) struct IsolationChoice {
    own_proc: Result<(), ProbeError>,
    chosen: OnceLock<Isolation>,
}

impl IsolationChoice {
    pub(super) fn new(own_proc: Result<(), ProbeError>) -> Self {
        Self {
            own_proc,
            chosen: OnceLock::new(),
        }
    }

    pub(super) fn known(&self) -> Option<Isolation> {
        self.chosen.get().copied()
    }

    /// Returns the chosen isolation. The first caller runs the probes; other callers wait for it.
    pub(super) fn get_or_probe(
        &self,
        probe: impl Fn(Isolation) -> Result<(), ProbeError>,
    ) -> Isolation {
        *self.chosen.get_or_init(|| {
            let chosen = choose(&self.own_proc, probe);
            info!(isolation = chosen.name(), "RUN steps");
            chosen
        })
    }
}

fn choose(
    own_proc: &Result<(), ProbeError>,
    probe: impl Fn(Isolation) -> Result<(), ProbeError>,
) -> Isolation {
    if let Err(reason) = own_proc {
        info!(%reason, "isolation oci and rootless do not work here");
        return Isolation::Chroot;
    }
    for isolation in [Isolation::Oci, Isolation::Rootless] {
        match probe(isolation) {
            Ok(()) => return isolation,
            Err(reason) => {
                info!(isolation = isolation.name(), %reason, "does not work here");
            }
        }
    }
    Isolation::Chroot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_the_strongest_that_works() {
        let works = |good: &'static [Isolation]| {
            move |isolation| {
                let failed = ProbeError::Failed("no".to_owned());
                good.contains(&isolation).then_some(()).ok_or(failed)
            }
        };
        let masked = Err(ProbeError::Failed("masked".to_owned()));
        let all = &[Isolation::Oci, Isolation::Rootless];
        assert_eq!(choose(&Ok(()), works(all)), Isolation::Oci);
        assert_eq!(
            choose(&Ok(()), works(&[Isolation::Rootless])),
            Isolation::Rootless
        );
        assert_eq!(choose(&Ok(()), works(&[])), Isolation::Chroot);
        assert_eq!(choose(&masked, works(all)), Isolation::Chroot);
    }

    #[test]
    fn chroot_isolation_drops_cap_sys_chroot() {
        let dropped = FlagArgument::new("cap-drop", "CAP_SYS_CHROOT");
        let closed = |isolation: Isolation| isolation.flags().contains(&dropped);
        assert!(closed(Isolation::Chroot) && !closed(Isolation::Oci));
    }

    #[test]
    fn probes_run_once() {
        let choice = IsolationChoice::new(Ok(()));
        assert_eq!(choice.known(), None);
        assert_eq!(choice.get_or_probe(|_| Ok(())), Isolation::Oci);
        assert_eq!(
            choice.get_or_probe(|_| panic!("a second time")),
            Isolation::Oci
        );
        assert_eq!(choice.known(), Some(Isolation::Oci));
    }
}
