//! A program on a leash: it and all that it started are ended when whoever holds the other end is gone.
//!
//! Buildah starts processes of its own, in namespaces of their own; a signal to itself alone would leave them behind.

use std::ffi::{OsStr, OsString};
use std::io::stdin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use init::survivors;
use linux::poll::{self, Interest};
use linux::process;
use report::exit;

/// The name of the trial that runs a program so.
pub const NAME: &str = "leash";

/// Runs `program` until it ends or stdin does; then nobody of its descendants is left. Returns its exit code.
#[must_use]
pub fn child(program: &OsStr, arguments: &[OsString]) -> u8 {
    let deaf: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    if process::become_subreaper().is_err() || deaf.thread_block().is_err() {
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
        if let_go() {
            break None;
        }
    };
    let _ = survivors::end_all(None);
    code.unwrap_or(exit::INTERNAL)
}

/// Waits a moment; true where the other end of stdin was closed.
fn let_go() -> bool {
    let moment = Instant::now() + Duration::from_millis(5);
    // Nobody ever writes: readable means closed.
    poll::wait(&stdin(), Interest::Read, Some(moment)) == Ok(true)
}
