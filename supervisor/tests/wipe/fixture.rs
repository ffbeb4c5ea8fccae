//! A workspace that a test wipes, and a canary tree beside it that must not change.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Finished, run};

pub(crate) const UID: u32 = 1000;

/// The user that wipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    /// The uid 1000 without capabilities, as in a pod.
    Runner,
}

/// Both users, for tests that hold for both.
pub(crate) const USERS: [User; 2] = [User::Root, User::Runner];

/// A temporary directory with `workspace` and `canary`, and the supervisor.
pub(crate) struct Fixture {
    directory: TempDir,
    /// A directory in which uid 1000 can execute the supervisor.
    program: TempDir,
    user: User,
    before: BTreeMap<PathBuf, Vec<u8>>,
}

impl Fixture {
    /// Makes it in the directory for temporary files, which is on a disk.
    pub(crate) fn new(user: User) -> Self {
        Self::make(user, tempfile::tempdir().unwrap())
    }

    /// Makes it in memory, for large trees.
    pub(crate) fn in_memory(user: User) -> Self {
        Self::make(user, tempfile::tempdir_in("/dev/shm").unwrap())
    }

    fn make(user: User, directory: TempDir) -> Self {
        assert!(
            rustix::process::getuid().is_root(),
            "these tests change users and mount: run them as root"
        );
        let mut fixture = Self {
            directory,
            program: tempfile::tempdir().unwrap(),
            user,
            before: BTreeMap::new(),
        };
        for directory in [&fixture.directory, &fixture.program] {
            let open = PermissionsExt::from_mode(0o755);
            fs::set_permissions(directory.path(), open).unwrap();
        }
        // The directory of the build may be closed to uid 1000.
        let binary = env!("CARGO_BIN_EXE_supervisor");
        fs::hard_link(binary, fixture.supervisor())
            .or_else(|_| fs::copy(binary, fixture.supervisor()).map(|_| ()))
            .unwrap();
        // The user that wipes could remove everything here, so only the wipe itself spares the canary.
        fixture.own(fixture.directory.path());
        fixture.owned_directory("workspace");
        fixture.owned_directory("canary/below/deeper");
        for name in [
            "canary/one",
            "canary/below/two",
            "canary/below/deeper/three",
        ] {
            fixture.file(name, name);
        }
        fixture.before = contents(&fixture.path("canary"));
        fixture
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.directory.path().join(Path::new(name.as_ref()))
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    pub(crate) fn uid(&self) -> u32 {
        if self.user == User::Runner { UID } else { 0 }
    }

    pub(crate) fn supervisor(&self) -> PathBuf {
        self.program.path().join("supervisor")
    }

    /// Makes directories that belong to the user that wipes.
    pub(crate) fn owned_directory(&self, name: &str) -> PathBuf {
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
        if self.user == User::Runner {
            chown(path, Some(UID), Some(UID)).unwrap();
        }
    }

    /// Gives everything in the workspace to the user that wipes.
    pub(crate) fn chown_workspace(&self) {
        if self.user == User::Runner {
            let status = Command::new("chown")
                .args(["--recursive", "--no-dereference", "1000:1000"])
                .arg(self.workspace())
                .status();
            assert!(status.unwrap().success());
        }
    }

    /// Runs a shell script as the user that wipes, in the workspace, with `$canary`.
    pub(crate) fn run_script(&self, script: &str) {
        let mut command = Command::new("bash");
        command
            .args(["-ec", script])
            .current_dir(self.workspace())
            .env("canary", self.path("canary"));
        self.run_as_user(&mut command);
        assert!(command.status().unwrap().success(), "{script}");
    }

    pub(crate) fn run_as_user(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        if self.user == User::Runner {
            command.uid(UID).gid(UID);
        }
    }

    /// Returns the command `supervisor wipe` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.supervisor());
        command.arg("wipe").args(arguments);
        self.run_as_user(&mut command);
        command
    }

    /// Wipes the workspace.
    pub(crate) fn wipe(&self, flags: &[&str]) -> Finished {
        let mut command = self.command(flags);
        command.arg("--json").arg(self.workspace());
        run(command)
    }

    /// Wipes the workspace and requires that it is gone.
    pub(crate) fn wipe_completely(&self) -> Finished {
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

    /// Requires that the canary has the same bytes, modes, owners and link counts as before.
    pub(crate) fn assert_canary(&self) {
        assert_eq!(contents(&self.path("canary")), self.before);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // A failed test may leave immutable files.
        let _ = Command::new("chattr")
            .args(["-R", "-f", "-i", "-a"])
            .arg(self.directory.path())
            .stderr(Stdio::null())
            .status();
        // The standard library's removal has too few descriptors for deep trees.
        let _ = Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(self.directory.path())
            .status();
    }
}

/// Returns every path beneath `path`, with its mode, owner, link count and content.
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
