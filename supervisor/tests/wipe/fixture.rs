//! A workspace to be wiped, and a canary tree beside it that must stay as it is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use nix::unistd::chown;
use rustix::fs::CWD;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const UID: u32 = 1000;

/// Who wipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    /// uid 1000 without capabilities, as in a pod.
    Runner,
}

/// Both, for what must hold for both.
pub(crate) const BOTH: [Who; 2] = [Who::Root, Who::Runner];

/// A directory of a test's own with `workspace`, `canary` and the supervisor.
pub(crate) struct Place {
    directory: TempDir,
    /// The supervisor, where it can be executed.
    program: TempDir,
    who: Who,
    before: BTreeMap<PathBuf, Vec<u8>>,
}

impl Place {
    /// On disk, or wherever temporary files are.
    pub(crate) fn new(who: Who) -> Self {
        Self::make(who, tempfile::tempdir().unwrap())
    }

    /// In memory: for trees that take long to make.
    pub(crate) fn in_memory(who: Who) -> Self {
        Self::make(who, tempfile::tempdir_in("/dev/shm").unwrap())
    }

    fn make(who: Who, directory: TempDir) -> Self {
        assert!(
            nix::unistd::getuid().is_root(),
            "these tests change users and mount: run them as root"
        );
        let mut place = Self {
            directory,
            program: tempfile::tempdir().unwrap(),
            who,
            before: BTreeMap::new(),
        };
        for directory in [&place.directory, &place.program] {
            let open = PermissionsExt::from_mode(0o755);
            fs::set_permissions(directory.path(), open).unwrap();
        }
        // Its own place may be closed to uid 1000.
        let binary = env!("CARGO_BIN_EXE_supervisor");
        fs::hard_link(binary, place.supervisor())
            .or_else(|_| fs::copy(binary, place.supervisor()).map(|_| ()))
            .unwrap();
        // Whoever wipes could remove everything here: what keeps the canary is the wipe alone.
        place.own(place.directory.path());
        place.directory_of_the_job("workspace");
        place.directory_of_the_job("canary/below/deeper");
        for name in [
            "canary/one",
            "canary/below/two",
            "canary/below/deeper/three",
        ] {
            place.file(name, name);
        }
        place.before = contents(&place.path("canary"));
        place
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.directory.path().join(Path::new(name.as_ref()))
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    pub(crate) fn uid(&self) -> u32 {
        if self.who == Who::Runner { UID } else { 0 }
    }

    pub(crate) fn supervisor(&self) -> PathBuf {
        self.program.path().join("supervisor")
    }

    /// Makes directories that belong to whoever wipes.
    pub(crate) fn directory_of_the_job(&self, name: &str) -> PathBuf {
        let mut here = self.directory.path().to_owned();
        for part in Path::new(name) {
            here.push(part);
            if !here.exists() {
                fs::create_dir(&here).unwrap();
                self.own(&here);
            }
        }
        here
    }

    pub(crate) fn file(&self, name: impl AsRef<OsStr>, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        self.own(&path);
        path
    }

    fn own(&self, path: &Path) {
        if self.who == Who::Runner {
            chown(path, Some(UID.into()), Some(UID.into())).unwrap();
        }
    }

    /// Gives everything in the workspace to whoever wipes.
    pub(crate) fn own_all(&self) {
        if self.who == Who::Runner {
            let status = Command::new("chown")
                .args(["--recursive", "--no-dereference", "1000:1000"])
                .arg(self.workspace())
                .status();
            assert!(status.unwrap().success());
        }
    }

    /// Runs a shell script as whoever wipes, in the workspace, with `$canary`.
    pub(crate) fn job(&self, script: &str) {
        let mut command = Command::new("bash");
        command
            .args(["-ec", script])
            .current_dir(self.workspace())
            .env("canary", self.path("canary"));
        self.as_who(&mut command);
        assert!(command.status().unwrap().success(), "{script}");
    }

    pub(crate) fn as_who(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        if self.who == Who::Runner {
            command.uid(UID).gid(UID);
        }
    }

    /// `supervisor wipe` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.supervisor());
        command.arg("wipe").args(arguments);
        self.as_who(&mut command);
        command
    }

    /// Wipes the workspace.
    pub(crate) fn wipe(&self, flags: &[&str]) -> Wiped {
        let mut command = self.command(flags);
        command.arg("--json").arg(self.workspace());
        run(command)
    }

    /// Wipes the workspace, which must work.
    pub(crate) fn assert_wiped(&self) -> Wiped {
        let wiped = self.wipe(&[]);
        wiped.assert_complete();
        self.assert_gone();
        wiped
    }

    pub(crate) fn assert_gone(&self) {
        assert!(fs::symlink_metadata(self.workspace()).is_err());
        self.assert_canary();
    }

    pub(crate) fn assert_empty(&self) {
        let left: Vec<PathBuf> = fs::read_dir(self.workspace())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "{left:?}");
        self.assert_canary();
    }

    /// Byte for byte, and with the same modes, owners and link counts.
    pub(crate) fn assert_canary(&self) {
        assert_eq!(contents(&self.path("canary")), self.before);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Immutable files of a failed test would stay behind.
        let _ = Command::new("chattr")
            .args(["-R", "-f", "-i", "-a"])
            .arg(self.directory.path())
            .stderr(Stdio::null())
            .status();
        // Deeper than what the standard library's own removal has descriptors for.
        let _ = Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(self.directory.path())
            .status();
    }
}

/// Every path beneath, with what must not change about it.
pub(crate) fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let data = fs::symlink_metadata(&path).unwrap();
        let (mode, uid, links) = (data.mode(), data.uid(), data.nlink());
        let mut content = format!("{mode:o} {uid} {links} ").into_bytes();
        if data.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if data.is_file() {
            content.extend(fs::read(&path).unwrap());
        }
        found.insert(path, content);
    }
    found
}

/// What one wipe said.
#[derive(Debug)]
pub(crate) struct Wiped {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) peak_memory: u64,
}

impl Wiped {
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

    /// Exit code 75, and the only thing left is `path` for the reason `errno`.
    pub(crate) fn assert_left(&self, path: &Path, errno: &str) {
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

/// Starts a command whose output `finish` reads.
pub(crate) fn start(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Nothing here takes so long, unless it never ends.
const LONGEST: Duration = Duration::from_secs(120);

pub(crate) fn finish(mut child: Child) -> Wiped {
    let end = Instant::now() + LONGEST;
    let stdout = reader(child.stdout.take().unwrap());
    let stderr = reader(child.stderr.take().unwrap());
    let mut peak_memory = 0;
    let status = loop {
        // Of the program itself: what wait4(2) says includes this process, from which it was forked.
        // A child of its own has its own limit.
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
    Wiped {
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

/// `VmHWM` of a supervisor, which never falls.
fn high_water_mark(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    if field("Name:")?.trim() != "supervisor" {
        return None;
    }
    let kibibytes: u64 = field("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

pub(crate) fn run(command: Command) -> Wiped {
    finish(start(command))
}

/// Holds whoever opens a directory, until the test lets go: the moment waits for the test.
pub(crate) struct Ambush(Fanotify);

impl Ambush {
    pub(crate) fn at(directory: &Path) -> Self {
        let kind = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_CLOEXEC;
        let group = Fanotify::init(kind, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC).unwrap();
        let opening = MaskFlags::FAN_OPEN_PERM | MaskFlags::FAN_ONDIR;
        group
            .mark(MarkFlags::FAN_MARK_ADD, opening, CWD, Some(directory))
            .unwrap();
        Self(group)
    }

    /// Waits until the directory is opened, and lets whoever does so wait for `time` more than `meanwhile` takes.
    pub(crate) fn hold(self, time: Duration, meanwhile: impl FnOnce()) {
        let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(LONGEST).unwrap();
        assert_eq!(poll(&mut ready, patience), Ok(1), "nobody came");
        let _held = self.0.read_events().unwrap();
        meanwhile();
        std::thread::sleep(time);
        // With the group's end the kernel lets everybody go.
    }
}
