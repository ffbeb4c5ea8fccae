//! The child's side of the driver trials: what a build does to a layer, on a layer of its own.
//!
//! Every directory belongs to the namespace's root, our own user outside, so that we can remove it all.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{FUSE_OVERLAYFS, OVERLAY};
use linux::filesystem::{self, FsType};
use linux::probe::{self, ProbeResult};
use linux::{idmap, userns};

/// How long fuse-overlayfs may take to mount.
const MOUNTING: Duration = Duration::from_secs(3);

/// The verdict of the driver trial `name` in the empty directory `path`; `None` for other trials.
#[must_use]
pub fn child(name: &str, path: &Path) -> Option<ProbeResult> {
    let layers = Layers::at(path);
    let done = match name {
        OVERLAY => userns::enter().and_then(|()| layers.try_kernel()),
        FUSE_OVERLAYFS => userns::enter().and_then(|()| layers.try_fuse()),
        _ => return None,
    };
    Some(done.err().unwrap_or(ProbeResult::Works))
}

/// The four directories of one overlay mount.
struct Layers {
    lower: PathBuf,
    upper: PathBuf,
    work: PathBuf,
    merged: PathBuf,
}

impl Layers {
    fn at(path: &Path) -> Self {
        Self {
            lower: path.join("lower"),
            upper: path.join("upper"),
            work: path.join("work"),
            merged: path.join("merged"),
        }
    }

    fn try_kernel(&self) -> Result<(), ProbeResult> {
        self.fill()?;
        // As builds mount it; and unmounted, it would else write back all that is still to be written of its disk.
        let options = format!("{},userxattr,volatile", self.options());
        mount(
            Some("overlay"),
            &self.merged,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .map_err(|errno| ProbeResult::refused("mount(overlay, userxattr)", errno))?;
        self.exercise()?;
        umount2(&self.merged, MntFlags::empty())
            .map_err(|errno| ProbeResult::refused("umount2(overlay)", errno))
    }

    fn try_fuse(&self) -> Result<(), ProbeResult> {
        let device = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse");
        told("open(/dev/fuse, O_RDWR)", device)?;
        self.fill()?;
        let mut server = self.start_fuse()?;
        let done = self
            .wait_for_fuse(&mut server)
            .and_then(|()| self.exercise());
        let unmounted = umount2(&self.merged, MntFlags::MNT_DETACH);
        // It would end by itself now; this is sooner.
        let _ = server.kill();
        let _ = server.wait();
        done?;
        unmounted.map_err(|errno| ProbeResult::refused("umount2(fuse)", errno))
    }

    fn options(&self) -> String {
        let [lower, upper, work] =
            [&self.lower, &self.upper, &self.work].map(|path| path.display());
        format!("lowerdir={lower},upperdir={upper},workdir={work}")
    }

    /// In the foreground and bound to our life, so that it ends with the trial.
    fn start_fuse(&self) -> Result<Child, ProbeResult> {
        let spawned = probe::command(userns::BOUND)
            .args([FUSE_OVERLAYFS, "-f", "-o"])
            .args([OsStr::new(&self.options()), self.merged.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        told("exec(fuse-overlayfs)", spawned)
    }

    fn wait_for_fuse(&self, server: &mut Child) -> Result<(), ProbeResult> {
        let end = Instant::now() + MOUNTING;
        while Instant::now() < end {
            if filesystem::fs_type(&self.merged) == Ok(FsType::FUSE) {
                return Ok(());
            }
            if let Some(status) = told("wait(fuse-overlayfs)", server.try_wait())? {
                let missing = status.code() == Some(i32::from(report::exit::NOT_FOUND));
                let errno = if missing { Errno::ENOENT } else { Errno::EPERM };
                let call = if missing { "exec" } else { "mount" };
                return Err(ProbeResult::refused(
                    format!("{call}(fuse-overlayfs)"),
                    errno,
                ));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(ProbeResult::refused(
            "mount(fuse-overlayfs)",
            Errno::ETIMEDOUT,
        ))
    }

    /// A layer as an image brings it: files of several owners.
    fn fill(&self) -> Result<(), ProbeResult> {
        for path in [&self.lower, &self.upper, &self.work, &self.merged] {
            told("mkdir", fs::create_dir(path))?;
        }
        told("mkdir", fs::create_dir(self.lower.join("directory")))?;
        for name in ["removed", "changed", "directory/file"] {
            told("write", fs::write(self.lower.join(name), "lower"))?;
        }
        if has_subordinate_ids() {
            let file = self.lower.join("changed");
            told(
                "chown(1:1)",
                std::os::unix::fs::chown(file, Some(1), Some(1)),
            )?;
        }
        Ok(())
    }

    /// Whiteout, opaque directory, rename, copy-up, and a second look at each.
    fn exercise(&self) -> Result<(), ProbeResult> {
        let path = |name: &str| self.merged.join(name);
        told("unlink in the overlay", fs::remove_file(path("removed")))?;
        told(
            "rmdir in the overlay",
            fs::remove_dir_all(path("directory")),
        )?;
        told("mkdir in the overlay", fs::create_dir(path("directory")))?;
        told("mkdir in the overlay", fs::create_dir(path("made")))?;
        told(
            "rename in the overlay",
            fs::rename(path("made"), path("renamed")),
        )?;
        let changed = fs::OpenOptions::new().append(true).open(path("changed"));
        let mut changed = told("open in the overlay", changed)?;
        told("write in the overlay", changed.write_all(b"+upper"))?;
        drop(changed);
        self.verify()
    }

    fn verify(&self) -> Result<(), ProbeResult> {
        let path = |name: &str| self.merged.join(name);
        let empty = told("read the overlay", fs::read_dir(path("directory")))?
            .next()
            .is_none();
        let text = told("read the overlay", fs::read_to_string(path("changed")))?;
        let right =
            empty && text == "lower+upper" && !path("removed").exists() && path("renamed").is_dir();
        if right {
            return Ok(());
        }
        Err(ProbeResult::refused(
            "the overlay shows other files than were made",
            Errno::EIO,
        ))
    }
}

/// Degraded namespaces map our own id only; owners cannot be tried there.
fn has_subordinate_ids() -> bool {
    let map = fs::read_to_string(idmap::IdType::User.map_file("self")).unwrap_or_default();
    let ids: u64 = (idmap::parse_map(&map).iter())
        .map(|line| u64::from(line.count))
        .sum();
    ids > 1
}

fn told<T>(call: &str, result: std::io::Result<T>) -> Result<T, ProbeResult> {
    result.map_err(|error| ProbeResult::refused(call, error))
}
