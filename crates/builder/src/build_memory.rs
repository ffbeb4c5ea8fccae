//! Builds that run out of memory: which processes the guard may kill, and what the client learns.

use std::sync::Arc;

use super::namespace::Namespace;
use memory_guard::levels::{Levels, Reader};
use memory_guard::{BuildEntry, Builds, Guard, Kill, Killer, Scope, Settings, words};

/// The name of the container in the pod, if the guard is off.
const CONTAINER: &str = "builder";

/// The memory of all builds.
#[derive(Debug)]
pub(super) struct BuildMemory {
    builds: Arc<Builds>,
    /// The cgroups, for the kernel's own kills; `None` if none can be read.
    levels: Option<Levels>,
}

impl Default for BuildMemory {
    fn default() -> Self {
        Self {
            builds: Arc::default(),
            levels: Levels::open().ok(),
        }
    }
}

/// The memory of one operation. It is watched until the value is dropped.
#[derive(Debug)]
pub(super) struct OperationMemory<'a> {
    memory: &'a BuildMemory,
    entry: BuildEntry,
    kernel_kills: u64,
}

impl BuildMemory {
    /// Starts the guard, unless it is off or there is nothing to guard.
    pub(super) fn guard(&self, settings: Option<Settings>) -> Option<Guard> {
        Guard::start(settings?, Scope::Builds(Arc::clone(&self.builds)))
    }

    /// Begins to watch the operation in this namespace.
    pub(super) fn watch(&self, namespace: &Namespace) -> OperationMemory<'_> {
        OperationMemory {
            memory: self,
            entry: self.builds.add(namespace.inode(), namespace.killer()),
            kernel_kills: self.kernel_kills(),
        }
    }

    fn kernel_kills(&self) -> u64 {
        let levels = self.levels.as_ref();
        levels.map_or(0, |levels| levels.kernel_kills(&mut Reader::default()))
    }
}

impl OperationMemory<'_> {
    /// Returns the sentence for the client and the exit code, if memory ran out. `code` is Buildah's exit code.
    pub(super) fn verdict(&self, code: u8) -> Option<(String, u8)> {
        let kills = self.entry.kills();
        let by_kernel = self.memory.kernel_kills().saturating_sub(self.kernel_kills);
        verdict(&kills, by_kernel, code)
    }
}

/// A kill of the kernel may have met another operation. So it counts only if this one failed.
fn verdict(kills: &[Kill], by_kernel: u64, code: u8) -> Option<(String, u8)> {
    let counts = |kill: &&Kill| kill.killer != Killer::Kernel || code != 0;
    let sentence = match kills.iter().rfind(counts) {
        Some(kill) => words::sentence(kill, CONTAINER),
        None if by_kernel > 0 && code != 0 => words::by_kernel(by_kernel, CONTAINER),
        None => return None,
    };
    let killed = report::exit::from_signal(nix::libc::SIGKILL);
    Some((sentence, if code == 0 { 0 } else { killed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_kills_count_only_for_an_operation_that_failed() {
        assert_eq!(verdict(&[], 0, 1), None);
        assert_eq!(verdict(&[], 2, 0), None);
        let (sentence, code) = verdict(&[], 2, 1).unwrap();
        assert!(
            sentence.contains("the kernel killed 2 processes"),
            "{sentence}"
        );
        assert_eq!(code, 137);
        // A group's number may be that of an earlier build.
        let kill = |killer| {
            let mut kill = Kill::default();
            kill.killer = killer;
            kill
        };
        assert_eq!(verdict(&[kill(Killer::Kernel)], 1, 0), None);
        assert_eq!(verdict(&[kill(Killer::Kernel)], 1, 1).unwrap().1, 137);
        assert_eq!(verdict(&[kill(Killer::Guard)], 0, 0).unwrap().1, 0);
    }
}
