//! Nobody outlives the runner: whoever is left is asked to end, then killed, before the wipe begins.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::getpid;

use super::{is_pid_1, reap};
use crate::sys::raw;

/// How long processes have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(1500);
/// How long the kernel has to carry out SIGKILL; longer only in uninterruptible sleep.
const DEATH: Duration = Duration::from_secs(5);
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

/// Another process of this container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    name: String,
    zombie: bool,
}

/// Ends every other process of the container; as a subreaper, every descendant.
#[must_use]
pub fn end_all() -> Survivors {
    let mut survivors = Survivors::default();
    if gone(&mut survivors) {
        return survivors;
    }
    survivors.found = names();
    let asked = signal_all(Signal::SIGTERM);
    let _ = signal_all(Signal::SIGCONT);
    if asked == Err(Errno::EPERM) {
        // Not one of them is ours to end, however long we wait.
        survivors.remaining = names();
        return survivors;
    }
    if !wait_until_gone(&mut survivors, GRACE, None) {
        wait_until_gone(&mut survivors, DEATH, Some(Signal::SIGKILL));
    }
    survivors.remaining = names();
    survivors
}

/// Waits with growing pauses: most end at once, and there is no descriptor to wait on for a process that
/// is no child of ours. With `signal`, whoever was forked meanwhile gets it too.
fn wait_until_gone(survivors: &mut Survivors, limit: Duration, signal: Option<Signal>) -> bool {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        let refused = signal.is_some_and(|signal| signal_all(signal) == Err(Errno::EPERM));
        if gone(survivors) {
            return true;
        }
        if refused || Instant::now() >= end {
            return false;
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Reaps, and says whether nobody is left.
fn gone(survivors: &mut Survivors) -> bool {
    let round = reap::all(None);
    survivors.orphans += round.orphans;
    if !is_pid_1() {
        return round.childless;
    }
    // A process that was entered from outside is nobody's child here: kill(-1) sees it all the same.
    round.childless && raw::kill(-1, 0) == Err(Errno::ESRCH)
}

/// EPERM: somebody is left, and nobody whom we may signal. kill(2) says so only where it reached no one.
fn signal_all(signal: Signal) -> Result<(), Errno> {
    if is_pid_1() {
        return raw::kill(-1, signal as i32);
    }
    // kill(-1) would reach the whole machine here.
    let mut refused = Err(Errno::ESRCH);
    for process in others() {
        match raw::kill(process.pid, signal as i32) {
            Ok(()) => refused = Ok(()),
            Err(errno) => refused = refused.or(Err(errno)),
        }
    }
    refused
}

fn names() -> Vec<String> {
    let others = others().into_iter().filter(|process| !process.zombie);
    let name = |process: Process| format!("{} ({})", process.name, process.pid);
    others.take(NAMED).map(name).collect()
}

fn others() -> Vec<Process> {
    let all = read_processes();
    let own = getpid().as_raw();
    if is_pid_1() {
        return all
            .into_iter()
            .filter(|process| process.pid != own)
            .collect();
    }
    descendants(&all, own)
}

/// The processes below `ancestor`.
fn descendants(all: &[Process], ancestor: i32) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            parents.push(child.pid);
            found.push(child.clone());
        }
    }
    found
}

fn read_processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // A process that ended meanwhile has no file to read.
    pids.filter_map(|pid| parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// One line of `/proc/PID/stat`, proc_pid_stat(5): the name stands in parentheses and may hold any character.
fn parse_stat(text: &str) -> Option<Process> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        name: name.to_owned(),
        zombie: state == "Z",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            name: String::new(),
            zombie: false,
        }
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read_whole() {
        let read = parse_stat("42 (a) R (b) Z 7 42 42 0 -1").unwrap();
        let expected = Process {
            pid: 42,
            parent: 7,
            name: "a) R (b".to_owned(),
            zombie: true,
        };
        assert_eq!(read, expected);
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn only_descendants_are_ours() {
        let all = [
            process(1, 0),
            process(5, 1),
            process(6, 5),
            process(7, 6),
            process(8, 1),
        ];
        let pids: Vec<i32> = descendants(&all, 5)
            .iter()
            .map(|process| process.pid)
            .collect();
        assert_eq!(pids, [6, 7]);
    }
}
