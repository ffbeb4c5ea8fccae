//! Nobody outlives the runner: whoever is left is asked to end, then killed, before the wipe begins.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::getpid;

use super::{is_pid_1, reap};
use linux::libc_ext;
use linux::procfs::{Process, descendants, processes};

/// How long processes have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(1500);
/// How long the kernel has to carry out SIGKILL; longer only in uninterruptible sleep.
const DEATH: Duration = Duration::from_secs(5);
/// What stands for names where /proc cannot be read.
const UNKNOWN: &str = "unknown: /proc cannot be read";
/// The pauses grow up to this.
const LONGEST: Duration = Duration::from_millis(50);
/// How many names the log and the report hold.
const NAMED: usize = 20;

/// What became of those who were left.
#[derive(Debug, Default)]
pub struct Survivors {
    /// Names and pids of those who were found, the first twenty.
    pub found: Vec<String>,
    /// Those who are still there: not ours to signal, or in uninterruptible sleep.
    pub remaining: Vec<String>,
    /// Orphans reaped meanwhile.
    pub orphans: u64,
}

/// Ends every other process of the container; as a subreaper, every descendant.
///
/// `patience` is what is left for this and for all that follows: a part of it.
#[must_use]
pub fn end_all(patience: Option<Duration>) -> Survivors {
    let mut survivors = Survivors::default();
    if gone(&mut survivors) {
        return survivors;
    }
    let (grace, death) = limits(patience);
    survivors.found = names();
    signal_all(Signal::SIGTERM);
    signal_all(Signal::SIGCONT);
    if !wait_until_gone(&mut survivors, grace, None) {
        wait_until_gone(&mut survivors, death, Some(Signal::SIGKILL));
    }
    if !gone(&mut survivors) {
        survivors.remaining = names();
    }
    survivors
}

/// Kills every other process of the container; as a subreaper, every descendant.
pub fn kill_all() {
    signal_all(Signal::SIGKILL);
}

/// How long they have between SIGTERM and SIGKILL, and after it. The wipe needs the larger part.
fn limits(patience: Option<Duration>) -> (Duration, Duration) {
    let part = |of| patience.map_or(Duration::MAX, |patience| patience / of);
    (GRACE.min(part(8)), DEATH.min(part(4)))
}

/// Waits with growing pauses: most end at once, and there is no descriptor to wait on for a process that
/// is no child of ours. With `signal`, whoever was forked meanwhile gets it too.
fn wait_until_gone(survivors: &mut Survivors, limit: Duration, signal: Option<Signal>) -> bool {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(signal) = signal {
            signal_all(signal);
        }
        if gone(survivors) {
            return true;
        }
        // Where not one of them is ours to end we need not wait; but most have ended before /proc is read.
        if Instant::now() >= end || (pause == LONGEST && none_is_ours()) {
            return false;
        }
        sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// Reaps, and says whether nobody is left.
fn gone(survivors: &mut Survivors) -> bool {
    let round = reap::all(None, None);
    survivors.orphans += round.orphans;
    if !is_pid_1() {
        return round.childless;
    }
    // A process that was entered from outside is nobody's child here: kill(-1) sees it all the same.
    round.childless && libc_ext::kill(-1, 0) == Err(Errno::ESRCH)
}

fn signal_all(signal: Signal) {
    if is_pid_1() {
        let _ = libc_ext::kill(-1, signal as i32);
        return;
    }
    // kill(-1) would reach the whole machine here.
    for process in others().unwrap_or_default() {
        let _ = libc_ext::kill(process.pid, signal as i32);
    }
}

/// Whether we may signal nobody of those who are left: kill(2) on -1 says 0 then.
fn none_is_ours() -> bool {
    let refused = |process: &Process| libc_ext::kill(process.pid, 0) == Err(Errno::EPERM);
    others().is_some_and(|others| {
        let mut alive = others
            .iter()
            .filter(|process| !process.is_zombie())
            .peekable();
        alive.peek().is_some() && alive.all(refused)
    })
}

fn names() -> Vec<String> {
    let Some(others) = others() else {
        return vec![UNKNOWN.to_owned()];
    };
    let alive = others.iter().filter(|process| !process.is_zombie());
    alive.take(NAMED).map(Process::title).collect()
}

/// Everybody else in the container; `None` where /proc does not tell.
fn others() -> Option<Vec<Process>> {
    let all = processes()?;
    let own = getpid().as_raw();
    if !is_pid_1() {
        return Some(descendants(&all, own));
    }
    Some((all.into_iter().filter(|process| process.pid != own)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_little_patience_the_wipe_has_the_larger_part() {
        assert_eq!(limits(None), (GRACE, DEATH));
        let (grace, death) = limits(Some(Duration::from_secs(4)));
        assert_eq!(grace + death, Duration::from_millis(1500));
        assert_eq!(limits(Some(Duration::from_secs(3600))), (GRACE, DEATH));
    }
}
