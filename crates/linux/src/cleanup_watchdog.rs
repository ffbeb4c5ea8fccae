//! A process that removes what we made in a place, should we be killed before we could.

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

/// Dropping it ends it.
#[derive(Debug)]
pub struct CleanupWatchdog(Option<Child>);

/// The trial that it is: `guard MAKER PLACE DIRECTORY…`, with the owner at the other end of stdin.
pub const NAME: &str = "cleanup-watchdog";
/// What the owner says when it removed everything itself.
const DONE: &[u8] = b"done";
/// How long it looks for what those left who were killed with the owner, and may be about to die still.
const QUIET: Duration = Duration::from_millis(200);
/// How long at the most.
const MAX_WAIT: Duration = Duration::from_secs(10);

impl CleanupWatchdog {
    /// A guard over the scratch directories that this process makes for `place`. Where none can be started, the next
    /// trial there removes them.
    #[must_use]
    pub fn start(place: &Path) -> Self {
        Self::start_with(place, &[])
    }

    /// The same, and over directories that others will make: those that are not there yet are removed if they are
    /// empty, in this order.
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
            // Who cannot be told finds nothing to remove.
            let _ = stdin.write_all(DONE);
        }
        // It ends by itself.
        let _ = child.wait();
    }
}

/// The guard's side: waits until the owner is done or gone, then removes what it left.
pub fn run_in_child(owner: &str, place: &Path, directories: &[OsString]) {
    // A Ctrl-C that ends the owner must not end its guard.
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
        // Not empty: in use by someone else by now.
        let _ = std::fs::remove_dir(directory);
    }
}

/// Until none has been found for a while.
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

/// Empty files of ours that Buildah and crun make on their start and unlink at once, unless they are killed in between:
/// `try_bindfd` in containers/storage, pkg/unshare/unshare.c, and in crun, src/libcrun/cloned_binary.c.
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
