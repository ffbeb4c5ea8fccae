//! A watchdog that removes a process's scratch directories if the process is killed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getuid;

use super::{probe, scratch};

/// The watchdog of one directory. It ends when the value is dropped.
#[derive(Debug)]
pub struct CleanupWatchdog(Option<Child>);

/// The name of the probe that the watchdog is: `cleanup-watchdog OWNER PLACE DIRECTORY…`. The owner holds the other end
/// of its stdin.
pub const NAME: &str = "cleanup-watchdog";
/// The message of an owner that has removed everything itself.
const DONE: &[u8] = b"done";
/// How long the watchdog goes on after its last find. Children of the owner may die later than the owner.
const QUIET: Duration = Duration::from_millis(200);
/// The longest time that it goes on.
const MAX_WAIT: Duration = Duration::from_secs(10);

impl CleanupWatchdog {
    /// Starts a watchdog over the scratch directories that this process makes in `place`.
    ///
    /// If it cannot be started, the next probe in `place` removes what a killed process leaves.
    #[must_use]
    pub fn start(place: &Path) -> Self {
        Self::start_with(place, &[])
    }

    /// Starts a watchdog that also removes `directories`, in this order, if they do not exist yet and are empty at the
    /// end.
    #[must_use]
    pub fn start_with(place: &Path, directories: &[PathBuf]) -> Self {
        let absent = directories.iter().filter(|path| !path.exists());
        let child = probe::command(NAME)
            .arg(scratch::owner())
            .arg(scratch::nearest_existing(place))
            .args(absent)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.ok())
    }
}

impl Drop for CleanupWatchdog {
    fn drop(&mut self) {
        let Some(child) = &mut self.0 else { return };
        if let Some(mut stdin) = child.stdin.take() {
            // A failed write is harmless: the watchdog sees the end of its stdin and finds nothing left to remove.
            let _ = stdin.write_all(DONE);
        }
        // It ends by itself.
        let _ = child.wait();
    }
}

/// The watchdog itself: waits until the owner is done or gone, then removes what it left.
pub fn run_in_child(owner: &str, place: &Path, directories: &[OsString]) {
    // A Ctrl-C that ends the owner must not end its watchdog.
    let ignored: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    let _ = ignored.thread_block();
    let known = empty_temporary_files();
    let mut received = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut received);
    if received != DONE {
        remove_all(place, &scratch::prefix(owner), &known);
    }
    for directory in directories {
        // A directory that is not empty is in use by another process.
        let _ = std::fs::remove_dir(directory);
    }
}

/// Removes directories until none has appeared for a while.
fn remove_all(place: &Path, prefix: &str, known: &BTreeSet<PathBuf>) {
    let began = Instant::now();
    let mut found = began;
    while found.elapsed() < QUIET && began.elapsed() < MAX_WAIT {
        for path in scratch_directories(place, prefix) {
            scratch::remove(&path);
            found = Instant::now();
        }
        for path in empty_temporary_files().difference(known) {
            let _ = std::fs::remove_file(path);
            found = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn scratch_directories(place: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let left = entries.filter(|entry| {
        let name = entry.file_name();
        name.as_bytes().starts_with(prefix.as_bytes())
    });
    left.map(|entry| entry.path()).collect()
}

/// Lists our empty files that Buildah and crun make when they start and unlink at once. They stay if the program is
/// killed in between. Sources: `try_bindfd` in containers/storage, pkg/unshare/unshare.c; crun,
/// src/libcrun/cloned_binary.c.
fn empty_temporary_files() -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir("/tmp").into_iter().flatten().flatten();
    let named = entries.filter(|entry| {
        let name = entry.file_name();
        let mut prefixes = [&b"containers."[..], b"crun."].into_iter();
        prefixes.any(|prefix| name.as_bytes().starts_with(prefix))
    });
    let own = named.filter(|entry| {
        let metadata = entry.metadata();
        metadata.is_ok_and(|found| {
            found.is_file() && found.len() == 0 && found.uid() == getuid().as_raw()
        })
    });
    own.map(|entry| entry.path()).collect()
}
