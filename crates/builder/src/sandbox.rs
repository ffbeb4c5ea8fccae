//! The child's side of an operation: what Buildah must not see is not there, and cannot be brought back.
//!
//! Two user namespaces in each other: in the first the mounts are made, in the second, where Buildah runs, they are
//! locked, mount_namespaces(7). Whatever a Containerfile makes Buildah do, the builder's credentials, the socket and the
//! job's other files are not in its world.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, create_dir_all};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::OFlag;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use nix::unistd::{Pid, dup, pipe2};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use serde::{Deserialize, Serialize};

use super::operation::Input;
use super::paths::{Workspace, problem};
use super::{build_killer, operation_dir};
use linux::trial::Verdict;
use linux::{fork, handshake, idmap, raw, userns};
use report::exit;

/// The name of the child on our hidden command line.
pub const NAME: &str = "sandbox";
/// What the child says once Buildah is about to start, before the killer's pid and a newline. It waits for an answer then,
/// [`handshake::GO`].
pub const INSIDE: &str = "inside ";

/// All that the child has to know. It lies in the operation's own directory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// The job's paths.
    pub inputs: Vec<Input>,
    /// A file of another operation, beneath the directory that holds those of all, and its place.
    pub archive: Option<(PathBuf, PathBuf)>,
    /// The shared directory.
    pub workspace: PathBuf,
    /// Our private directory, of which only parts stay.
    pub runtime: PathBuf,
    /// The builder's volume.
    pub volume: PathBuf,
    /// Whether the volume is seen at all, but for the operation's own directory.
    pub storage: bool,
    /// The name of the operation's own directories, in memory and on the volume.
    pub operation: String,
    /// Where Buildah finds the first of them.
    pub own_place: PathBuf,
    /// Where Buildah finds the second.
    pub disk_place: PathBuf,
    /// Whether code of the job runs in it, and all that is left of it has to be ended.
    pub has_killer: bool,
    /// Directories that become empty.
    pub hidden: Vec<PathBuf>,
    /// Whether standard output is a terminal of its own.
    pub terminal: bool,
}

/// The child: hides, shows, and becomes the program. Returns only where that failed.
#[must_use]
pub fn child(arguments: &[OsString]) -> u8 {
    // What PID 1 blocks is not Buildah's business.
    let _ = SigSet::empty().thread_set_mask();
    let done = match userns::enter_saying(|| to_parent(handshake::READY)) {
        Ok(()) => arguments
            .first()
            .ok_or_else(|| "no spec".to_owned())
            .and_then(|path| run(Path::new(path))),
        Err(verdict) => Err(refused(&verdict)),
    };
    let Err(problem) = done;
    // PID 1 may have gone.
    let _ = to_parent(&format!("failed: {}\n", problem.replace('\n', " ")));
    exit::INTERNAL
}

fn run(directory: &Path) -> Result<std::convert::Infallible, String> {
    let spec = std::fs::read(directory.join("spec.json")).map_err(|error| error.to_string())?;
    let spec: Spec = serde_json::from_slice(&spec).map_err(|error| error.to_string())?;
    prepare(&spec)?;
    let killer = spec.has_killer.then(build_killer::start).transpose()?;
    enter_second()?;
    let killer = killer.map_or(0, Pid::as_raw);
    to_parent(&format!("{INSIDE}{killer}\n")).map_err(|error| error.to_string())?;
    let mut answer = [0; handshake::GO.len()];
    let mut stdin = File::from(dup(std::io::stdin()).map_err(|errno| errno.to_string())?);
    stdin
        .read_exact(&mut answer)
        .map_err(|error| error.to_string())?;
    drop(stdin);
    if spec.terminal {
        nix::unistd::setsid().map_err(|errno| format!("setsid: {errno}"))?;
        rustix::process::ioctl_tiocsctty(std::io::stdout())
            .map_err(|errno| format!("TIOCSCTTY: {errno}"))?;
    }
    let error = Command::new(&spec.program)
        .args(&spec.arguments)
        .env_clear()
        .envs(spec.environment)
        .current_dir("/")
        .exec();
    Err(format!("exec({}): {error}", spec.program))
}

/// Our standard input is a socket whose other end is PID 1's: it is written to as well.
fn to_parent(text: &str) -> std::io::Result<()> {
    nix::unistd::write(std::io::stdin(), text.as_bytes())
        .map(drop)
        .map_err(Into::into)
}

fn prepare(spec: &Spec) -> Result<(), String> {
    let workspace =
        Workspace::open(&spec.workspace).map_err(|error| problem(&spec.workspace, &error))?;
    let mut inputs = Vec::new();
    for input in &spec.inputs {
        let found = workspace.resolve(&input.relative);
        let found =
            found.map_err(|error| problem(&spec.workspace.join(&input.relative), &error))?;
        inputs.push((input, found));
    }
    let containers = open(&spec.runtime.join("containers"))?;
    let run_root = open(&spec.runtime.join("containers/run"))?;
    let name = Path::new(&spec.operation);
    let own = operation(&spec.runtime, name)?;
    let disk = operation(&spec.volume, name)?;
    let archive = spec.archive.as_ref();
    let archive =
        archive.map(|(file, place)| Ok::<_, String>((operation(&spec.volume, file)?, place)));
    let archive = archive.transpose()?;
    for path in spec.hidden.iter().chain([&spec.workspace, &spec.runtime]) {
        if path.is_dir() {
            mount_memory(path)?;
        }
    }
    // What other operations write is nobody's to see or to plant.
    match spec.storage {
        true => mount_memory(&spec.volume.join(operation_dir::PARENT))?,
        false => mount_memory(&spec.volume)?,
    }
    // What configures the next operation is nobody's to change in this one.
    show(&containers, &spec.runtime.join("containers"))?;
    restrict(&spec.runtime.join("containers"), READ_ONLY | DATA)?;
    show(&run_root, &spec.runtime.join("containers/run"))?;
    show(&own, &spec.own_place)?;
    restrict(&spec.own_place, DATA)?;
    show(&disk, &spec.disk_place)?;
    if let Some((found, place)) = &archive {
        show(found, place)?;
        restrict(place, READ_ONLY | DATA)?;
    }
    let home = spec.runtime.join("home/.config");
    create_dir_all(&home)
        .and_then(|()| symlink(spec.runtime.join("containers"), home.join("containers")))
        .map_err(|error| format!("{}: {error}", home.display()))?;
    for (input, found) in &inputs {
        show(found, &input.place)?;
        restrict(&input.place, rights(input))?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<OwnedFd, String> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| format!("{}: {errno}", path.display()))
}

/// What belongs to an operation, in memory or on the volume; no symlink leads anywhere else.
fn operation(side: &Path, path: &Path) -> Result<OwnedFd, String> {
    let path = Path::new(operation_dir::PARENT).join(path);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(open(side)?, &path, flags, Mode::empty(), resolve)
        .map_err(|errno| format!("{}: {errno}", side.join(&path).display()))
}

fn mount_memory(path: &Path) -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        flags,
        Some("mode=0700,size=16m"),
    )
    .map_err(|errno| format!("mount(tmpfs, {}): {errno}", path.display()))
}

/// Makes what a descriptor holds appear at `place`, which lies in memory that is ours alone.
fn show(what: &OwnedFd, place: &Path) -> Result<(), String> {
    let at = |error: std::io::Error| format!("{}: {error}", place.display());
    let parent = place.parent().unwrap_or(place);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(at)?;
    let kind = rustix::fs::fstat(what)
        .map_err(|errno| at(errno.into()))?
        .st_mode;
    if rustix::fs::FileType::from_raw_mode(kind) == rustix::fs::FileType::Directory {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(place)
            .map_err(at)?;
    } else {
        File::create(place).map_err(at)?;
    }
    let source = format!("/proc/self/fd/{}", what.as_raw_fd());
    bind(Path::new(&source), place, MsFlags::MS_BIND)
}

const READ_ONLY: MsFlags = MsFlags::MS_RDONLY;
/// No device or setuid program is taken from there.
const TREE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);
/// No program at all.
const DATA: MsFlags = TREE.union(MsFlags::MS_NOEXEC);

/// A context is mounted into RUN steps, which may well run a script of it; nothing else of the job's is.
fn rights(input: &Input) -> MsFlags {
    let kind = if input.executable { TREE } else { DATA };
    match input.writable {
        true => kind,
        false => kind | READ_ONLY,
    }
}

/// Takes rights from a mount. Those that it lacks already are locked, and have to be said again.
fn restrict(place: &Path, flags: MsFlags) -> Result<(), String> {
    let now = rustix::fs::statvfs(place)
        .map_err(|errno| format!("statvfs({}): {errno}", place.display()))?;
    let now = MsFlags::from_bits_truncate(now.f_flag.bits() as libc::c_ulong) & (READ_ONLY | DATA);
    let how = MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
    bind(Path::new("none"), place, how | flags | now)
}

fn bind(source: &Path, place: &Path, flags: MsFlags) -> Result<(), String> {
    mount(Some(source), place, None::<&str>, flags, None::<&str>)
        .map_err(|errno| format!("mount({}, bind): {errno}", place.display()))
}

/// The second pair of namespaces: mounts that come from the first cannot be changed in it.
fn enter_second() -> Result<(), String> {
    let said = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let (waiting, sign) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| format!("pipe: {errno}"))?;
    let null = File::options().write(true).open("/dev/null");
    let null = null.map_err(said("/dev/null"))?;
    let us = std::process::id();
    let stdio = [waiting.as_fd(), null.as_fd(), null.as_fd()];
    let helper = fork::child(stdio, || map(us)).map_err(said("fork"))?;
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(|errno| format!("unshare(CLONE_NEWUSER|CLONE_NEWNS), the second: {errno}"))?;
    // Closing its input is the sign.
    drop(sign);
    match raw::wait(helper) {
        Ok(0) => Ok(()),
        Ok(status) => Err(format!(
            "the maps of the second namespace: {}",
            std::io::Error::from_raw_os_error(libc::WEXITSTATUS(status))
        )),
        Err(errno) => Err(format!("waitpid: {errno}")),
    }
}

/// The helper, from the first namespace: maps the ids of the process, each to itself, once the standard input is closed.
/// Gives errno(3).
fn map(pid: u32) -> u8 {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    for kind in [idmap::Kind::User, idmap::Kind::Group] {
        let current = std::fs::read_to_string(kind.map_file("self")).unwrap_or_default();
        let text: String = idmap::parse_map(&current)
            .iter()
            .map(|line| format!("{} {} {}\n", line.inside, line.inside, line.count))
            .collect();
        if let Err(error) = std::fs::write(kind.map_file(&pid.to_string()), text) {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            return u8::try_from(errno).unwrap_or(u8::MAX);
        }
    }
    0
}

fn refused(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refused { call, errno } => {
            format!("{call}: {}", nix::errno::Errno::from_raw(*errno))
        }
        Verdict::Works => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_run_from_contexts_alone_and_nothing_of_the_jobs_is_written_but_an_output() {
        let flags = |executable, writable| {
            rights(&Input {
                relative: "x".into(),
                place: "/x".into(),
                writable,
                executable,
            })
        };
        assert_eq!(flags(true, false), TREE | READ_ONLY);
        assert_eq!(flags(false, false), DATA | READ_ONLY);
        assert_eq!(flags(false, true), DATA);
    }
}
