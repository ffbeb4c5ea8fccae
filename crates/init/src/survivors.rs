//! No process outlives the runner: each that is left gets SIGTERM, then SIGKILL, before the wipe begins.

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
/// Stands for names if /proc cannot be read.
const UNKNOWN: &str = "unknown: /proc cannot be read";
/// The pauses grow up to this.
const LONGEST: Duration = Duration::from_millis(50);
/// How many names the log and the report hold.
const NAMED: usize = 20;

/// The processes that outlived the runner.
#[derive(Debug, Default)]
pub struct Survivors {
    /// Names and pids of the first twenty that were found.
    pub found: Vec<String>,
    /// Those that are still there: we may not signal them, or they are in uninterruptible sleep.
    pub remaining: Vec<String>,
    /// Orphans reaped meanwhile.
    pub orphans: u64,
}

/// Ends every other process of the container; as a subreaper, every descendant.
///
/// `remaining` is the time for this and for all later steps; only a part of it is used.
#[must_use]
pub fn end_all(remaining: Option<Duration>) -> Survivors {
    let mut survivors = Survivors::default();
    if gone(&mut survivors) {
        return survivors;
    }
    let (grace, death) = limits(remaining);
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

/// Returns the time between SIGTERM and SIGKILL, and the time after SIGKILL. The wipe needs the larger part.
fn limits(remaining: Option<Duration>) -> (Duration, Duration) {
    let part = |of| remaining.map_or(Duration::MAX, |remaining| remaining / of);
    (GRACE.min(part(8)), DEATH.min(part(4)))
}

/// Waits with growing pauses: most processes end at once, and a process that is not our child has no descriptor to poll.
/// `signal` is sent again in each turn, so that processes forked meanwhile get it too.
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
        // Waiting is useless if we may signal no process that is left. Reading /proc is costly, so it comes after the short pauses.
        if Instant::now() >= end || (pause == LONGEST && may_signal_none()) {
            return false;
        }
        sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// Reaps, and returns whether no process is left.
fn gone(survivors: &mut Survivors) -> bool {
    let round = reap::all(None, None);
    survivors.orphans += round.orphans;
    if !is_pid_1() {
        return round.childless;
    }
    // A process that entered the namespace from outside has no parent here, but kill(-1) reaches it.
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

/// Whether we may signal no process that is left. kill(2) with pid -1 returns 0 in that case.
fn may_signal_none() -> bool {
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

/// Lists all other processes of the container. Returns `None` if /proc cannot be read.
fn others() -> Option<Vec<Process>> {
    let all = processes()?;
    let own = getpid().as_raw();
    if !is_pid_1() {
        return Some(descendants(&all, &[own]));
    }
    Some((all.into_iter().filter(|process| process.pid != own)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_leave_the_wipe_the_larger_part() {
        assert_eq!(limits(None), (GRACE, DEATH));
        let (grace, death) = limits(Some(Duration::from_secs(4)));
        assert_eq!(grace + death, Duration::from_millis(1500));
        assert_eq!(limits(Some(Duration::from_secs(3600))), (GRACE, DEATH));
    }
}
