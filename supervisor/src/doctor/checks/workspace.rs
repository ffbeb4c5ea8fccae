//! The ephemeral volume with the job's files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{getgid, getuid};

use super::probes::told;
use crate::doctor::check::{Check, Duty, Finding, Observation, Status};
use crate::doctor::context::Context;
use linux::scratch::{Scratch, existing};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "workspace.writable",
        title: "The workspace can be written",
        method: "Makes a directory in it, or where it would be made, and removes it again.",
        preflight: true,
        run: writable,
        findings: &[READ_ONLY, WRONG_OWNER, NOT_WRITABLE],
        ..Check::DEFAULT
    },
    Check {
        id: "workspace.space",
        title: "There is room on the workspace and the graph root",
        method: "Asks statvfs(2) for free space and free inodes.",
        preflight: true,
        run: space,
        findings: &[FULL, NO_INODES, LITTLE, FEW_INODES],
        ..Check::DEFAULT
    },
    Check {
        id: "workspace.flags",
        title: "The workspace's mount holds nothing back",
        method: "Reads the flags of the mounts that hold the workspace and the graph root. With overlay, the steps of a build run on a mount of its own.",
        needs: &["storage.driver"],
        preflight: true,
        run: flags,
        findings: &[NOEXEC_LAYERS, NOEXEC, NOSUID],
        ..Check::DEFAULT
    },
];

const READ_ONLY: Finding = Finding {
    name: "read-only",
    status: Status::Fail,
    means: "The job's files and the layers of its images lie in the workspace, and nothing can be written there.",
    remedy: "In the pod spec:\n  volumes: [{name: workspace, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: workspace, mountPath: {workspace}}]\nWith podman: --volume NAME:{workspace}:U",
};
const WRONG_OWNER: Finding = Finding {
    name: "wrong-owner",
    status: Status::Fail,
    means: "The job's files lie in the workspace, and the user that this container runs as may not write there: the volume belongs to someone else.",
    remedy: "In the pod spec, for the whole pod:\n  securityContext:\n    fsGroup: {gid}\nWith podman: --volume NAME:{workspace}:U\nOn a node: chown {uid}:{gid} {workspace}",
};
const NOT_WRITABLE: Finding = Finding {
    name: "not-writable",
    status: Status::Fail,
    means: READ_ONLY.means,
    remedy: READ_ONLY.remedy,
};

const ROOM: &str = "In the pod spec, a larger volume (df and df -i tell what is full):\n  volumes:\n  - name: workspace\n    emptyDir: {sizeLimit: 20Gi}\nOn the node, what nobody uses any more:\n  crictl rmi --prune";
const FULL: Finding = Finding {
    name: "full",
    status: Status::Fail,
    means: "There is next to no space left where the job's files and the layers of its images are to lie: \"no space left on device\".",
    remedy: ROOM,
};
const NO_INODES: Finding = Finding {
    name: "no-inodes",
    status: Status::Fail,
    means: "The file system has space left, but no room for more files (inodes): \"no space left on device\" although df shows some.",
    remedy: ROOM,
};
const LITTLE: Finding = Finding {
    name: "little",
    status: Status::Warn,
    means: "A base image unpacked and one build take some gigabytes; there is less.",
    remedy: ROOM,
};
const FEW_INODES: Finding = Finding {
    name: "few-inodes",
    status: Status::Warn,
    means: "A base image unpacked has tens of thousands of files; there is room for fewer.",
    remedy: ROOM,
};
const NOEXEC: Finding = Finding {
    name: "noexec",
    status: Status::Warn,
    means: "No program that lies on this mount can be run: none that a job fetches or compiles, and no script of its repository by its path. Builds work.",
    remedy: "In the pod spec, a volume without that mount option (emptyDir has none).\nWith podman: --volume NAME:{workspace}:rw,exec,suid,dev,U\nOn the node: mount -o remount,exec PATH",
};
const NOEXEC_LAYERS: Finding = Finding {
    name: "noexec-layers",
    status: Status::Fail,
    means: "The layers of images lie on this mount, with a storage driver (vfs) that runs a build's steps right there, and no program on it can be run: \"permission denied\".",
    ..NOEXEC
};
const NOSUID: Finding = Finding {
    name: "nosuid",
    status: Status::Warn,
    means: "Programs of an image that are setuid or have file capabilities, sudo and ping among them, have no such rights in a build step.",
    remedy: "In the pod spec, a volume without that mount option (emptyDir has none).\nWith podman: --volume NAME:{workspace}:rw,exec,suid,dev,U",
};

fn writable(context: &Context) -> Observation {
    let path = &context.config.workspace.path;
    let _guard = context.guard(path);
    match Scratch::beneath(path) {
        Ok(_) => Observation::ok(format!("{} can be written", existing(path).display())),
        Err(error) => refused(existing(path), &error),
    }
}

const MIB: u64 = 1 << 20;

/// The workspace, and the graph root where it lies elsewhere and is used.
fn places(context: &Context) -> Vec<PathBuf> {
    let mut places = vec![context.config.workspace.path.clone()];
    if context.excused(Duty::Builds).is_none()
        && !context.config.in_workspace(&context.config.graph_root())
    {
        places.push(context.config.graph_root());
    }
    places
}

fn space(context: &Context) -> Observation {
    let mut told = Vec::new();
    for place in places(context) {
        let place = existing(&place);
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
            (0..64, _) => return Observation::problem(FULL, text),
            (_, 0..500) => return Observation::problem(NO_INODES, files),
            (64..2048, _) => return Observation::problem(LITTLE, text),
            (_, 500..50_000) => return Observation::problem(FEW_INODES, files),
            _ => told.push(text),
        }
    }
    Observation::ok(told.join(", "))
}

fn flags(context: &Context) -> Observation {
    for place in places(context) {
        let place = existing(&place);
        let Ok(found) = statvfs(place) else { continue };
        let shown = place.display();
        if found.flags().contains(FsFlags::ST_NOEXEC) {
            let vfs = context
                .values
                .get("storage.driver")
                .is_some_and(|driver| driver == "vfs");
            let case = if vfs { NOEXEC_LAYERS } else { NOEXEC };
            return Observation::problem(case, format!("{shown} is mounted noexec"));
        }
        if found.flags().contains(FsFlags::ST_NOSUID) && context.excused(Duty::Builds).is_none() {
            return Observation::problem(NOSUID, format!("{shown} is mounted nosuid"));
        }
    }
    Observation::ok("neither noexec nor nosuid")
}

fn refused(place: &Path, error: &std::io::Error) -> Observation {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let shown = place.display();
    let read_only = statvfs(place).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
    if read_only {
        return Observation::problem(READ_ONLY, format!("{shown} is mounted read-only"));
    }
    match (errno, std::fs::metadata(place)) {
        (Errno::EACCES | Errno::EPERM, Ok(metadata)) => {
            let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
            let (uid, gid) = (getuid(), getgid());
            let found = format!(
                "{shown} belongs to {owner}:{group} with mode {mode:04o}, and this is {uid}:{gid}"
            );
            Observation::problem(WRONG_OWNER, found)
        }
        _ => Observation::problem(NOT_WRITABLE, format!("{shown}: {}", told(errno))),
    }
}
