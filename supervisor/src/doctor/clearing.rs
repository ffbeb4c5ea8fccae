//! Waits for whoever clears up behind a check that was killed: guards and leashes. Nothing ends one that hangs.

use std::time::{Duration, Instant};

use super::leash;
use crate::init::reap;
use crate::sys::guard;

/// A leash gives what it holds 1.5 s to end; then its guard looks for what is left.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where the end was asked for in the middle of a build: as PID 1 we would take them with us.
const AT_THE_END: Duration = Duration::from_secs(10);

/// Until none is left, or too long; `asked` where the end was asked for.
pub(super) fn wait(asked: bool) {
    let end = Instant::now() + if asked { AT_THE_END } else { PATIENCE };
    while !reap::all(None, None).childless && is_one_left() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Where /proc does not tell there may be one.
fn is_one_left() -> bool {
    let own = std::process::id();
    let Ok(children) = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")) else {
        return true;
    };
    children.split_whitespace().any(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|line| clears_up(&line))
    })
}

/// By the arguments that they are started with. A check is a copy of us and has ours, or is a trial of another name.
fn clears_up(line: &[u8]) -> bool {
    let mut arguments = line.split(|byte| *byte == 0).skip(1);
    let names = [guard::NAME.as_bytes(), leash::NAME.as_bytes()];
    arguments.next() == Some(b"trial") && arguments.next().is_some_and(|name| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_hangs_is_nobody_to_wait_for() {
        assert!(clears_up(
            b"/proc/self/exe\0trial\0guard\0maker\0/workspace\0"
        ));
        assert!(clears_up(b"/proc/self/exe\0trial\0leash\0buildah\0"));
        assert!(!clears_up(b"supervisor\0doctor\0--json\0"));
        assert!(!clears_up(
            b"/proc/self/exe\0trial\0check\0workspace.writable\0"
        ));
        assert!(!clears_up(b""));
    }
}
