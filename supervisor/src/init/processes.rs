//! The other processes of the container, as proc_pid_stat(5) shows them, and signals that reach the one that was meant.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::sys::raw;

/// One process. A pid may be another process's a moment later; with the start time it is this one's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) name: String,
    pub(super) state: char,
    /// When it started, in clock ticks after the machine's boot.
    pub(super) start: u64,
}

impl Process {
    /// It has ended, and was not yet waited for.
    pub(super) fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// Stopped by a signal; not by a tracer.
    pub(super) fn is_stopped(&self) -> bool {
        self.state == 'T'
    }

    /// For log and report.
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.name, self.pid)
    }

    /// Whether it is still there: the same process, not another with its pid.
    pub(super) fn is_there(&self) -> bool {
        self.now().is_some_and(|now| !now.is_zombie())
    }

    /// The same process as it is now. It may be a zombie whose other threads have not ended, and which nothing can wait for yet.
    pub(super) fn now(&self) -> Option<Self> {
        read_one(self.pid).filter(|now| now.start == self.start)
    }

    /// A descriptor that becomes readable when the process ends, pidfd_open(2). The pid may be another process's by now:
    /// [`Process::is_there`] says so afterwards.
    pub(super) fn hold(&self) -> Option<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(self.pid)?;
        pidfd_open(pid, PidfdFlags::empty()).ok()
    }

    /// Sends a signal to this very process; false if it has ended, or is not ours to signal.
    ///
    /// pidfd_open(2) holds on to the process before its start time is compared. Linux before 5.3, a seccomp profile or
    /// a limit on descriptors may refuse it: then the comparison comes right before kill(2).
    pub(super) fn send(&self, signal: Signal) -> bool {
        let held = self.hold();
        if !self.is_there() {
            return false;
        }
        let number = rustix::process::Signal::from_named_raw(signal as i32);
        let sent = held
            .zip(number)
            .map(|(held, number)| pidfd_send_signal(held, number));
        match sent {
            Some(Ok(())) => true,
            Some(Err(rustix::io::Errno::SRCH)) => false,
            _ => raw::kill(self.pid, signal as i32).is_ok(),
        }
    }
}

/// All processes that /proc shows, this one among them; `None` if it cannot be read.
pub(super) fn read_all() -> Option<Vec<Process>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // A process that ended meanwhile has no file to read.
    let processes: Vec<Process> = pids.filter_map(read_one).collect();
    // We are one ourselves: an empty list was not read.
    (!processes.is_empty()).then_some(processes)
}

fn read_one(pid: i32) -> Option<Process> {
    // A name may hold any bytes.
    let line = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&line))
}

/// The processes below `ancestor`, parents before their children.
pub(super) fn descendants(all: &[Process], ancestor: i32) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    // Pids that were used again while the list was read may form a circle.
    let mut seen = BTreeSet::from([ancestor]);
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            if seen.insert(child.pid) {
                parents.push(child.pid);
                found.push(child.clone());
            }
        }
    }
    found
}

/// One line of `/proc/PID/stat`, proc_pid_stat(5): the name stands in parentheses and may hold any character.
fn parse_stat(text: &str) -> Option<Process> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        name: name.to_owned(),
        state: state.chars().next()?,
        // Field 22; the two before were fields 3 and 4.
        start: fields.nth(17)?.parse().ok()?,
    })
}

#[cfg(test)]
pub(super) fn example(pid: i32, parent: i32, name: &str) -> Process {
    Process {
        pid,
        parent,
        name: name.to_owned(),
        state: 'S',
        start: u64::try_from(pid).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read_whole() {
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
    fn only_descendants_are_below() {
        let all =
            [(1, 0), (5, 1), (6, 5), (7, 6), (8, 1)].map(|(pid, parent)| example(pid, parent, ""));
        let below = descendants(&all, 5);
        let pids: Vec<i32> = below.iter().map(|process| process.pid).collect();
        assert_eq!(pids, [6, 7]);
        let circle = [(5, 6), (6, 5)].map(|(pid, parent)| example(pid, parent, ""));
        assert_eq!(descendants(&circle, 5).len(), 1);
    }

    #[test]
    fn a_signal_reaches_the_process_that_was_meant_and_no_other_with_its_pid() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let all = read_all().unwrap();
        let there = all.iter().find(|process| process.pid == pid).unwrap();
        let other = Process {
            start: there.start + 1,
            ..there.clone()
        };
        assert!(!other.send(Signal::SIGKILL));
        assert!(child.try_wait().unwrap().is_none());
        assert!(there.send(Signal::SIGKILL));
        child.wait().unwrap();
        assert!(!there.send(Signal::SIGKILL));
    }
}
