//! The first process of a build's PID namespace: starts Buildah, passes signals on, reaps, and ends with all others.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::room::STDIN;
use crate::exit;
use crate::init::reap;
use crate::init::signals::Signals;
use crate::init::spawn::{Manner, Start, spawn};
use crate::sys::ready::{Want, wait_any};
use crate::sys::{process, raw, userns};

/// Its name on our hidden command line.
pub const NAME: &str = "inner";
/// Where distributions have it. What is called so elsewhere may be a link to ourselves.
pub const BUILDAH: &str = "/usr/bin/buildah";

/// The child: standard input is the socket on which signals come, a byte each.
#[must_use]
pub fn child(room: &Path, arguments: &[OsString]) -> u8 {
    watch(room, arguments).unwrap_or_else(|error| {
        eprintln!("builder: {error}");
        exit::BUILDER
    })
}

fn watch(room: &Path, arguments: &[OsString]) -> std::io::Result<u8> {
    userns::die_with_parent()?;
    let signals = Signals::block()?;
    process::hide()?;
    let stdin = File::open(room.join(STDIN)).map_or_else(|_| Stdio::null(), Stdio::from);
    let start = Start {
        program: BUILDAH.into(),
        arguments: arguments.to_vec(),
        environment: std::env::vars_os().collect(),
        directory: room.to_owned(),
        manner: Manner::group(Signal::SIGTERM),
        stdin: Some(stdin),
    };
    let buildah = spawn(start, None).map_err(std::io::Error::other)?;
    let control = std::io::stdin();
    loop {
        while signals.next()?.is_some() {}
        if let Some(ended) = reap::all(Some(buildah)).runner {
            return Ok(ended.code());
        }
        let fds = [signals.as_fd(), control.as_fd()];
        let ready = wait_any(&fds, Want::Read, None)?;
        if ready.get(1) == Some(&true) && !pass_on(buildah) {
            return Ok(exit::of_signal(Signal::SIGKILL as i32));
        }
    }
}

/// Signals to Buildah's group, a byte each; false where the builder has gone.
fn pass_on(buildah: Pid) -> bool {
    let mut numbers = [0; 16];
    let count = nix::unistd::read(std::io::stdin(), &mut numbers).unwrap_or(0);
    for number in &numbers[..count] {
        // It may have ended a moment ago.
        let _ = raw::kill(-buildah.as_raw(), i32::from(*number));
    }
    count > 0
}
