//! The process of a wipe: its output, its peak memory, and a moment at which it is held.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use rustix::fs::CWD;
use serde_json::Value;

/// The result of a command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) peak_memory: u64,
}

impl Finished {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn count(&self, field: &str) -> u64 {
        self.json()[field].as_u64().unwrap()
    }

    pub(crate) fn leftovers(&self) -> Vec<String> {
        let list = self.json()["leftovers"].clone();
        serde_json::from_value(list).unwrap()
    }

    pub(crate) fn assert_complete(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.count("leftover_count"), 0);
    }

    /// Requires exit code 75 and the leftover `path` with a cause that begins with `errno`.
    pub(crate) fn assert_leftover(&self, path: &Path, errno: &str) {
        assert_eq!(self.code, Some(75), "{self:?}");
        let start = format!("{}: {errno}", path.display());
        let leftovers = self.leftovers();
        assert!(
            leftovers.iter().any(|line| line.starts_with(&start)),
            "no {start:?} in {leftovers:?}"
        );
        assert!(self.stderr.contains(&start), "{}", self.stderr);
    }
}

/// Starts a command for [`finish`], which reads its output.
pub(crate) fn start(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// No command takes this long unless it hangs.
const LONGEST: Duration = Duration::from_secs(120);

pub(crate) fn finish(mut child: Child) -> Finished {
    let end = Instant::now() + LONGEST;
    let stdout = reader(child.stdout.take().unwrap());
    let stderr = reader(child.stderr.take().unwrap());
    let mut peak_memory = 0;
    let status = loop {
        // wait4(2) would count the memory of this process too, from which the program was forked.
        // The limit holds for each child separately.
        let children = children(child.id()).into_iter().chain([child.id()]);
        peak_memory = children
            .filter_map(high_water_mark)
            .fold(peak_memory, u64::max);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("the wipe does not end");
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    Finished {
        code: status.code(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        peak_memory,
    }
}

fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    })
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// Returns `VmHWM` of a supervisor in bytes, which never falls.
fn high_water_mark(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    if field("Name:")?.trim() != "supervisor" {
        return None;
    }
    let kibibytes: u64 = field("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

pub(crate) fn run(command: Command) -> Finished {
    finish(start(command))
}

/// Holds a process that opens a directory until the test releases it, fanotify(7).
pub(crate) struct OpenBlocker(Fanotify);

impl OpenBlocker {
    pub(crate) fn new(directory: &Path) -> Self {
        let kind = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_CLOEXEC;
        let group = Fanotify::init(kind, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC).unwrap();
        let opening = MaskFlags::FAN_OPEN_PERM | MaskFlags::FAN_ONDIR;
        group
            .mark(MarkFlags::FAN_MARK_ADD, opening, CWD, Some(directory))
            .unwrap();
        Self(group)
    }

    /// Waits until a process opens the directory, and holds it while `meanwhile` runs and for `time` more.
    pub(crate) fn hold(self, time: Duration, meanwhile: impl FnOnce()) {
        let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(LONGEST).unwrap();
        assert_eq!(
            poll(&mut ready, timeout),
            Ok(1),
            "no process opened the directory"
        );
        let _held = self.0.read_events().unwrap();
        meanwhile();
        std::thread::sleep(time);
        // The kernel releases the process when the group is closed.
    }
}
