//! The child's side of an operation: it hides what Buildah must not see, and executes Buildah.
//!
//! It nests two user namespaces. The mounts are made in the first one. Buildah runs in the second one, where those mounts
//! are locked: mount_namespaces(7). So no Containerfile can make Buildah reach the builder's credentials, the socket or the
//! job's other files.

mod context_view;
mod ignored;
mod masks;
mod mounts;
mod nested_userns;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::create_dir_all;
use std::io::{self, Stdin};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::SigSet;
use nix::unistd::{Pid, setsid};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::operation::Input;
use super::paths::{PathError, Workspace};
use super::{build_killer, operation_dir};
use context_view::Own;
use linux::handshake::{Handshake, ProbeResult};
use linux::userns;
use mounts::{DATA, READ_ONLY, bind_at, mount_tmpfs, restrict, rights};
use report::exit;

/// The name of the child on the supervisor's hidden command line.
pub const NAME: &str = "sandbox";
/// The child sends it before Buildah starts, followed by the killer's pid (0 without one). Then it waits for the second `go`
/// of the [`Handshake`].
pub(crate) const INSIDE: &str = "inside ";
/// The child sends it before the reason if it cannot execute the program.
pub(crate) const FAILED: &str = "failed: ";
/// The name of the spec in the operation's own directory.
pub(crate) const SPEC: &str = "spec.json";

/// Everything that the child needs. It reads this from the operation's own directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The program, found in PATH.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// The job's paths.
    pub inputs: Vec<Input>,
    /// A file in another operation's directory on the volume, and where this operation sees it.
    pub archive: Option<(PathBuf, PathBuf)>,
    /// The workspace.
    pub workspace: PathBuf,
    /// The builder's private directory. Only parts of it stay visible.
    pub runtime: PathBuf,
    /// The builder's volume.
    pub volume: PathBuf,
    /// Whether the storage on the volume is visible.
    pub storage: bool,
    /// The name of the operation's own directories, in memory and on the volume.
    pub operation: String,
    /// Where Buildah sees the one in memory.
    pub memory_path: PathBuf,
    /// Where Buildah sees the one on the volume.
    pub disk_path: PathBuf,
    /// Buildah's TMPDIR. It lies on the volume.
    pub temporary: PathBuf,
    /// The directory of the cache mounts, relative to the TMPDIR of the builder. All builds share it.
    pub shared_cache: Option<PathBuf>,
    /// Whether code of the job runs in it. Then a killer kills what is left at its end.
    pub has_killer: bool,
    /// Directories that are hidden by empty ones.
    pub hidden: Vec<PathBuf>,
    /// Whether standard output is a terminal, which becomes the controlling one.
    pub terminal: bool,
    /// Whether standard output goes to /dev/null.
    pub drop_output: bool,
}

/// Runs the child: it prepares the mounts and executes the program of the spec in the directory `arguments[0]`. It returns
/// an exit code only if that fails.
#[must_use]
pub fn child(arguments: &[OsString]) -> u8 {
    // Buildah must not inherit the signals that PID 1 blocks.
    let _ = SigSet::empty().thread_set_mask();
    let Err(error) = enter(arguments);
    // PID 1 may have ended.
    let reason = error.to_string().replace('\n', " ");
    let _ = parent().send(&format!("{FAILED}{reason}\n"));
    exit::INTERNAL
}

fn enter(arguments: &[OsString]) -> Result<Infallible, SandboxError> {
    userns::enter_with(&parent()).map_err(|verdict| refused(&verdict))?;
    let directory = arguments.first().ok_or(SandboxError::NoDirectory)?;
    run(Path::new(directory))
}

fn refused(verdict: &ProbeResult) -> SandboxError {
    match verdict {
        ProbeResult::Refused { call, errno } => SandboxError::Call {
            call: call.clone(),
            source: io::Error::from_raw_os_error(*errno),
        },
        ProbeResult::Works => SandboxError::NoDirectory,
    }
}

fn run(directory: &Path) -> Result<Infallible, SandboxError> {
    let spec = std::fs::read(directory.join(SPEC)).map_err(SandboxError::call(SPEC))?;
    let spec: Spec = serde_json::from_slice(&spec).map_err(SandboxError::call(SPEC))?;
    prepare_mounts(&spec)?;
    let killer = spec.has_killer.then(build_killer::start).transpose()?;
    nested_userns::enter()?;
    wait_for_go(killer).map_err(SandboxError::call("handshake"))?;
    let mut command = Command::new(&spec.program);
    if spec.terminal {
        setsid().map_err(SandboxError::call("setsid"))?;
        rustix::process::ioctl_tiocsctty(io::stdout())
            .map_err(SandboxError::call("ioctl(TIOCSCTTY)"))?;
    }
    if spec.drop_output {
        command.stdout(Stdio::null());
    }
    let error = command
        .args(&spec.arguments)
        .env_clear()
        .envs(spec.environment)
        .current_dir("/")
        .exec();
    Err(SandboxError::call(format!("exec({})", spec.program))(error))
}

fn wait_for_go(killer: Option<Pid>) -> io::Result<()> {
    let killer = killer.map_or(0, Pid::as_raw);
    parent().send(&format!("{INSIDE}{killer}\n"))?;
    parent().wait_for_go()
}

/// Returns the connection to PID 1. The standard input is a socket, so it is written to as well.
fn parent() -> Handshake<Stdin, Stdin> {
    Handshake::new(io::stdin(), io::stdin())
}

/// The directories and files that stay visible, opened before the rest is hidden.
struct Visible<'a> {
    inputs: Vec<(&'a Input, OwnedFd)>,
    containers: OwnedFd,
    run_root: OwnedFd,
    memory: OwnedFd,
    disk: OwnedFd,
    archive: Option<(OwnedFd, &'a Path)>,
    temporary: OwnedFd,
    shared_cache: Option<(OwnedFd, &'a Path)>,
}

impl<'a> Visible<'a> {
    fn open(spec: &'a Spec) -> Result<Self, SandboxError> {
        let at = |path: &Path, error| PathError::new(path, error);
        let workspace =
            Workspace::open(&spec.workspace).map_err(|error| at(&spec.workspace, error))?;
        let resolve = |input: &'a Input| {
            let resolved = workspace.resolve(&input.relative);
            let path = spec.workspace.join(&input.relative);
            Ok((input, resolved.map_err(|error| at(&path, error))?))
        };
        let inputs: Result<_, SandboxError> = spec.inputs.iter().map(resolve).collect();
        let name = Path::new(&spec.operation);
        let archive = spec.archive.as_ref();
        let archive = archive.map(|(file, path)| {
            let file = open_operation(&spec.volume, file)?;
            Ok::<_, SandboxError>((file, path.as_path()))
        });
        let shared_cache = spec.shared_cache.as_ref();
        let shared_cache = shared_cache
            .map(|name| open_shared(&spec.temporary, name).map(|file| (file, name.as_path())));
        Ok(Self {
            inputs: inputs?,
            containers: open(&spec.runtime.join("containers"))?,
            run_root: open(&spec.runtime.join("containers/run"))?,
            memory: open_operation(&spec.runtime, name)?,
            disk: open_operation(&spec.volume, name)?,
            archive: archive.transpose()?,
            temporary: open_operation(&spec.volume, &name.join(operation_dir::TEMPORARY))?,
            shared_cache: shared_cache.transpose()?,
        })
    }
}

fn prepare_mounts(spec: &Spec) -> Result<(), SandboxError> {
    let visible = Visible::open(spec)?;
    for path in spec.hidden.iter().chain([&spec.workspace, &spec.runtime]) {
        if path.is_dir() {
            mount_tmpfs(path)?;
        }
    }
    // Hide other operations' directories: this one must neither read nor write them.
    if spec.storage {
        mount_tmpfs(&spec.volume.join(operation_dir::PARENT))?;
    } else {
        mount_tmpfs(&spec.volume)?;
    }
    // Read-only, because these files configure later operations as well.
    let containers = spec.runtime.join("containers");
    bind_at(&visible.containers, &containers)?;
    restrict(&containers, READ_ONLY | DATA)?;
    bind_at(&visible.run_root, &containers.join("run"))?;
    bind_at(&visible.memory, &spec.memory_path)?;
    restrict(&spec.memory_path, DATA)?;
    bind_at(&visible.disk, &spec.disk_path)?;
    // Buildah makes files with names of its own choice in TMPDIR, and two builds can choose the same.
    bind_at(&visible.temporary, &spec.temporary)?;
    if let Some((file, name)) = &visible.shared_cache {
        bind_at(file, &spec.temporary.join(name))?;
    }
    if let Some((file, path)) = &visible.archive {
        bind_at(file, path)?;
        restrict(path, READ_ONLY | DATA)?;
    }
    let home = spec.runtime.join("home/.config");
    create_dir_all(&home)
        .and_then(|()| symlink(&containers, home.join("containers")))
        .map_err(SandboxError::at(&home))?;
    let empty = spec.runtime.join("empty");
    for (number, (input, file)) in visible.inputs.iter().enumerate() {
        let Some(view) = &input.view else {
            bind_at(file, &input.mount_point)?;
            restrict(&input.mount_point, rights(input))?;
            continue;
        };
        let own = Own {
            memory: &visible.memory,
            disk: &visible.disk,
            number,
            empty: &empty,
        };
        context_view::mount_view(file, input, view, &own)?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<OwnedFd, SandboxError> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(SandboxError::at(path))
}

/// Opens a directory in the builder's TMPDIR, and creates it if it is missing. It follows no symlink.
fn open_shared(temporary: &Path, name: &Path) -> Result<OwnedFd, SandboxError> {
    let at = |errno| SandboxError::at(&temporary.join(name))(errno);
    let parent = open(temporary)?;
    match mkdirat(&parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(at(errno)),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&parent, name, flags, Mode::empty()).map_err(at)
}

/// Opens a file or directory of an operation beneath `parent`, without following symlinks.
fn open_operation(parent: &Path, path: &Path) -> Result<OwnedFd, SandboxError> {
    let path = Path::new(operation_dir::PARENT).join(path);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(open(parent)?, &path, flags, Mode::empty(), resolve)
        .map_err(SandboxError::at(&parent.join(&path)))
}
