//! Reads the processes from procfs, and kills them, without an allocation: while memory runs out, an allocation could wait.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal as NixSignal;
use nix::unistd::{SysconfVar, sysconf};
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom, openat, seek};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::cgroup::digits;
use crate::table::{Entry, Measure, parse_stat, parse_statm};
use linux::libc_ext;

/// More processes than this are not read in one scan. The pages of the table are used only as far as it is filled.
const MOST: usize = 16_384;

/// Of a process with less memory, only the resident size is read: a fork bomb has thousands, and each file takes time.
const EXACT: u64 = 8 << 20;

/// An open `/proc`, and room for what is read.
#[derive(Debug)]
pub(crate) struct Scanner {
    proc: OwnedFd,
    names: Box<[MaybeUninit<u8>; 4096]>,
    page: u64,
    pub(crate) entries: Vec<Entry>,
    /// Those of the scan before.
    previous: Vec<Entry>,
}

/// A process that was sent SIGKILL.
#[derive(Debug)]
pub(crate) struct Victim(Option<OwnedFd>);

impl Victim {
    /// Whether it still has its memory. Unknown counts as no.
    pub(crate) fn is_dying(&self) -> bool {
        let Some(pidfd) = &self.0 else { return false };
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }
}

/// `PID/FILE` with its NUL byte, in a fixed buffer.
struct ProcPath([u8; 40]);

impl ProcPath {
    fn new(pid: i32, file: &str) -> Self {
        let mut path = [0; 40];
        let mut number = [0; 10];
        let mut at = number.len();
        let mut rest = pid.unsigned_abs();
        loop {
            at -= 1;
            number[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let parts = [&number[at..], b"/", file.as_bytes()];
        let bytes = parts.into_iter().flatten().take(path.len() - 1);
        for (to, from) in path.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(path)
    }

    fn as_c_str(&self) -> &CStr {
        // There is always a NUL byte, because the last one is never written.
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

impl Scanner {
    pub(crate) fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            proc: openat(rustix::fs::CWD, "/proc", flags, Mode::empty())?,
            names: Box::new([MaybeUninit::uninit(); 4096]),
            page: page_size(),
            entries: Vec::with_capacity(MOST),
            previous: Vec::with_capacity(MOST),
        })
    }

    /// Reads all processes. Their groups are not set.
    pub(crate) fn scan(&mut self, measure: Measure) {
        std::mem::swap(&mut self.entries, &mut self.previous);
        self.entries.clear();
        if seek(&self.proc, SeekFrom::Start(0)).is_err() {
            return;
        }
        let mut names = RawDir::new(&self.proc, &mut self.names[..]);
        while let Some(Ok(name)) = names.next() {
            let pid = digits(name.file_name().to_bytes());
            let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) else {
                continue;
            };
            if self.entries.len() == MOST {
                return;
            }
            let Some(mut entry) = stat(&self.proc, pid) else {
                continue;
            };
            let is_large = entry.bytes.saturating_mul(self.page) >= EXACT;
            if measure == Measure::Anonymous && is_large {
                let mut text = [0; 128];
                let statm = read(&self.proc, &ProcPath::new(pid, "statm"), &mut text);
                entry.bytes = statm.and_then(parse_statm).unwrap_or(0);
            }
            entry.bytes = entry.bytes.saturating_mul(self.page);
            self.entries.push(entry);
        }
        // procfs lists them in this order anyway.
        self.entries.sort_unstable_by_key(|entry| entry.pid);
    }

    /// Whether the scan before had it in the same group.
    pub(crate) fn had(&self, entry: &Entry) -> bool {
        let at = self
            .previous
            .binary_search_by_key(&entry.pid, |one| one.pid);
        let before = at.ok().map(|at| self.previous[at]);
        before.is_some_and(|before| (before.start, before.group) == (entry.start, entry.group))
    }

    /// Whether it has ended and is reaped.
    pub(crate) fn is_gone(&self, entry: &Entry) -> bool {
        stat(&self.proc, entry.pid).is_none_or(|now| now.start != entry.start)
    }

    /// The inode of the user namespace of a process, without opening it.
    pub(crate) fn user_namespace(&self, pid: i32) -> Option<u64> {
        let path = ProcPath::new(pid, "ns/user");
        let mut text = [0_u8; 64];
        let count = rustix::fs::readlinkat_raw(&self.proc, path.as_c_str(), &mut text[..]).ok()?;
        digits(text[..count].strip_prefix(b"user:[")?.strip_suffix(b"]")?)
    }

    /// Opens the user namespace of a process.
    pub(crate) fn open_user_namespace(&self, pid: i32) -> Option<OwnedFd> {
        let path = ProcPath::new(pid, "ns/user");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        openat(&self.proc, path.as_c_str(), flags, Mode::empty()).ok()
    }

    /// Sends SIGKILL to this very process. `None` if it has ended or may not be signalled.
    ///
    /// The pidfd holds the process before its start time is compared, so another process with its pid is never hit.
    pub(crate) fn kill(&self, entry: &Entry) -> Option<Victim> {
        let pid = Pid::from_raw(entry.pid)?;
        let held = pidfd_open(pid, PidfdFlags::empty()).ok();
        let now = stat(&self.proc, entry.pid)?;
        if now.start != entry.start {
            return None;
        }
        match &held {
            Some(held) => pidfd_send_signal(held, Signal::KILL).ok()?,
            // A seccomp profile or a limit on descriptors may refuse it.
            None => libc_ext::kill(entry.pid, NixSignal::SIGKILL as i32).ok()?,
        }
        Some(Victim(held))
    }
}

fn page_size() -> u64 {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok())
        .unwrap_or(4096)
}

fn stat(proc: &OwnedFd, pid: i32) -> Option<Entry> {
    let mut text = [0; 512];
    parse_stat(pid, read(proc, &ProcPath::new(pid, "stat"), &mut text)?)
}

fn read<'a>(proc: &OwnedFd, path: &ProcPath, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(proc, path.as_c_str(), flags, Mode::empty()).ok()?;
    let count = rustix::io::read(&file, &mut *buffer).ok()?;
    Some(&buffer[..count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn proc_path_is_pid_and_file() {
        for (pid, text) in [(0, "0/stat"), (7, "7/stat"), (i32::MAX, "2147483647/stat")] {
            let path = ProcPath::new(pid, "stat");
            assert_eq!(path.as_c_str().to_str(), Ok(text));
        }
        let cut = ProcPath::new(1, &"x".repeat(100));
        assert_eq!(cut.as_c_str().count_bytes(), 39);
    }

    #[test]
    fn scan_finds_this_process_with_its_memory() {
        let mut scanner = Scanner::open().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        for _ in 0..2 {
            scanner.scan(Measure::Anonymous);
            let entries = &scanner.entries;
            let found = entries.iter().find(|entry| entry.pid == own).unwrap();
            assert!(found.bytes > 0 && found.start > 0, "{found:?}");
            assert!(entries.is_sorted_by_key(|entry| entry.pid));
        }
        let link = std::fs::read_link("/proc/self/ns/user").unwrap();
        let inode = scanner.user_namespace(own).unwrap();
        assert_eq!(link.to_str(), Some(format!("user:[{inode}]").as_str()));
    }

    #[test]
    fn kill_spares_another_process_with_the_same_pid() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mut scanner = Scanner::open().unwrap();
        scanner.scan(Measure::Anonymous);
        let found = scanner.entries.iter().find(|entry| entry.pid == pid);
        let entry = *found.unwrap();
        let other = Entry {
            start: entry.start + 1,
            ..entry
        };
        assert!(scanner.kill(&other).is_none());
        assert!(child.try_wait().unwrap().is_none());
        let victim = scanner.kill(&entry).unwrap();
        child.wait().unwrap();
        assert!(!victim.is_dying());
        assert!(scanner.kill(&entry).is_none());
    }
}
