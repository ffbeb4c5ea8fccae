//! Processes as procfs shows them, proc(5), and signals that reach the process that was meant.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::libc_ext;

/// A process, as `/proc/PID/stat` describes it, proc_pid_stat(5).
///
/// Its pid may belong to another process a moment later. Together with the start time it identifies one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The process id.
    pub pid: i32,
    /// The process id of the parent; 0 if the parent is outside of the PID namespace.
    pub parent: i32,
    /// The command name: at most 15 bytes, with any character in it.
    pub name: String,
    /// The state: `R`, `S`, `D`, `T` (stopped by a signal), `t` (stopped by a tracer), `Z` (ended and not reaped yet), …
    pub state: char,
    /// The time at which it started, in clock ticks since boot.
    pub start: u64,
}

impl Process {
    /// Returns whether it has ended and is not reaped yet.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// Returns whether a signal has stopped it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state == 'T'
    }

    /// Returns name and pid, for log and report.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} ({})", self.name, self.pid)
    }

    /// Returns whether this very process still runs, rather than another process with its pid.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.now().is_some_and(|now| !now.is_zombie())
    }

    /// Returns the same process as it is now; `None` if it has ended and is reaped.
    ///
    /// It may be a zombie with other threads that have not ended; no process can wait for it yet.
    #[must_use]
    pub fn now(&self) -> Option<Self> {
        stat(self.pid).filter(|now| now.start == self.start)
    }

    /// Returns a descriptor that becomes readable when the process ends, pidfd_open(2); `None` if the kernel refuses it.
    ///
    /// The pid may already belong to another process: call [`Process::is_running`] afterwards.
    #[must_use]
    pub fn pidfd(&self) -> Option<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(self.pid)?;
        pidfd_open(pid, PidfdFlags::empty()).ok()
    }

    /// Sends a signal to this very process. Returns false if it has ended or may not be signalled.
    ///
    /// pidfd_open(2) holds the process before its start time is compared. Linux before 5.3, a seccomp profile or a limit on
    /// descriptors may refuse that; then the comparison comes right before kill(2).
    pub fn send(&self, signal: Signal) -> bool {
        let held = self.pidfd();
        if !self.is_running() {
            return false;
        }
        let number = rustix::process::Signal::from_named_raw(signal as i32);
        let sent = held
            .zip(number)
            .map(|(held, number)| pidfd_send_signal(held, number));
        match sent {
            Some(Ok(())) => true,
            Some(Err(rustix::io::Errno::SRCH)) => false,
            _ => libc_ext::kill(self.pid, signal as i32).is_ok(),
        }
    }
}

/// Sends a signal to the process that a descriptor of pidfd_open(2) refers to. Needs no further descriptor.
///
/// # Errors
/// As pidfd_send_signal(2).
pub fn send_by_pidfd(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    let number = rustix::process::Signal::from_named_raw(signal as i32);
    let number = number.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_send_signal(pidfd, number)?)
}

/// Returns the ids of all processes in the PID namespace of `/proc`.
///
/// A process that forks while the list is read may be missing, and one in the list may have ended.
///
/// # Errors
/// As opendir(3) on `/proc`.
pub fn pids() -> io::Result<impl Iterator<Item = i32>> {
    let entries = std::fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Returns what `/proc/PID/stat` says; `None` if the process has ended or `/proc` cannot be read.
#[must_use]
pub fn stat(pid: i32) -> Option<Process> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&bytes))
}

/// Returns all processes that `/proc` shows, this one among them; `None` if `/proc` cannot be read.
#[must_use]
pub fn processes() -> Option<Vec<Process>> {
    let processes: Vec<Process> = pids().ok()?.filter_map(stat).collect();
    // This process is one itself, so an empty list is no list.
    (!processes.is_empty()).then_some(processes)
}

/// Returns the processes below `ancestors`, parents before their children.
///
/// Takes O(n log n) time for n processes: a job chooses how many there are.
#[must_use]
pub fn descendants(all: &[Process], ancestors: &[i32]) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Process> = Vec::new();
    // Pids that were used again while the list was read may form a circle.
    let mut seen: BTreeSet<i32> = ancestors.iter().copied().collect();
    let mut parents = ancestors.to_vec();
    while let Some(parent) = parents.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.pid) {
                parents.push(child.pid);
                found.push((*child).clone());
            }
        }
    }
    found
}

fn parse_stat(text: &str) -> Option<Process> {
    let (pid, name, mut fields) = split_stat(text)?;
    let state = fields.next()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        name: name.to_owned(),
        state: state.chars().next()?,
        // Field 22; the two above are fields 3 and 4.
        start: fields.nth(17)?.parse().ok()?,
    })
}

/// Splits `/proc/PID/stat` into the pid, the name and the fields from the third one on.
///
/// The name stands in parentheses and may contain blanks and parentheses.
pub(crate) fn split_stat(text: &str) -> Option<(&str, &str, impl Iterator<Item = &str>)> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    Some((pid, name, rest.split_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            name: String::new(),
            state: 'S',
            start: 1,
        }
    }

    #[test]
    fn stat_reads_a_name_with_parentheses_and_blanks() {
        let read =
            parse_stat("42 (a) R (b) Z 7 42 42 0 -1 4194560 86 0 0 0 0 0 0 0 20 0 1 0 3141 5 6 7");
        let expected = Process {
            pid: 42,
            parent: 7,
            name: "a) R (b".to_owned(),
            state: 'Z',
            start: 3141,
        };
        assert_eq!(read, Some(expected));
        assert_eq!(parse_stat("garbage"), None);
        assert_eq!(parse_stat("42 (a) R 7 42"), None);
    }

    #[test]
    fn pids_contains_this_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(pids().unwrap().any(|pid| pid == own));
        let parent = nix::unistd::getppid().as_raw();
        assert_eq!(stat(own).map(|stat| stat.parent), Some(parent));
    }

    #[test]
    fn descendants_leave_out_siblings_and_circles() {
        let all =
            [(1, 0), (5, 1), (6, 5), (7, 6), (8, 1)].map(|(pid, parent)| process(pid, parent));
        let below = descendants(&all, &[5]);
        let pids: Vec<i32> = below.iter().map(|process| process.pid).collect();
        assert_eq!(pids, [6, 7]);
        let circle = [(5, 6), (6, 5)].map(|(pid, parent)| process(pid, parent));
        assert_eq!(descendants(&circle, &[5]).len(), 1);
    }

    #[test]
    fn send_spares_another_process_with_the_same_pid() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let all = processes().unwrap();
        let running = all.iter().find(|process| process.pid == pid).unwrap();
        let other = Process {
            start: running.start + 1,
            ..running.clone()
        };
        assert!(!other.send(Signal::SIGKILL));
        assert!(child.try_wait().unwrap().is_none());
        assert!(running.send(Signal::SIGKILL));
        child.wait().unwrap();
        assert!(!running.send(Signal::SIGKILL));
    }
}
