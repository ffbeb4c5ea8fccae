//! Buildah's storage: which drivers work on the graph root, which one is taken, and a build that proves it.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use super::trials::{Refusal, judge, told};
use crate::config::Driver;
use crate::doctor::build_trial;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use crate::storage::probe;
use crate::sys::filesystem::{self, Kind};
use crate::sys::program;
use crate::sys::scratch::{Guard, existing};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "storage.overlay",
        title: "The kernel's overlay file system works on the graph root",
        how: "Mounts one there, in a user namespace, and does to it what a build does: whiteout, opaque directory, rename, copy-up, foreign owners.",
        duty: Duty::Builds,
        after: &["idmap.map", "userns.mount", "workspace.writable"],
        preflight: true,
        limit: Duration::from_secs(8),
        look: overlay,
        cases: &[ON_OVERLAY, ON_NETWORK, REFUSED],
    },
    Check {
        id: "storage.fuse-overlayfs",
        title: "fuse-overlayfs works, where it is needed",
        how: "Where the kernel's own does not work: opens /dev/fuse, looks for the program and its version, mounts and uses it as above.",
        duty: Duty::Builds,
        after: &["storage.overlay"],
        preflight: true,
        limit: Duration::from_secs(8),
        look: fuse,
        cases: &[
            NO_DEVICE,
            DEVICE_FORBIDDEN,
            DEVICE_CLOSED,
            NO_PROGRAM,
            OLD,
            FUSE_REFUSED,
        ],
    },
    Check {
        id: "storage.driver",
        title: "A good storage driver is taken",
        how: "Weighs storage.driver against what the two checks before found.",
        duty: Duty::Builds,
        after: &["storage.fuse-overlayfs"],
        preflight: true,
        look: driver,
        cases: &[FORCED, FUSE, VFS],
        ..Check::NEW
    },
    Check {
        id: "storage.build",
        title: "An image of two steps is built",
        how: "Builds FROM scratch with the real buildah: a COPY of this program, and a RUN of it, under the driver and the isolation that a job gets.",
        duty: Duty::Builds,
        after: &[
            "storage.driver",
            "tools.buildah",
            "filesystem.root",
            "filesystem.runtime",
            "filesystem.home",
            "workspace.flags",
            "workspace.space",
            "kernel.memory",
        ],
        limit: Duration::from_secs(45),
        look: build,
        cases: &[BUILD],
        ..Check::NEW
    },
];

const ON_OVERLAY: Case = Case {
    name: "on-overlay",
    status: Status::Warn,
    means: "Image layers would lie in the container's own root file system, which is an overlay itself, and the kernel does not put one on another.",
    cure: "In the pod spec:\n  volumes: [{name: workspace, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: workspace, mountPath: {workspace}}]\nWith podman: --volume NAME:{workspace}:U,exec,suid,dev",
};
const ON_NETWORK: Case = Case {
    name: "on-network",
    means: "Image layers would lie on a network file system, which Buildah refuses in a user namespace.",
    ..ON_OVERLAY
};
const REFUSED: Case = Case {
    name: "refused",
    status: Status::Warn,
    means: "The kernel does not let a user namespace mount an overlay on this file system: Linux before 5.11 (before 5.13 with SELinux) never does, and a tmpfs needs 6.6 for it.",
    cure: "On the node: Linux 5.13 or later (uname -r tells).\nOr the workspace on another file system than this one (ext4, xfs, btrfs):\n  volumes: [{name: workspace, emptyDir: {}}]",
};
const NO_DEVICE: Case = Case {
    name: "no-device",
    status: Status::Warn,
    means: "fuse-overlayfs would be the next best driver, and it needs the device /dev/fuse, which is not in this container.",
    cure: "The kernel's own overlay is better: see storage.overlay. Else, in the pod spec, with generic-device-plugin on the nodes:\n  resources:\n    limits: {squat.ai/fuse: 1}\nWith podman: --device /dev/fuse",
};
const DEVICE_FORBIDDEN: Case = Case {
    name: "device-forbidden",
    means: "fuse-overlayfs would be the next best driver. Its device /dev/fuse is here, but the container's device cgroup does not let it be opened: it was mounted or made, not granted.",
    ..NO_DEVICE
};
const DEVICE_CLOSED: Case = Case {
    name: "device-closed",
    status: Status::Warn,
    means: "fuse-overlayfs would be the next best driver. Its device /dev/fuse is here, but its mode does not let this user open it.",
    cure: "On the node, as root:\n  chmod 0666 /dev/fuse && echo 'KERNEL==\"fuse\", MODE=\"0666\"' >/etc/udev/rules.d/99-fuse.rules",
};
const NO_PROGRAM: Case = Case {
    name: "no-program",
    status: Status::Warn,
    means: "fuse-overlayfs would be the next best driver, and the program is not in this image.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes fuse-overlayfs",
};
const OLD: Case = Case {
    name: "old",
    status: Status::Warn,
    means: "This fuse-overlayfs is older than 0.7.8 and loses whiteouts in user namespaces: deleted files come back.",
    cure: NO_PROGRAM.cure,
};
const FUSE_REFUSED: Case = Case {
    name: "refused",
    status: Status::Warn,
    means: "fuse-overlayfs would be the next best driver, and it does not work here.",
    cure: "The kernel's own overlay is better: see storage.overlay.",
};
const FORCED: Case = Case {
    name: "forced",
    status: Status::Fail,
    means: "The configuration asks for the storage driver {driver}, and that does not work here.",
    cure: "Let the best one that works be taken:\n  SUPERVISOR_STORAGE__DRIVER=auto",
};
const VFS: Case = Case {
    name: "vfs",
    status: Status::Warn,
    means: "Builds work with the driver vfs, which copies every layer in full: several times the time and many times the space.",
    cure: ON_OVERLAY.cure,
};
const FUSE: Case = Case {
    name: "fuse",
    status: Status::Warn,
    means: "Builds work with fuse-overlayfs, at a fraction of the speed of the kernel's own overlay, which does not work on this graph root.",
    cure: ON_OVERLAY.cure,
};
const BUILD: Case = Case {
    name: "failed",
    status: Status::Fail,
    means: "Every part that could be looked at is as it should be, or only a warning, and still a build of two steps does not work.",
    cure: "supervisor doctor --json    # and open an issue with it: this case is not known yet",
};

const WORKS: &str = "works";
const WORKS_NOT: &str = "does not work";

fn overlay(scene: &Scene) -> Finding {
    let graph_root = scene.config.graph_root();
    let _guard = Guard::of(&graph_root);
    match judge(probe::overlay(&graph_root)) {
        Ok(()) => Finding::ok("mounted and used one").value(WORKS),
        Err(refusal) => no_overlay(&graph_root, &refusal).value(WORKS_NOT),
    }
}

fn no_overlay(graph_root: &Path, refusal: &Refusal) -> Finding {
    let place = existing(graph_root);
    match filesystem::kind(place) {
        Ok(kind @ Kind::Stacked(_)) => Finding::case(
            ON_OVERLAY,
            format!("{} lies on {}", place.display(), kind.name()),
        ),
        Ok(kind @ Kind::Network(_)) => Finding::case(
            ON_NETWORK,
            format!("{} lies on {}", place.display(), kind.name()),
        ),
        _ => Finding::case(REFUSED, refusal.told()),
    }
}

fn fuse(scene: &Scene) -> Finding {
    let overlay = scene.values.get("storage.overlay").map(String::as_str);
    if overlay == Some(WORKS) && scene.config.storage.driver != Driver::FuseOverlayfs {
        return Finding::skipped("not needed: the kernel's own works");
    }
    if let Some(finding) = no_fuse() {
        return finding.value(WORKS_NOT);
    }
    let graph_root = scene.config.graph_root();
    let _guard = Guard::of(&graph_root);
    match judge(probe::fuse_overlayfs(&graph_root)) {
        Ok(()) => Finding::ok("mounted and used one").value(WORKS),
        Err(refusal) => Finding::case(FUSE_REFUSED, refusal.told()).value(WORKS_NOT),
    }
}

/// What is missing for it, before it is tried.
fn no_fuse() -> Option<Finding> {
    let mut device = std::fs::OpenOptions::new();
    if let Err(error) = device.read(true).write(true).open("/dev/fuse") {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        let case = match errno {
            Errno::EPERM => DEVICE_FORBIDDEN,
            Errno::EACCES => DEVICE_CLOSED,
            _ => NO_DEVICE,
        };
        return Some(Finding::case(case, format!("/dev/fuse: {}", told(errno))));
    }
    let name = "fuse-overlayfs";
    let Some(path) = program::find(name) else {
        return Some(Finding::case(NO_PROGRAM, format!("{name} is not in PATH")));
    };
    let version = program::version(&path, Path::new("/")).ok()?;
    (version.numbers < [0, 7, 8]).then(|| Finding::case(OLD, version.text))
}

fn driver(scene: &Scene) -> Finding {
    let works = |id: &str| scene.values.get(id).map(String::as_str) == Some(WORKS);
    let (overlay, fuse) = (works("storage.overlay"), works("storage.fuse-overlayfs"));
    let forced = |driver: Driver, works: bool| {
        let name = driver.name();
        if works {
            return Finding::ok(format!("{name}, as configured")).value(name);
        }
        let found = format!("storage.driver is {name}");
        Finding::case(FORCED, found).fill("driver", name)
    };
    match scene.config.storage.driver {
        Driver::Overlay => forced(Driver::Overlay, overlay),
        Driver::FuseOverlayfs => forced(Driver::FuseOverlayfs, fuse),
        Driver::Vfs => Finding::ok("vfs, as configured").value("vfs"),
        Driver::Auto | Driver::None if overlay => Finding::ok("overlay").value("overlay"),
        Driver::Auto | Driver::None if fuse => {
            Finding::case(FUSE, "fuse-overlayfs").value("fuse-overlayfs")
        }
        Driver::Auto | Driver::None => Finding::case(VFS, "vfs").value("vfs"),
    }
}

fn build(scene: &Scene) -> Finding {
    let driver = scene
        .values
        .get("storage.driver")
        .map_or("vfs", String::as_str);
    match build_trial::build(scene, driver) {
        Ok(found) => Finding::ok(found),
        Err(found) => Finding::case(BUILD, found),
    }
}
