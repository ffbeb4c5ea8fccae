//! Which processes the guard may kill: those of the job, or those of one build.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;

use crate::record::Kill;
use crate::scan::Scanner;
use crate::table::{Group, Remembered, SPARED, Spared, mark_job};
use linux::libc_ext;

/// How deep user namespaces are nested at most, user_namespaces(7).
const DEPTH: usize = 32;
/// More kills of one build are not kept.
const KEPT: usize = 8;

/// Whose processes they are.
#[derive(Debug)]
pub enum Scope {
    /// All processes below this one are of one job, except for the runner's.
    Job(Mutex<Spared>),
    /// Each build has a user namespace.
    Builds(Arc<Builds>),
}

impl Scope {
    /// The scope of a runner whose processes down to `depth` are spared: see [`Scope::Job`].
    #[must_use]
    pub fn job(depth: u8) -> Self {
        Self::Job(Mutex::new(Spared { runner: 0, depth }))
    }

    /// Kills the process group of a job that is a command of its own, in one system call. All that forks in it dies at once; a
    /// scan finds what left the group.
    pub(crate) fn kill_process_group(&self) {
        let Self::Job(spared) = self else { return };
        let spared = *spared.lock().unwrap_or_else(PoisonError::into_inner);
        if spared.depth == 0 && spared.runner > 1 {
            // It may have ended.
            let _ = libc_ext::kill(-spared.runner, Signal::SIGKILL as i32);
        }
    }

    /// Sets the groups of the scanned processes.
    pub(crate) fn mark(&self, scanner: &mut Scanner, own: i32, seen: &mut Remembered) {
        match self {
            Self::Job(spared) => {
                let spared = *spared.lock().unwrap_or_else(PoisonError::into_inner);
                mark_job(&mut scanner.entries, own, spared, seen);
            }
            Self::Builds(builds) => builds.mark(scanner, own),
        }
    }
}

/// A running build.
#[derive(Debug)]
struct Build {
    /// What marks its processes: the lowest group that no other running build has.
    group: Group,
    namespace: u64,
    /// The process that ends the build's processes after Buildah. It must stay.
    killer: Option<i32>,
    kills: Vec<Kill>,
}

/// The running builds.
#[derive(Debug, Default)]
pub struct Builds {
    running: Mutex<Vec<Build>>,
    /// The guard's thread, which sleeps while nothing runs.
    guard: Mutex<Option<std::thread::Thread>>,
}

/// A running build; it is over when the value is dropped.
#[derive(Debug)]
pub struct BuildEntry {
    builds: Arc<Builds>,
    group: Group,
}

impl Builds {
    /// Adds a build, by the inode of its user namespace and the pid of its killer.
    #[must_use]
    pub fn add(self: &Arc<Self>, namespace: u64, killer: Option<i32>) -> BuildEntry {
        let mut running = self.running();
        let is_free = |group: &Group| running.iter().all(|build| build.group != *group);
        let group = (1..Group::MAX).find(is_free).unwrap_or(Group::MAX);
        running.push(Build {
            group,
            namespace,
            killer,
            kills: Vec::with_capacity(KEPT),
        });
        drop(running);
        let guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = &*guard {
            guard.unpark();
        }
        let builds = Arc::clone(self);
        BuildEntry { builds, group }
    }

    pub(crate) fn wake_on_start(&self, guard: std::thread::Thread) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running().is_empty()
    }

    /// Records a kill of the build that is this group.
    pub(crate) fn killed(&self, group: Group, kill: Kill) {
        let mut running = self.running();
        let build = running.iter_mut().find(|build| build.group == group);
        if let Some(build) = build.filter(|build| build.kills.len() < KEPT) {
            build.kills.push(kill);
        }
    }

    fn running(&self) -> MutexGuard<'_, Vec<Build>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process is of the build whose namespace it is in, at any depth. Its parents, its name and its user do not matter.
    fn mark(&self, scanner: &mut Scanner, own: i32) {
        let running = self.running();
        let own_namespace = scanner.user_namespace(own);
        for at in 0..scanner.entries.len() {
            let pid = scanner.entries[at].pid;
            scanner.entries[at].group = SPARED;
            let namespace = scanner.user_namespace(pid);
            if pid == own || namespace.is_none() || namespace == own_namespace {
                continue;
            }
            let is_killer = |build: &Build| build.killer == Some(pid);
            if running.iter().any(is_killer) {
                continue;
            }
            let group = group_of(&running, scanner, pid, namespace);
            scanner.entries[at].group = group;
        }
    }
}

fn group_of(running: &[Build], scanner: &Scanner, pid: i32, namespace: Option<u64>) -> Group {
    let find = |inode: u64| {
        let mut builds = running.iter();
        let build = builds.find(|build| build.namespace == inode)?;
        Some(build.group)
    };
    if let Some(group) = namespace.and_then(find) {
        return group;
    }
    let Some(mut inner) = scanner.open_user_namespace(pid) else {
        return SPARED;
    };
    for _ in 0..DEPTH {
        let Ok(outer) = libc_ext::parent_namespace(&inner) else {
            break;
        };
        let inode = rustix::fs::fstat(outer.as_fd()).map(|found| found.st_ino);
        if let Some(group) = inode.ok().and_then(find) {
            return group;
        }
        inner = outer;
    }
    SPARED
}

impl BuildEntry {
    /// The kills of this build so far.
    #[must_use]
    pub fn kills(&self) -> Vec<Kill> {
        let running = self.builds.running();
        let build = running.iter().find(|build| build.group == self.group);
        build.map_or_else(Vec::new, |build| build.kills.clone())
    }
}

impl Drop for BuildEntry {
    fn drop(&mut self) {
        self.builds
            .running()
            .retain(|build| build.group != self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Measure;
    use std::process::Command;

    fn group_in(builds: &Arc<Builds>, pid: i32) -> Group {
        let mut scanner = Scanner::open().unwrap();
        scanner.scan(Measure::Anonymous);
        let own = i32::try_from(std::process::id()).unwrap();
        builds.mark(&mut scanner, own);
        let own = scanner.entries.iter().find(|entry| entry.pid == own);
        assert_eq!(own.unwrap().group, SPARED);
        let found = scanner.entries.iter().find(|entry| entry.pid == pid);
        found.unwrap().group
    }

    #[test]
    fn a_process_is_of_the_build_whose_namespace_it_is_in() {
        let builds = Arc::new(Builds::default());
        let mut script = Command::new("unshare");
        script.args(["--user", "--map-root-user", "unshare", "--user"]);
        script.args(["sh", "-c", "echo; exec sleep 1000"]);
        script.stdout(std::process::Stdio::piped());
        let mut child = script.spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let inner = Scanner::open().unwrap().user_namespace(pid).unwrap();
        let file = std::fs::File::open(format!("/proc/{pid}/ns/user")).unwrap();
        let outer = libc_ext::parent_namespace(&file).unwrap();
        let outer = rustix::fs::fstat(&outer).unwrap().st_ino;
        assert_eq!(group_in(&builds, pid), SPARED);
        let other = builds.add(1, None);
        let build = builds.add(outer, None);
        assert_eq!(group_in(&builds, pid), 2, "enclosed");
        drop((other, build));
        assert!(builds.is_idle());
        let build = builds.add(inner, None);
        assert_eq!(group_in(&builds, pid), 1);
        drop(build);
        let build = builds.add(inner, Some(pid));
        assert_eq!(group_in(&builds, pid), SPARED, "the killer");
        drop(build);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
