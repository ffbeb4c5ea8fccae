//! Watches over a program that a check runs: however the check ends, its processes end and its files go.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::exit;
use crate::init::survivors;
use crate::sys::{process, scratch, userns};

/// The trial under which it runs: `guard SCRATCH HOME PROGRAM ARGUMENT…`, with the check at the other end of stdin.
pub const NAME: &str = "guard";
/// Between two looks at the program, milliseconds.
const TICK: u16 = 10;

/// Runs the program. Where nobody holds our stdin any more, ends it and removes SCRATCH.
///
/// HOME is made where it does not exist, and removed again: a build step's process looks it up.
#[must_use]
pub fn main(arguments: &[OsString]) -> u8 {
    let [scratch, home, program, arguments @ ..] = arguments else {
        return exit::USAGE;
    };
    let _ = process::become_subreaper();
    let made = std::fs::create_dir(home).is_ok();
    let spawned = Command::new("/proc/self/exe")
        .args(["trial", userns::BOUND])
        .arg(program)
        .args(arguments)
        .spawn();
    let code = match spawned {
        Ok(mut child) => watch(&mut child, Path::new(scratch)),
        Err(_) => exit::CANNOT_EXECUTE,
    };
    if made {
        scratch::remove(Path::new(home));
    }
    code
}

fn watch(child: &mut Child, scratch: &Path) -> u8 {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return code.unwrap_or(exit::INTERNAL);
        }
        let stdin = std::io::stdin();
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
        let _ = poll(&mut fds, PollTimeout::from(TICK));
        let hung_up = fds[0].revents().is_some_and(|events| !events.is_empty());
        if hung_up {
            let _ = survivors::end_all();
            scratch::remove(scratch);
            return exit::INTERNAL;
        }
    }
}
