//! What prctl(2) and capabilities(7) say about this very process.

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid, setresgid, setresuid};

/// Makes this process unreadable for others of the same uid: no ptrace, no `/proc/PID/{mem,environ,fd,maps}`.
///
/// The setting is lost at each execve(2). Source: `PR_SET_DUMPABLE` in prctl(2), ptrace(2) access checks.
///
/// # Errors
/// As prctl(2).
pub fn set_undumpable() -> Result<(), Errno> {
    nix::sys::prctl::set_dumpable(false)
}

/// Makes orphans of our descendants our own children, `PR_SET_CHILD_SUBREAPER`.
///
/// # Errors
/// As prctl(2).
pub fn become_subreaper() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// Gives up every capability in the ambient, inheritable, effective and permitted sets.
///
/// The bounding set stays: `newuidmap` takes its file capabilities from it. Some engines give a
/// non-root user ambient capabilities, Kubernetes does not; after this both are alike.
///
/// # Errors
/// The set and what the kernel said.
pub fn drop_capabilities() -> Result<(), caps::errors::CapsError> {
    for set in [
        CapSet::Ambient,
        CapSet::Effective,
        CapSet::Inheritable,
        CapSet::Permitted,
    ] {
        caps::clear(None, set)?;
    }
    Ok(())
}

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Identity {
    /// Whose files this process works with: its own, but for [`become_mapper`]. setfsuid(2): an id that is none changes
    /// nothing, and gives the present one.
    #[must_use]
    pub fn filesystem() -> Self {
        Self {
            uid: setfsuid(Uid::from_raw(u32::MAX)).as_raw(),
            gid: setfsgid(Gid::from_raw(u32::MAX)).as_raw(),
        }
    }

    /// Who this process is to others.
    #[must_use]
    pub fn effective() -> Self {
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        }
    }

    /// From here on files are this one's to this thread.
    pub fn set_filesystem_ids(self) {
        // The group first: changing it is a user's right. With CAP_SETUID and CAP_SETGID neither is refused.
        setfsgid(Gid::from_raw(self.gid));
        setfsuid(Uid::from_raw(self.uid));
    }
}

/// Does something with the files of who this process is, `/proc` of its children for example.
pub fn with_effective_ids<T>(work: impl FnOnce() -> T) -> T {
    let (files, own) = (Identity::filesystem(), Identity::effective());
    if files == own {
        return work();
    }
    let open = nix::sys::prctl::get_dumpable().unwrap_or(false);
    own.set_filesystem_ids();
    let done = work();
    files.set_filesystem_ids();
    // Each change sets it anew, to fs.suid_dumpable.
    let _ = nix::sys::prctl::set_dumpable(open);
    done
}

/// Whether [`become_mapper`] can succeed: as root, or with file capabilities of this program.
#[must_use]
pub fn can_map() -> bool {
    may_map(CapSet::Permitted)
}

const MAPPING: [Capability; 2] = [Capability::CAP_SETUID, Capability::CAP_SETGID];

/// Becomes `own`, and goes on working with the files of `files`; keeps the two rights that map ids for others, which none
/// of what we start has.
///
/// kill(2), prlimit(2) and ptrace(2) ask for who a process is, not for whose files it works with.
///
/// # Errors
/// What the kernel said.
pub fn become_mapper(own: Identity, files: Identity) -> Result<(), caps::errors::CapsError> {
    let kept = MAPPING.into();
    for set in [CapSet::Ambient, CapSet::Inheritable] {
        caps::clear(None, set)?;
    }
    caps::set(None, CapSet::Effective, &kept)?;
    become_keeping(own, &kept)?;
    files.set_filesystem_ids();
    match Identity::filesystem() == files {
        true => Ok(()),
        false => Err(caps::errors::CapsError::from(format!(
            "the files of user {}: refused",
            files.uid
        ))),
    }
}

/// With every right in a namespace: becomes one of its users, and keeps the right to kill there.
///
/// # Errors
/// What the kernel said.
pub fn become_user_with_cap_kill(user: Identity) -> Result<(), caps::errors::CapsError> {
    become_keeping(user, &[Capability::CAP_KILL].into())
}

fn become_keeping(own: Identity, kept: &caps::CapsHashSet) -> Result<(), caps::errors::CapsError> {
    let failed = |errno: Errno| caps::errors::CapsError::from(format!("user {}: {errno}", own.uid));
    let (user, group) = (Uid::from_raw(own.uid), Gid::from_raw(own.gid));
    nix::sys::prctl::set_keepcaps(true).map_err(failed)?;
    setresgid(group, group, group).map_err(failed)?;
    setresuid(user, user, user).map_err(failed)?;
    caps::set(None, CapSet::Effective, kept)?;
    caps::set(None, CapSet::Permitted, kept)
}

/// Whether this process may write the id maps of the namespaces that its children make.
#[must_use]
pub fn is_mapper() -> bool {
    may_map(CapSet::Effective)
}

fn may_map(set: CapSet) -> bool {
    MAPPING
        .iter()
        .all(|&right| caps::has_cap(None, set, right).unwrap_or(false))
}

/// As root: takes the right to trace processes that are not dumpable from all that we start, for we are one.
///
/// User namespaces below have a bounding set of their own, so nothing else changes for a build.
///
/// # Errors
/// What the kernel said.
pub fn drop_cap_sys_ptrace() -> Result<(), caps::errors::CapsError> {
    let right = Capability::CAP_SYS_PTRACE;
    for set in [CapSet::Bounding, CapSet::Ambient, CapSet::Inheritable] {
        if caps::has_cap(None, set, right)? {
            caps::drop(None, set, right)?;
        }
    }
    Ok(())
}

/// Sends us SIGTERM when our parent ends, be it while this is set.
///
/// # Errors
/// As prctl(2) and kill(2).
pub fn terminate_with_parent() -> Result<(), Errno> {
    let parent = nix::unistd::getppid();
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
    if nix::unistd::getppid() == parent {
        return Ok(());
    }
    nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGTERM)
}

/// Takes as many descriptors as the hard limit has, whatever was made of the soft one.
pub fn raise_nofile_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Up to the hard limit it is always allowed.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// What this process has, memory and descriptors, does not leave it by way of those that it starts.
pub fn isolate_from_children() {
    disable_core_dumps();
    for descriptor in descriptors().into_iter().filter(|number| *number > 2) {
        // One that is closed meanwhile is not inherited either.
        let _ = super::libc_ext::close_on_exec(descriptor);
    }
}

/// The numbers of this process's descriptors, one that is closed by now among them.
fn descriptors() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// No memory of this process or of those it starts is ever written down: setrlimit(2), `RLIMIT_CORE`. 0 would still feed a
/// core_pattern that is a pipe, as systemd-coredump's and apport's are; 1 is what the kernel refuses to both, core(5) and
/// `do_coredump` in fs/coredump.c.
fn disable_core_dumps() {
    use nix::sys::resource::{Resource, setrlimit};
    // Lowering a limit is always allowed; where it is 0 already, that stays.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
}
