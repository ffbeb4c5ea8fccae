//! The child's side of the driver probes: does to a layer of its own what a build does to a layer.
//!
//! Every directory belongs to root of the namespace, which is our own user outside. So this process can remove it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use linux::filesystem::{FsType, fs_type};
use linux::probe::{self, ProbeResult};
use linux::{idmap, userns};

/// The name of the probe of the kernel's overlay file system.
pub(super) const OVERLAY: &str = "overlay";
/// The name of the probe of fuse-overlayfs.
pub(super) const FUSE_OVERLAYFS: &str = "fuse-overlayfs";

/// The time that fuse-overlayfs has to mount.
const MOUNT_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs the driver probe `name` in the empty directory `path`. Returns `None` if `name` is another probe.
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
        // The options of a build. Without `volatile`, unmounting would sync the whole disk.
        let options = format!("{},userxattr,volatile", self.options());
        mount(
            Some("overlay"),
            &self.merged,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .map_err(|errno| ProbeResult::refused("mount(overlay, userxattr)", errno))?;
        self.test()?;
        umount2(&self.merged, MntFlags::empty())
            .map_err(|errno| ProbeResult::refused("umount2(overlay)", errno))
    }

    fn try_fuse(&self) -> Result<(), ProbeResult> {
        let device = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse");
        refusal("open(/dev/fuse, O_RDWR)", device)?;
        self.fill()?;
        let mut server = self.start_fuse()?;
        let done = self.wait_for_fuse(&mut server).and_then(|()| self.test());
        let unmounted = umount2(&self.merged, MntFlags::MNT_DETACH);
        // It would end by itself after the unmount; this is faster.
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

    /// Starts fuse-overlayfs in the foreground. It ends when this process ends.
    fn start_fuse(&self) -> Result<Child, ProbeResult> {
        let spawned = probe::command(userns::BOUND)
            .args([FUSE_OVERLAYFS, "-f", "-o"])
            .args([OsStr::new(&self.options()), self.merged.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        refusal("exec(fuse-overlayfs)", spawned)
    }

    fn wait_for_fuse(&self, server: &mut Child) -> Result<(), ProbeResult> {
        let end = Instant::now() + MOUNT_TIMEOUT;
        while Instant::now() < end {
            if fs_type(&self.merged) == Ok(FsType::FUSE) {
                return Ok(());
            }
            if let Some(status) = refusal("wait(fuse-overlayfs)", server.try_wait())? {
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

    /// Fills the lower layer as an image does: with files of several owners.
    fn fill(&self) -> Result<(), ProbeResult> {
        for path in [&self.lower, &self.upper, &self.work, &self.merged] {
            refusal("mkdir", fs::create_dir(path))?;
        }
        refusal("mkdir", fs::create_dir(self.lower.join("directory")))?;
        for name in ["removed", "changed", "directory/file"] {
            refusal("write", fs::write(self.lower.join(name), "lower"))?;
        }
        if has_subordinate_ids() {
            let file = self.lower.join("changed");
            refusal(
                "chown(1:1)",
                std::os::unix::fs::chown(file, Some(1), Some(1)),
            )?;
        }
        Ok(())
    }

    /// Makes a whiteout and an opaque directory, renames, copies a file up, and verifies each.
    fn test(&self) -> Result<(), ProbeResult> {
        let path = |name: &str| self.merged.join(name);
        refusal("unlink in the overlay", fs::remove_file(path("removed")))?;
        refusal(
            "rmdir in the overlay",
            fs::remove_dir_all(path("directory")),
        )?;
        refusal("mkdir in the overlay", fs::create_dir(path("directory")))?;
        refusal("mkdir in the overlay", fs::create_dir(path("made")))?;
        refusal(
            "rename in the overlay",
            fs::rename(path("made"), path("renamed")),
        )?;
        let changed = fs::OpenOptions::new().append(true).open(path("changed"));
        let mut changed = refusal("open in the overlay", changed)?;
        refusal("write in the overlay", changed.write_all(b"+upper"))?;
        drop(changed);
        self.verify()
    }

    fn verify(&self) -> Result<(), ProbeResult> {
        let path = |name: &str| self.merged.join(name);
        let empty = refusal("read the overlay", fs::read_dir(path("directory")))?
            .next()
            .is_none();
        let text = refusal("read the overlay", fs::read_to_string(path("changed")))?;
        let right =
            empty && text == "lower+upper" && !path("removed").exists() && path("renamed").is_dir();
        if right {
            return Ok(());
        }
        Err(ProbeResult::refused(
            "the overlay has other files than the test made",
            Errno::EIO,
        ))
    }
}

/// Whether more than our own id is mapped. Otherwise the test cannot change owners.
fn has_subordinate_ids() -> bool {
    let map = fs::read_to_string(idmap::IdType::User.map_file("self")).unwrap_or_default();
    let ids: u64 = idmap::parse_map(&map)
        .iter()
        .map(|line| u64::from(line.count))
        .sum();
    ids > 1
}

fn refusal<T>(call: &str, result: std::io::Result<T>) -> Result<T, ProbeResult> {
    result.map_err(|error| ProbeResult::refused(call, error))
}
