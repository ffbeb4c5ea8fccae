//! Where Buildah runs: user, mount and PID namespaces of its own, made by a child of ours, with the room in them.
//!
//! The first process of the PID namespace is ours too (`inner`): when it ends, the kernel ends all others, however they
//! hide. Sources: pid_namespaces(7), mount_namespaces(7).

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::sys::stat::{Mode, umask};

use super::inner;
use super::paths::{Workspace, problem};
use super::room::{AUTHFILE, Done, Room};
use crate::exit;
use crate::sys::trial::Verdict;
use crate::sys::{process, userns};

/// The name of the child on our hidden command line.
pub const NAME: &str = "sandbox";

/// The most that a plan takes on the socket.
pub const PLAN: u32 = 64 << 20;

/// The child: its standard input is a socket to the builder.
#[must_use]
pub fn child() -> u8 {
    let Ok(control) = rustix::io::dup(std::io::stdin()) else {
        return exit::INTERNAL;
    };
    let mut control = UnixStream::from(control);
    let done = carry_out(&mut control).unwrap_or_else(|problem| Done {
        code: exit::BUILDER,
        problem: Some(problem),
        authfile: None,
    });
    let said = serde_json::to_vec(&done).unwrap_or_default();
    // The builder may have gone; then nobody needs to know.
    let _ = control.write_all(&said);
    0
}

fn carry_out(control: &mut UnixStream) -> Result<Done, String> {
    let mut writer = control.try_clone().map_err(|error| error.to_string())?;
    userns::enter_over(CloneFlags::CLONE_NEWPID, control, &mut writer).map_err(refusal)?;
    // Credentials pass through here; RUN steps share the user namespace.
    process::hide().map_err(|errno| errno.to_string())?;
    let room = read(control).map_err(|error| format!("the plan did not arrive: {error}"))?;
    let workspace = Workspace::open(&room.workspace)
        .map_err(|error| format!("{}: {error}", room.workspace.display()))?;
    make(&room, &workspace)?;
    let code = run(&room)?;
    let delivered = room.deliver(&workspace);
    let authfile = (room.returns_authfile && code == 0)
        .then(|| fs::read(room.path.join(AUTHFILE)).ok())
        .flatten();
    Ok(Done {
        code: match (&delivered, code) {
            (Err(_), 0) => exit::BUILDER,
            _ => code,
        },
        problem: delivered.err(),
        authfile,
    })
}

fn refusal(verdict: Verdict) -> String {
    match verdict {
        Verdict::Works => String::new(),
        Verdict::Refused { call, errno } => {
            format!("{call}: {}", nix::errno::Errno::from_raw(errno))
        }
    }
}

fn read(control: &mut UnixStream) -> std::io::Result<Room> {
    let mut length = [0; 4];
    control.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    let mut plan = Vec::new();
    control.take(u64::from(length)).read_to_end(&mut plan)?;
    Ok(serde_json::from_slice(&plan)?)
}

/// Mounts the room, what is the job's in it, and nothing over what Buildah is not to see.
fn make(room: &Room, workspace: &Workspace) -> Result<(), String> {
    umask(Mode::from_bits_truncate(0o077));
    cover(&room.path, "mode=0700")?;
    for file in &room.files {
        let path = room.path.join(&file.name);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let written = made.and_then(|mut made| made.write_all(&file.bytes));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    for place in &room.binds {
        let held = workspace.resolve(&place.path);
        let held = held.map_err(|error| problem(&place.path, &error))?;
        bind(&held, &room.path.join(&place.name)).map_err(|error| problem(&place.path, &error))?;
    }
    // Last, because what is bound comes from there.
    for hidden in &room.hidden {
        if hidden.is_dir() {
            cover(hidden, "mode=0500,size=4k,nr_inodes=2")?;
        }
    }
    // Ordinary files of an image are not for one user alone.
    umask(Mode::from_bits_truncate(0o022));
    Ok(())
}

fn cover(path: &Path, options: &str) -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options))
        .map_err(|errno| format!("mount(tmpfs, {}): {errno}", path.display()))
}

/// Mounts what a descriptor holds: nobody can swap it any more.
fn bind(held: &OwnedFd, target: &Path) -> std::io::Result<()> {
    let source = format!("/proc/self/fd/{}", held.as_raw_fd());
    match fs::metadata(&source)?.is_dir() {
        true => fs::create_dir(target)?,
        false => drop(fs::File::create(target)?),
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    let none = None::<&str>;
    Ok(mount(Some(source.as_str()), target, none, flags, none)?)
}

/// Starts the first process of the PID namespace and waits for it: then none of the others is left.
fn run(room: &Room) -> Result<u8, String> {
    let mut child = Command::new("/proc/self/exe");
    child
        .args(["trial", inner::NAME, &room.path.to_string_lossy()])
        .args(&room.arguments)
        .env_clear()
        .envs(room.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::inherit());
    let mut child = child
        .spawn()
        .map_err(|error| format!("fork in a PID namespace: {error}"))?;
    let status = child.wait().map_err(|error| error.to_string())?;
    let signal = || exit::of_signal(status.signal().unwrap_or(0));
    Ok(status
        .code()
        .map_or_else(signal, |code| u8::try_from(code).unwrap_or(u8::MAX)))
}
