//! The ephemeral volume with the job's files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{getgid, getuid};

use super::trials::told;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use linux::scratch::{Scratch, nearest_existing};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "workspace.writable",
        title: "The workspace can be written",
        how: "Makes a directory in it, or where it would be made, and removes it again.",
        preflight: true,
        look: writable,
        cases: &[READ_ONLY, WRONG_OWNER, NOT_WRITABLE],
        ..Check::NEW
    },
    Check {
        id: "workspace.space",
        title: "There is room on the workspace and the graph root",
        how: "Asks statvfs(2) for free space and free inodes.",
        preflight: true,
        look: space,
        cases: &[FULL, NO_INODES, LITTLE, FEW_INODES],
        ..Check::NEW
    },
    Check {
        id: "workspace.flags",
        title: "The workspace's mount holds nothing back",
        how: "Reads the flags of the mounts that hold the workspace and the graph root. With overlay, the steps of a build run on a mount of its own.",
        after: &["storage.driver"],
        preflight: true,
        look: flags,
        cases: &[NOEXEC_LAYERS, NOEXEC, NOSUID],
        ..Check::NEW
    },
];

const READ_ONLY: Case = Case {
    name: "read-only",
    status: Status::Fail,
    means: "The job's files and the layers of its images lie in the workspace, and nothing can be written there.",
    cure: "In the pod spec:\n  volumes: [{name: workspace, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: workspace, mountPath: {workspace}}]\nWith podman: --volume NAME:{workspace}:U",
};
const WRONG_OWNER: Case = Case {
    name: "wrong-owner",
    status: Status::Fail,
    means: "The job's files lie in the workspace, and the user that this container runs as may not write there: the volume belongs to someone else.",
    cure: "In the pod spec, for the whole pod:\n  securityContext:\n    fsGroup: {gid}\nWith podman: --volume NAME:{workspace}:U\nOn a node: chown {uid}:{gid} {workspace}",
};
const NOT_WRITABLE: Case = Case {
    name: "not-writable",
    status: Status::Fail,
    means: READ_ONLY.means,
    cure: READ_ONLY.cure,
};

const ROOM: &str = "In the pod spec, a larger volume (df and df -i tell what is full):\n  volumes:\n  - name: workspace\n    emptyDir: {sizeLimit: 20Gi}\nOn the node, what nobody uses any more:\n  crictl rmi --prune";
const FULL: Case = Case {
    name: "full",
    status: Status::Fail,
    means: "There is next to no space left where the job's files and the layers of its images are to lie: \"no space left on device\".",
    cure: ROOM,
};
const NO_INODES: Case = Case {
    name: "no-inodes",
    status: Status::Fail,
    means: "The file system has space left, but no room for more files (inodes): \"no space left on device\" although df shows some.",
    cure: ROOM,
};
const LITTLE: Case = Case {
    name: "little",
    status: Status::Warn,
    means: "A base image unpacked and one build take some gigabytes; there is less.",
    cure: ROOM,
};
const FEW_INODES: Case = Case {
    name: "few-inodes",
    status: Status::Warn,
    means: "A base image unpacked has tens of thousands of files; there is room for fewer.",
    cure: ROOM,
};
const NOEXEC: Case = Case {
    name: "noexec",
    status: Status::Warn,
    means: "No program that lies on this mount can be run: none that a job fetches or compiles, and no script of its repository by its path. Builds work.",
    cure: "In the pod spec, a volume without that mount option (emptyDir has none).\nWith podman: --volume NAME:{workspace}:rw,exec,suid,dev,U\nOn the node: mount -o remount,exec PATH",
};
const NOEXEC_LAYERS: Case = Case {
    name: "noexec-layers",
    status: Status::Fail,
    means: "The layers of images lie on this mount, with a storage driver (vfs) that runs a build's steps right there, and no program on it can be run: \"permission denied\".",
    ..NOEXEC
};
const NOSUID: Case = Case {
    name: "nosuid",
    status: Status::Warn,
    means: "Programs of an image that are setuid or have file capabilities, sudo and ping among them, have no such rights in a build step.",
    cure: "In the pod spec, a volume without that mount option (emptyDir has none).\nWith podman: --volume NAME:{workspace}:rw,exec,suid,dev,U",
};

fn writable(scene: &Scene) -> Finding {
    let path = &scene.config.workspace.path;
    let _guard = scene.guard(path);
    match Scratch::create_in(path) {
        Ok(_) => Finding::ok(format!(
            "{} can be written",
            nearest_existing(path).display()
        )),
        Err(error) => refused(nearest_existing(path), &error),
    }
}

const MIB: u64 = 1 << 20;

/// The workspace, and the graph root where it lies elsewhere and is used.
fn places(scene: &Scene) -> Vec<PathBuf> {
    let mut places = vec![scene.config.workspace.path.clone()];
    if scene.excused(Duty::Builds).is_none()
        && !scene.config.in_workspace(&scene.config.graph_root())
    {
        places.push(scene.config.graph_root());
    }
    places
}

fn space(scene: &Scene) -> Finding {
    let mut told = Vec::new();
    for place in places(scene) {
        let place = nearest_existing(&place);
        let Ok(found) = statvfs(place) else { continue };
        let shown = place.display();
        let free = found.blocks_available() * found.fragment_size() / MIB;
        // Some file systems (btrfs) have no fixed number of inodes, and say 0 of 0.
        let inodes = match found.files() {
            0 => u64::MAX,
            _ => found.files_available(),
        };
        let text = format!("{shown}: {free} MiB free");
        let files = format!("{shown}: room for {inodes} files");
        match (free, inodes) {
            (0..64, _) => return Finding::case(FULL, text),
            (_, 0..500) => return Finding::case(NO_INODES, files),
            (64..2048, _) => return Finding::case(LITTLE, text),
            (_, 500..50_000) => return Finding::case(FEW_INODES, files),
            _ => told.push(text),
        }
    }
    Finding::ok(told.join(", "))
}

fn flags(scene: &Scene) -> Finding {
    for place in places(scene) {
        let place = nearest_existing(&place);
        let Ok(found) = statvfs(place) else { continue };
        let shown = place.display();
        if found.flags().contains(FsFlags::ST_NOEXEC) {
            let vfs = scene
                .values
                .get("storage.driver")
                .is_some_and(|driver| driver == "vfs");
            let case = if vfs { NOEXEC_LAYERS } else { NOEXEC };
            return Finding::case(case, format!("{shown} is mounted noexec"));
        }
        if found.flags().contains(FsFlags::ST_NOSUID) && scene.excused(Duty::Builds).is_none() {
            return Finding::case(NOSUID, format!("{shown} is mounted nosuid"));
        }
    }
    Finding::ok("neither noexec nor nosuid")
}

fn refused(place: &Path, error: &std::io::Error) -> Finding {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let shown = place.display();
    let read_only = statvfs(place).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
    if read_only {
        return Finding::case(READ_ONLY, format!("{shown} is mounted read-only"));
    }
    match (errno, std::fs::metadata(place)) {
        (Errno::EACCES | Errno::EPERM, Ok(metadata)) => {
            let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
            let (uid, gid) = (getuid(), getgid());
            let found = format!(
                "{shown} belongs to {owner}:{group} with mode {mode:04o}, and this is {uid}:{gid}"
            );
            Finding::case(WRONG_OWNER, found)
        }
        _ => Finding::case(NOT_WRITABLE, format!("{shown}: {}", told(errno))),
    }
}
