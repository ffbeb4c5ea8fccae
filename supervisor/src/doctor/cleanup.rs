//! Waits for the processes that clean up after a killed check: watchdogs, and programs under kill-on-disconnect.
//!
//! The wait has a limit, because nothing ends such a process if it hangs.

use std::time::{Duration, Instant};

use super::kill_on_disconnect;
use init::reap;
use linux::{cleanup_watchdog, probe};

/// kill-on-disconnect gives its program 1.5 s to end; then the watchdog removes what is left.
const TIMEOUT: Duration = Duration::from_secs(3);
/// After a request to end in the middle of a build. As PID 1 our end would kill these processes.
const TIMEOUT_AT_END: Duration = Duration::from_secs(10);

/// Waits until all these processes have ended, or the timeout is over. `ending`: a signal requested our end.
pub(super) fn wait(ending: bool) {
    let timeout = if ending { TIMEOUT_AT_END } else { TIMEOUT };
    let end = Instant::now() + timeout;
    while !reap::all(None, None).childless && has_cleaner() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a child of this process cleans up. If /proc cannot be read, true: there may be one.
fn has_cleaner() -> bool {
    let own = std::process::id();
    let Ok(children) = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")) else {
        return true;
    };
    children.split_whitespace().any(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|line| is_cleaner(&line))
    })
}

/// Identifies these processes by their arguments. A check is a copy of this process or a probe of another name.
fn is_cleaner(line: &[u8]) -> bool {
    let mut arguments = line.split(|byte| *byte == 0).skip(1);
    let names = [
        cleanup_watchdog::NAME.as_bytes(),
        kill_on_disconnect::NAME.as_bytes(),
    ];
    arguments.next() == Some(probe::SUBCOMMAND.as_bytes())
        && arguments.next().is_some_and(|name| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleanup_does_not_wait_for_hanging_checks() {
        let line = |name: &str, rest: &str| {
            let command = probe::command(name);
            let arguments: Vec<_> = command
                .get_args()
                .filter_map(|word| word.to_str())
                .collect();
            format!("/proc/self/exe\0{}\0{rest}\0", arguments.join("\0"))
        };
        let is_cleaner = |line: String| is_cleaner(line.as_bytes());
        assert!(is_cleaner(line(
            cleanup_watchdog::NAME,
            "maker\0/workspace"
        )));
        assert!(is_cleaner(line(kill_on_disconnect::NAME, "buildah")));
        assert!(!is_cleaner(line("check", "workspace.writable")));
        assert!(!is_cleaner("supervisor\0doctor\0--json\0".to_owned()));
        assert!(!is_cleaner(String::new()));
    }
}
