//! Makes N orphans: each is forked twice, so that its parent is gone and an init has to reap it.
#![allow(unsafe_code)]

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

fn main() {
    let count: u32 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    for _ in 0..count {
        orphan();
    }
}

fn orphan() {
    // SAFETY: one thread only, and the children call fork and _exit alone.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => {
            let _ = waitpid(child, None);
        }
        Ok(ForkResult::Child) => {
            // SAFETY: as above.
            let _ = unsafe { fork() };
            // SAFETY: _exit is async-signal-safe and always allowed.
            unsafe { nix::libc::_exit(0) }
        }
        Err(errno) => {
            eprintln!("fork: {errno}");
            std::process::exit(1);
        }
    }
}
