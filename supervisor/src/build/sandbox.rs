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
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};

use super::operation::Input;
use super::paths::{Workspace, problem};
use crate::exit;
use crate::sys::trial::Verdict;
use crate::sys::{fork, idmap, raw, userns};

/// The name of the child on our hidden command line.
pub const NAME: &str = "sandbox";
/// What the child says once Buildah is about to start.
pub const INSIDE: &str = "inside\n";

/// All that the child has to know. It lies in the operation's own directory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// The job's paths.
    pub inputs: Vec<Input>,
    /// The shared directory.
    pub workspace: PathBuf,
    /// Our private directory, of which only parts stay.
    pub runtime: PathBuf,
    /// The operation's own directory beneath it.
    pub own: PathBuf,
    /// Where Buildah finds that directory.
    pub own_place: PathBuf,
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
    let done = match userns::enter_saying(|| to_parent(userns::READY)) {
        Ok(()) => arguments
            .first()
            .ok_or_else(|| "no plan".to_owned())
            .and_then(|path| run(Path::new(path))),
        Err(verdict) => Err(refused(&verdict)),
    };
    let Err(problem) = done;
    // PID 1 may have gone.
    let _ = to_parent(&format!("failed: {}\n", problem.replace('\n', " ")));
    exit::INTERNAL
}

fn run(directory: &Path) -> Result<std::convert::Infallible, String> {
    let plan = std::fs::read(directory.join("plan.json")).map_err(|error| error.to_string())?;
    let plan: Plan = serde_json::from_slice(&plan).map_err(|error| error.to_string())?;
    prepare(&plan)?;
    enter_second()?;
    to_parent(INSIDE).map_err(|error| error.to_string())?;
    if plan.terminal {
        nix::unistd::setsid().map_err(|errno| format!("setsid: {errno}"))?;
        rustix::process::ioctl_tiocsctty(std::io::stdout())
            .map_err(|errno| format!("TIOCSCTTY: {errno}"))?;
    }
    let error = Command::new(&plan.program)
        .args(&plan.arguments)
        .env_clear()
        .envs(plan.environment)
        .current_dir("/")
        .exec();
    Err(format!("exec({}): {error}", plan.program))
}

/// Our standard input is a socket whose other end is PID 1's: it is written to as well.
fn to_parent(text: &str) -> std::io::Result<()> {
    nix::unistd::write(std::io::stdin(), text.as_bytes())
        .map(drop)
        .map_err(Into::into)
}

fn prepare(plan: &Plan) -> Result<(), String> {
    let workspace =
        Workspace::open(&plan.workspace).map_err(|error| problem(&plan.workspace, &error))?;
    let mut inputs = Vec::new();
    for input in &plan.inputs {
        let found = workspace.resolve(&input.relative);
        let found =
            found.map_err(|error| problem(&plan.workspace.join(&input.relative), &error))?;
        inputs.push((input, found));
    }
    let containers = open(&plan.runtime.join("containers"))?;
    let run_root = open(&plan.runtime.join("containers/run"))?;
    let own = open(&plan.own)?;
    for path in plan.hidden.iter().chain([&plan.workspace, &plan.runtime]) {
        if path.is_dir() {
            mount_memory(path)?;
        }
    }
    // What configures the next operation is nobody's to change in this one.
    show(&containers, &plan.runtime.join("containers"))?;
    read_only(&plan.runtime.join("containers"))?;
    show(&run_root, &plan.runtime.join("containers/run"))?;
    show(&own, &plan.own_place)?;
    let home = plan.runtime.join("home/.config");
    create_dir_all(&home)
        .and_then(|()| symlink(plan.runtime.join("containers"), home.join("containers")))
        .map_err(|error| format!("{}: {error}", home.display()))?;
    for (input, found) in &inputs {
        show(found, &input.place)?;
        if !input.writable {
            read_only(&input.place)?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<OwnedFd, String> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty())
        .map_err(|errno| format!("{}: {errno}", path.display()))
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

/// Nothing is written there, and no device or setuid program taken from it.
fn read_only(place: &Path) -> Result<(), String> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    bind(
        Path::new("none"),
        place,
        flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
    )
    // The volume's own flags are locked, and have to be said again.
    .or_else(|_| {
        bind(
            Path::new("none"),
            place,
            flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        )
    })
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
