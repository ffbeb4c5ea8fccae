//! Directories and devices beside the workspace: the root, our own files, HOME and its kind, /dev/fuse.

use std::fs::OpenOptions;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use super::trials::told;
use crate::config::Driver;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::{self, Scene};
use crate::storage::in_memory;
use linux::program;
use linux::scratch::{Scratch, nearest_existing};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "filesystem.root",
        title: "The container's root can be written",
        how: "Reads the flags of the mount at /.",
        duty: Duty::Builds,
        look: root,
        cases: &[ROOT_READ_ONLY],
        ..Check::NEW
    },
    Check {
        id: "filesystem.runtime",
        title: "The supervisor's own files have a place in memory",
        how: "Makes a directory in runtime_directory, or where it would be made, and reads what kind of file system it is.",
        preflight: true,
        look: runtime,
        cases: &[NO_RUNTIME, ON_DISK],
        ..Check::NEW
    },
    Check {
        id: "filesystem.passwd-home",
        title: "This user's home directory is there",
        how: "Looks for the directory that /etc/passwd names. The supervisor makes the one on the workspace.",
        duty: Duty::Builds,
        preflight: true,
        look: passwd_home,
        cases: &[NO_HOME],
        ..Check::NEW
    },
    Check {
        id: "filesystem.home",
        title: "HOME, TMPDIR and XDG_RUNTIME_DIR can be written",
        how: "Asks access(2) of each that is set. The job itself gets its own, on the workspace.",
        look: home,
        cases: &[NOT_WRITABLE],
        ..Check::NEW
    },
    Check {
        id: "filesystem.fuse",
        title: "fuse-overlayfs could step in",
        how: "Where the kernel's own overlay does not work: opens /dev/fuse for reading and writing, and looks for fuse-overlayfs in PATH and asks it for its version.",
        duty: Duty::Builds,
        after: &["storage.driver"],
        look: fuse,
        cases: &[
            FUSE_MISSING,
            FUSE_FORBIDDEN,
            FUSE_MODE,
            FUSE_ODD,
            FUSE_PROGRAM,
            FUSE_OLD,
            FUSE_FAILS,
        ],
        ..Check::NEW
    },
];

const ROOT_READ_ONLY: Case = Case {
    name: "read-only",
    status: Status::Warn,
    means: "A build step under chroot isolation may be given parts of this root, and buildah may not change how they are mounted: some builds then fail with \"tweaking mount flags on host root directory\".",
    cure: "In the pod spec, on this container (what is written there is gone with it):\n  securityContext:\n    readOnlyRootFilesystem: false\nWith podman: leave out --read-only",
};
const NO_RUNTIME: Case = Case {
    name: "not-writable",
    status: Status::Fail,
    means: "Credentials and Buildah's configuration lie there, for this user alone, and it cannot be written.",
    cure: "In the pod spec:\n  volumes: [{name: run, emptyDir: {medium: Memory}}]\nand on this container:\n  volumeMounts: [{name: run, mountPath: {runtime}}]\nWith podman: --mount type=tmpfs,destination={runtime},tmpfs-mode=0700,U=true",
};
const ON_DISK: Case = Case {
    name: "on-disk",
    status: Status::Warn,
    means: "Credentials that lie there for the time of the job would reach the node's disk.",
    cure: NO_RUNTIME.cure,
};
const NO_HOME: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "Within a build's RUN step Buildah looks into the home directory that /etc/passwd names for this user, whatever HOME says, and ends where that is not there: \"cannot resolve\".",
    cure: "In the image's Containerfile, either of:\n  RUN usermod --home {workspace}/home {user}\n  RUN install -d -o {uid} -g {gid} {home}",
};
const NOT_WRITABLE: Case = Case {
    name: "not-writable",
    status: Status::Warn,
    means: "Programs that are started here by hand, buildah among them, keep their files there and fail: \"mkdir …: permission denied\". `supervisor run` gives the job its own.",
    cure: "export HOME={workspace}/home TMPDIR={workspace}/tmp XDG_RUNTIME_DIR={runtime} && mkdir -p \"$HOME\" \"$TMPDIR\"",
};
const FUSE_CURE: &str = "A device plugin on the nodes (generic-device-plugin), and in the pod spec, on this container:\n  resources:\n    limits: {squat.ai/fuse: 1}\nWith podman: --device /dev/fuse";
const FUSE_MISSING: Case = Case {
    name: "missing",
    status: Status::Warn,
    means: "The kernel's own overlay does not work on this graph root, and what could step in for it, fuse-overlayfs, needs a device that this container was not given.",
    cure: FUSE_CURE,
};
const FUSE_FORBIDDEN: Case = Case {
    name: "forbidden",
    means: "The device is there, but the container's runtime forbids to open it (the device cgroup): a hostPath or a device file in an image is no right to it.",
    ..FUSE_MISSING
};
const FUSE_MODE: Case = Case {
    name: "mode",
    means: "The device is there, and its mode keeps the user away that this container runs as.",
    cure: "On the node, as root:\n  chmod 0666 /dev/fuse\nWith podman: a copy with another mode, --device PATH:/dev/fuse",
    ..FUSE_MISSING
};
const FUSE_ODD: Case = Case {
    name: "unusable",
    means: "The device is there and cannot be opened: the kernel has no FUSE, or what lies there is something else.",
    cure: "On the node, as root:\n  modprobe fuse",
    ..FUSE_MISSING
};
const FUSE_PROGRAM: Case = Case {
    name: "no-program",
    means: "The kernel's own overlay does not work on this graph root, and fuse-overlayfs, which could step in for it, is not in this image.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes fuse-overlayfs",
    ..FUSE_MISSING
};

const FUSE_OLD: Case = Case {
    name: "old",
    means: "fuse-overlayfs, which could step in for the kernel's own overlay, is older than 0.7.8 here and loses whiteouts in user namespaces: deleted files come back.",
    ..FUSE_PROGRAM
};
const FUSE_FAILS: Case = Case {
    name: "fails",
    means: "fuse-overlayfs and its device are here, and still a trial of it failed: storage.driver says at what.",
    cure: "The kernel's own overlay is better anyway: see storage.driver.",
    ..FUSE_MISSING
};

fn root(_: &Scene) -> Finding {
    let flags = statvfs("/").map(|found| found.flags());
    match flags {
        Ok(flags) if flags.contains(FsFlags::ST_RDONLY) => {
            Finding::case(ROOT_READ_ONLY, "/ is mounted read-only")
        }
        Ok(_) => Finding::ok("/ is mounted for writing"),
        Err(errno) => Finding::skipped(format!("statvfs(/): {}", told(errno))),
    }
}

fn runtime(scene: &Scene) -> Finding {
    let path = &scene.config.runtime_directory;
    let shown = path.display();
    let _guard = scene.guard(path);
    match Scratch::create_in(path) {
        Ok(_) if in_memory(nearest_existing(path)) => {
            Finding::ok(format!("{shown} can be written, in memory"))
        }
        Ok(_) => Finding::case(ON_DISK, format!("{shown} does not lie in memory")),
        Err(error) => {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            Finding::case(NO_RUNTIME, format!("{shown}: {}", told(errno)))
        }
    }
}

fn passwd_home(scene: &Scene) -> Finding {
    let Some(home) = scene::home() else {
        return Finding::ok("/etc/passwd names none");
    };
    let shown = home.display().to_string();
    if home == scene.config.workspace.home() {
        return Finding::ok(format!("{shown}, on the workspace"));
    }
    if home.is_dir() {
        return Finding::ok(shown);
    }
    Finding::case(NO_HOME, format!("{shown} is not there")).fill("home", shown)
}

fn home(_: &Scene) -> Finding {
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
                told(errno)
            );
            return Finding::case(NOT_WRITABLE, found);
        }
        named.push(format!("{name}={}", path.display()));
    }
    if named.is_empty() {
        return Finding::skipped("none is set");
    }
    Finding::ok(named.join(", "))
}

fn fuse(scene: &Scene) -> Finding {
    if scene.config.storage.driver == Driver::Vfs {
        return Finding::skipped("not needed: the configuration asks for vfs");
    }
    match scene.values.get("storage.driver").map(String::as_str) {
        Some("overlay") => return Finding::skipped("not needed: the kernel's own overlay works"),
        Some("fuse-overlayfs") => return Finding::ok("fuse-overlayfs works"),
        _ => {}
    }
    let device = "/dev/fuse";
    if let Err(error) = OpenOptions::new().read(true).write(true).open(device) {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        let case = match errno {
            Errno::ENOENT => FUSE_MISSING,
            Errno::EPERM => FUSE_FORBIDDEN,
            Errno::EACCES => FUSE_MODE,
            _ => FUSE_ODD,
        };
        return Finding::case(case, format!("open({device}): {}", told(errno)));
    }
    let Some(path) = program::find("fuse-overlayfs") else {
        return Finding::case(FUSE_PROGRAM, "fuse-overlayfs is not in PATH");
    };
    match program::version(&path, Path::new("/")) {
        Ok(version) if version.numbers < [0, 7, 8] => Finding::case(FUSE_OLD, version.text),
        Ok(version) => Finding::case(FUSE_FAILS, version.text),
        Err(error) => Finding::case(FUSE_FAILS, format!("{}: {error}", path.display())),
    }
}
