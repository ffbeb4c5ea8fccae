//! Directories and devices beside the workspace: the root, the runtime directory, HOME, TMPDIR, /dev/fuse.

use std::fs::OpenOptions;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use super::probes::errno_text;
use crate::config::Driver;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::{self, Context};
use crate::doctor::duty::Duty;
use crate::storage::in_memory;
use linux::errno::to_nix;
use linux::program;
use linux::scratch::{Scratch, nearest_existing};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "filesystem.root",
        title: "The container's root is writable",
        method: "Reads the flags of the mount at /.",
        duty: Duty::Builds,
        run: root,
        findings: &[ROOT_READ_ONLY],
        ..Check::DEFAULT
    },
    Check {
        id: "filesystem.runtime",
        title: "The supervisor's private files are in memory",
        method: "Makes a directory in runtime_directory, or in its nearest existing parent. Reads the kind of its file system.",
        preflight: true,
        run: runtime,
        findings: &[NO_RUNTIME, ON_DISK],
        ..Check::DEFAULT
    },
    Check {
        id: "filesystem.passwd-home",
        title: "This user's home directory exists",
        method: "Looks for the directory that /etc/passwd names. The supervisor creates it if it is on the workspace.",
        duty: Duty::Builds,
        preflight: true,
        run: passwd_home,
        findings: &[NO_HOME],
        ..Check::DEFAULT
    },
    Check {
        id: "filesystem.home",
        title: "HOME, TMPDIR and XDG_RUNTIME_DIR are writable",
        method: "Calls access(2) for each variable that is set. The job itself gets directories of its own, on the workspace.",
        run: home,
        findings: &[NOT_WRITABLE],
        ..Check::DEFAULT
    },
    Check {
        id: "filesystem.fuse",
        title: "fuse-overlayfs can replace the kernel's overlay",
        method: "Runs only if the kernel's overlay does not work. Opens /dev/fuse for reading and writing. Runs fuse-overlayfs --version.",
        duty: Duty::Builds,
        needs: &["storage.driver"],
        run: fuse,
        findings: &[
            FUSE_MISSING,
            FUSE_FORBIDDEN,
            FUSE_MODE,
            FUSE_ODD,
            FUSE_PROGRAM,
            FUSE_OLD,
            FUSE_FAILS,
        ],
        ..Check::DEFAULT
    },
];

const ROOT_READ_ONLY: Finding = Finding::warns("read-only")
    .means("A build step under chroot isolation can get parts of this root, and buildah cannot change their mount flags. Some builds then fail with \"tweaking mount flags on host root directory\".")
    .remedy("In the pod spec, on this container (files there disappear with the container):\n  securityContext:\n    readOnlyRootFilesystem: false\nWith podman: leave out --read-only");
const NO_RUNTIME: Finding = Finding::fails("not-writable")
    .means("This directory has credentials and Buildah's configuration, for this user alone. It is not writable.")
    .remedy("In the pod spec:\n  volumes: [{name: run, emptyDir: {medium: Memory}}]\nand on this container:\n  volumeMounts: [{name: run, mountPath: {runtime}}]\nWith podman: --mount type=tmpfs,destination={runtime},tmpfs-mode=0700,U=true");
const ON_DISK: Finding = Finding::warns("on-disk")
    .means("This directory has credentials while the job runs. They would be written to the node's disk.")
    .remedy(NO_RUNTIME.remedy);
const NO_HOME: Finding = Finding::fails("missing")
    .means("In a RUN step, Buildah opens the home directory that /etc/passwd names for this user, even if HOME is set. If it does not exist, the build fails: \"cannot resolve\".")
    .remedy("In the image's Containerfile, either of:\n  RUN usermod --home {workspace}/home {user}\n  RUN install -d -o {uid} -g {gid} {home}");
const NOT_WRITABLE: Finding = Finding::warns("not-writable")
    .means("Programs that you start here by hand, buildah included, write there and fail: \"mkdir …: permission denied\". `supervisor run` gives the job directories of its own.")
    .remedy("export HOME={workspace}/home TMPDIR={workspace}/tmp XDG_RUNTIME_DIR={runtime} && mkdir -p \"$HOME\" \"$TMPDIR\"");
const FUSE_REMEDY: &str = "Install a device plugin on the nodes (generic-device-plugin). In the pod spec, on this container:\n  resources:\n    limits: {squat.ai/fuse: 1}\nWith podman: --device /dev/fuse";
const FUSE_MISSING: Finding = Finding::warns("missing")
    .means("The kernel's overlay does not work on this graph root. fuse-overlayfs could replace it, but this container does not have the device that it needs.")
    .remedy(FUSE_REMEDY);
const FUSE_FORBIDDEN: Finding = FUSE_MISSING.named("forbidden")
    .means("The device exists, but the container runtime forbids opening it (the device cgroup). A hostPath or a device file in an image gives no right to it.");
const FUSE_MODE: Finding = FUSE_MISSING.named("mode")
    .means("The device exists, but its mode does not allow this container's user to open it.")
    .remedy("On the node, as root:\n  chmod 0666 /dev/fuse\nWith podman: pass a copy that has another mode, --device PATH:/dev/fuse");
const FUSE_ODD: Finding = FUSE_MISSING.named("unusable")
    .means("The file exists but cannot be opened: the kernel has no FUSE, or the file is not the FUSE device.")
    .remedy("On the node, as root:\n  modprobe fuse");
const FUSE_PROGRAM: Finding = FUSE_MISSING.named("no-program")
    .means("The kernel's overlay does not work on this graph root. fuse-overlayfs could replace it, but it is not in this image.")
    .remedy("In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes fuse-overlayfs");

const FUSE_OLD: Finding = FUSE_PROGRAM.named("old")
    .means("fuse-overlayfs could replace the kernel's overlay, but here it is older than 0.7.8. It loses whiteouts in user namespaces: deleted files come back.");
const FUSE_FAILS: Finding = FUSE_MISSING.named("fails")
    .means("fuse-overlayfs and its device exist, but its probe failed. The check storage.driver names the call that failed.")
    .remedy("Use the kernel's overlay, which is faster: see the remedy of storage.driver.");

fn root(_: &Context) -> Observation {
    let flags = statvfs("/").map(|found| found.flags());
    match flags {
        Ok(flags) if flags.contains(FsFlags::ST_RDONLY) => {
            Observation::problem(ROOT_READ_ONLY, "/ is mounted read-only")
        }
        Ok(_) => Observation::ok("/ is mounted for writing"),
        Err(errno) => Observation::skipped(format!("statvfs(/): {}", errno_text(errno))),
    }
}

fn runtime(context: &Context) -> Observation {
    let path = &context.config.runtime_directory;
    let shown = path.display();
    let _guard = context.guard(path);
    match Scratch::create_in(path) {
        Ok(_) if in_memory(nearest_existing(path)) => {
            Observation::ok(format!("{shown} is writable, in memory"))
        }
        Ok(_) => Observation::problem(ON_DISK, format!("{shown} is not in memory")),
        Err(error) => {
            let errno = to_nix(&error);
            Observation::problem(NO_RUNTIME, format!("{shown}: {}", errno_text(errno)))
        }
    }
}

fn passwd_home(context: &Context) -> Observation {
    let Some(home) = context::home() else {
        return Observation::ok("/etc/passwd names no home directory");
    };
    let shown = home.display().to_string();
    if home == context.config.workspace.home() {
        return Observation::ok(format!("{shown}, on the workspace"));
    }
    if home.is_dir() {
        return Observation::ok(shown);
    }
    Observation::problem(NO_HOME, format!("{shown} does not exist")).fill("home", shown)
}

fn home(_: &Context) -> Observation {
    let mut named = Vec::new();
    for name in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR"] {
        let Some(path) = std::env::var_os(name).filter(|path| !path.is_empty()) else {
            continue;
        };
        let path = Path::new(&path);
        let place = nearest_existing(path);
        if let Err(errno) = access(place, AccessFlags::W_OK | AccessFlags::X_OK) {
            let found = format!(
                "{name}={}: {}: {}",
                path.display(),
                place.display(),
                errno_text(errno)
            );
            return Observation::problem(NOT_WRITABLE, found);
        }
        named.push(format!("{name}={}", path.display()));
    }
    if named.is_empty() {
        return Observation::skipped("no variable is set");
    }
    Observation::ok(named.join(", "))
}

fn fuse(context: &Context) -> Observation {
    if context.config.storage.driver == Driver::Vfs {
        return Observation::skipped("not needed: storage.driver = vfs");
    }
    match context.values.get("storage.driver").map(String::as_str) {
        Some("overlay") => {
            return Observation::skipped("not needed: the kernel's overlay works");
        }
        Some("fuse-overlayfs") => return Observation::ok("fuse-overlayfs works"),
        _ => {}
    }
    let device = "/dev/fuse";
    if let Err(error) = OpenOptions::new().read(true).write(true).open(device) {
        let errno = to_nix(&error);
        let finding = match errno {
            Errno::ENOENT => FUSE_MISSING,
            Errno::EPERM => FUSE_FORBIDDEN,
            Errno::EACCES => FUSE_MODE,
            _ => FUSE_ODD,
        };
        return Observation::problem(finding, format!("open({device}): {}", errno_text(errno)));
    }
    let Some(path) = program::find("fuse-overlayfs") else {
        return Observation::problem(FUSE_PROGRAM, "fuse-overlayfs is not in PATH");
    };
    match program::version(&path, Path::new("/")) {
        Ok(version) if version.numbers < [0, 7, 8] => Observation::problem(FUSE_OLD, version.text),
        Ok(version) => Observation::problem(FUSE_FAILS, version.text),
        Err(error) => Observation::problem(FUSE_FAILS, format!("{}: {error}", path.display())),
    }
}
