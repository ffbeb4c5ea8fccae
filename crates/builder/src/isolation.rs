//! How RUN steps are isolated from Buildah around them: the strongest way that a trial proves.

use std::sync::OnceLock;
use std::time::Duration;

use tracing::info;

use linux::rooms;
use linux::trial::{self, Trial, Verdict};

/// Generous: the trial takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(5);

/// Buildah's own names, `--isolation` in buildah-build(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// A container of an OCI runtime.
    Oci,
    /// The same, as far as a runtime gets without root.
    Rootless,
    /// Another root directory, and nothing that hides processes.
    Chroot,
}

impl Isolation {
    /// As Buildah names it.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Rootless => "rootless",
            Self::Chroot => "chroot",
        }
    }

    /// What a build is given. Under chroot isolation, who may change the root directory leaves the image's: chroot(2),
    /// NOTES. What is seen there is Buildah's own world, its storage and the job's logins.
    pub(super) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Oci => &["--isolation=oci"],
            Self::Rootless => &["--isolation=rootless"],
            Self::Chroot => &["--isolation=chroot", "--cap-drop=CAP_SYS_CHROOT"],
        }
    }
}

/// Whether a container may have a /proc of its own, which all but chroot isolation need. Not so where parts of ours are
/// masked, as in most pods.
pub(super) fn probe_own_proc() -> Result<(), String> {
    let trial = Trial {
        name: rooms::PROC,
        arguments: Vec::new(),
        inside: Some(|name, _| trial::conclude(rooms::child(name))),
        mapped: false,
        limit: LIMIT,
    };
    match trial.run() {
        Ok(Verdict::Works) => Ok(()),
        Ok(Verdict::Refused { call, errno }) => {
            Err(format!("{call}: {}", nix::errno::Errno::from_raw(errno)))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What the trials have shown, once they are done.
#[derive(Debug)]
pub(super) struct IsolationChoice {
    own_proc: Result<(), String>,
    chosen: OnceLock<Isolation>,
}

impl IsolationChoice {
    pub(super) fn new(own_proc: Result<(), String>) -> Self {
        Self {
            own_proc,
            chosen: OnceLock::new(),
        }
    }

    pub(super) fn known(&self) -> Option<Isolation> {
        self.chosen.get().copied()
    }

    /// Tries, where nobody has yet; everybody else waits.
    pub(super) fn get_or_probe(
        &self,
        probe: impl Fn(Isolation) -> Result<(), String>,
    ) -> Isolation {
        *self.chosen.get_or_init(|| {
            let chosen = choose(self.own_proc.clone(), probe);
            info!(isolation = chosen.name(), "RUN steps");
            chosen
        })
    }
}

fn choose(
    own_proc: Result<(), String>,
    probe: impl Fn(Isolation) -> Result<(), String>,
) -> Isolation {
    if let Err(reason) = own_proc {
        info!(reason, "isolation oci and rootless do not work here");
        return Isolation::Chroot;
    }
    for isolation in [Isolation::Oci, Isolation::Rootless] {
        match probe(isolation) {
            Ok(()) => return isolation,
            Err(reason) => {
                info!(isolation = isolation.name(), reason, "does not work here");
            }
        }
    }
    Isolation::Chroot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_that_works_is_chosen() {
        let works = |good: &'static [Isolation]| {
            move |isolation| match good.contains(&isolation) {
                true => Ok(()),
                false => Err("no".to_owned()),
            }
        };
        let all = &[Isolation::Oci, Isolation::Rootless];
        assert_eq!(choose(Ok(()), works(all)), Isolation::Oci);
        assert_eq!(
            choose(Ok(()), works(&[Isolation::Rootless])),
            Isolation::Rootless
        );
        assert_eq!(choose(Ok(()), works(&[])), Isolation::Chroot);
        assert_eq!(
            choose(Err("masked".to_owned()), works(all)),
            Isolation::Chroot
        );
    }

    #[test]
    fn the_way_out_of_a_chroot_is_closed_where_there_is_one() {
        let closed =
            |isolation: Isolation| isolation.flags().contains(&"--cap-drop=CAP_SYS_CHROOT");
        assert!(closed(Isolation::Chroot) && !closed(Isolation::Oci));
    }

    #[test]
    fn trials_are_made_once() {
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
