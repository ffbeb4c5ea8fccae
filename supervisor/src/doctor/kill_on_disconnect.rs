//! Runs a program and kills it with all its descendants when the other end of stdin is closed.
//!
//! Buildah starts processes of its own, in namespaces of their own. A signal to Buildah alone would not end them.

use std::ffi::{OsStr, OsString};
use std::io::stdin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use init::survivors;
use linux::poll::{self, Interest};
use linux::process;
use report::exit;

/// The name of the probe that runs a program in this way.
pub const NAME: &str = "kill-on-disconnect";

/// Runs `program` until it or stdin ends, then kills what is left of its descendants. Returns its exit code.
#[must_use]
pub fn child(program: &OsStr, arguments: &[OsString]) -> u8 {
    let blocked: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    if process::become_subreaper().is_err() || blocked.thread_block().is_err() {
        return exit::INTERNAL;
    }
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        return exit::NOT_FOUND;
    };
    let code = loop {
        if let Ok(Some(status)) = child.try_wait() {
            break status.code().and_then(|code| u8::try_from(code).ok());
        }
        if is_disconnected() {
            break None;
        }
    };
    let _ = survivors::end_all(None);
    code.unwrap_or(exit::INTERNAL)
}

/// Waits 5 ms; true if the other end of stdin is closed.
fn is_disconnected() -> bool {
    let moment = Instant::now() + Duration::from_millis(5);
    // No process ever writes to it, so readable means closed.
    poll::wait(&stdin(), Interest::Read, Some(moment)) == Ok(true)
}
