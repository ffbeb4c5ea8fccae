//! prctl(2), capabilities(7) and limits of this process.

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid, setresgid, setresuid};

/// Makes this process unreadable for other processes of the same uid: no ptrace, no `/proc/PID/{mem,environ,fd,maps}`.
///
/// Each execve(2) resets the setting. Source: `PR_SET_DUMPABLE` in prctl(2), ptrace(2) access checks.
///
/// # Errors
/// As prctl(2).
pub fn set_undumpable() -> Result<(), Errno> {
    nix::sys::prctl::set_dumpable(false)
}

/// Makes orphans among our descendants our own children, `PR_SET_CHILD_SUBREAPER`.
///
/// # Errors
/// As prctl(2).
pub fn become_subreaper() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// Gives up every capability in the ambient, inheritable, effective and permitted sets.
///
/// The bounding set stays: `newuidmap` takes its file capabilities from it. Some engines give a non-root user ambient
/// capabilities and Kubernetes does not; after this call both are alike.
///
/// # Errors
/// The set and the error of the kernel.
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
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
}

impl Identity {
    /// Returns the file system ids of this thread. They differ from the effective ids only after [`become_mapper`].
    ///
    /// setfsuid(2) with an invalid id returns the current one unchanged.
    #[must_use]
    pub fn filesystem() -> Self {
        Self {
            uid: setfsuid(Uid::from_raw(u32::MAX)).as_raw(),
            gid: setfsgid(Gid::from_raw(u32::MAX)).as_raw(),
        }
    }

    /// Returns the effective ids of this process.
    #[must_use]
    pub fn effective() -> Self {
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        }
    }

    /// Makes these the file system ids of this thread.
    pub(crate) fn set_filesystem_ids(self) {
        // The group comes first, because changing it is a right of the user. With CAP_SETUID and CAP_SETGID no call
        // fails.
        setfsgid(Gid::from_raw(self.gid));
        setfsuid(Uid::from_raw(self.uid));
    }
}

/// Runs `work` with the effective ids as the file system ids, to write to `/proc` of a child for example.
pub(crate) fn with_effective_ids<T>(work: impl FnOnce() -> T) -> T {
    let (files, own) = (Identity::filesystem(), Identity::effective());
    if files == own {
        return work();
    }
    let open = nix::sys::prctl::get_dumpable().unwrap_or(false);
    own.set_filesystem_ids();
    let done = work();
    files.set_filesystem_ids();
    // Each change of ids resets it to fs.suid_dumpable.
    let _ = nix::sys::prctl::set_dumpable(open);
    done
}

/// Returns whether [`become_mapper`] can succeed: as root, or with file capabilities of this program.
#[must_use]
pub fn can_map() -> bool {
    may_map(CapSet::Permitted)
}

const MAPPING: [Capability; 2] = [Capability::CAP_SETUID, Capability::CAP_SETGID];

/// Becomes `own` and keeps working with the files of `files`.
///
/// Keeps the two capabilities that map ids for other processes; no child inherits them. kill(2), prlimit(2) and
/// ptrace(2) check the effective ids and not the file system ids.
///
/// # Errors
/// The error of the kernel.
pub fn become_mapper(own: Identity, files: Identity) -> Result<(), caps::errors::CapsError> {
    let kept = MAPPING.into();
    for set in [CapSet::Ambient, CapSet::Inheritable] {
        caps::clear(None, set)?;
    }
    caps::set(None, CapSet::Effective, &kept)?;
    become_keeping(own, &kept)?;
    files.set_filesystem_ids();
    if Identity::filesystem() == files {
        return Ok(());
    }
    Err(caps::errors::CapsError::from(format!(
        "setfsuid({}): refused",
        files.uid
    )))
}

/// Becomes a user of this namespace and keeps `CAP_KILL`. Needs every capability in the namespace.
///
/// # Errors
/// The error of the kernel.
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

/// Returns whether this process may write the id maps of its children's namespaces.
#[must_use]
pub(crate) fn is_mapper() -> bool {
    may_map(CapSet::Effective)
}

fn may_map(set: CapSet) -> bool {
    MAPPING
        .iter()
        .all(|&right| caps::has_cap(None, set, right).unwrap_or(false))
}

/// Takes `CAP_SYS_PTRACE` from all children, as root: it would let them trace this process, which is not dumpable.
///
/// A user namespace below has its own bounding set, so builds do not change.
///
/// # Errors
/// The error of the kernel.
pub fn drop_cap_sys_ptrace() -> Result<(), caps::errors::CapsError> {
    let right = Capability::CAP_SYS_PTRACE;
    for set in [CapSet::Bounding, CapSet::Ambient, CapSet::Inheritable] {
        if caps::has_cap(None, set, right)? {
            caps::drop(None, set, right)?;
        }
    }
    Ok(())
}

/// Makes the kernel send us SIGTERM when our parent ends, even if it ends during this call.
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

/// Raises the soft limit of descriptors to the hard limit.
pub fn raise_nofile_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // A raise up to the hard limit is always allowed.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Stops children inheriting state: disables core dumps and sets `FD_CLOEXEC` on every descriptor above 2.
pub fn isolate_from_children() {
    disable_core_dumps();
    for descriptor in descriptors().into_iter().filter(|number| *number > 2) {
        // A descriptor that was closed meanwhile is not inherited either.
        let _ = super::libc_ext::close_on_exec(descriptor);
    }
}

/// Lists the descriptors of this process, and the one that lists them.
fn descriptors() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// Disables core dumps of this process and its children, setrlimit(2) `RLIMIT_CORE`.
///
/// With 0 the kernel still writes to a core_pattern that is a pipe (systemd-coredump, apport). With 1 it refuses both.
/// Sources: core(5), `do_coredump` in fs/coredump.c.
fn disable_core_dumps() {
    use nix::sys::resource::{Resource, setrlimit};
    // Lowering a limit is always allowed, and a limit of 0 stays.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
}
