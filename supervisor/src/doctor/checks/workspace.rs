//! The ephemeral volume with the job's files and Buildah's layers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{getgid, getuid};

use super::trials::told;
use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::scene::Scene;
use crate::sys::filesystem::{self, Kind};
use crate::sys::scratch::{Guard, Scratch, existing};

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
        id: "workspace.flags",
        title: "Programs on the workspace can run",
        how: "Reads the flags of the mount that holds it.",
        preflight: true,
        look: flags,
        cases: &[NOEXEC, NOSUID],
        ..Check::NEW
    },
    Check {
        id: "workspace.volume",
        title: "The workspace is a volume of its own",
        how: "Reads the kind of file system that holds it.",
        look: volume,
        cases: &[NO_VOLUME, NETWORK],
        ..Check::NEW
    },
    Check {
        id: "workspace.space",
        title: "The workspace has room",
        how: "Asks the file system for the blocks and inodes that this user may still use.",
        look: space,
        cases: &[FULL, NARROW],
        ..Check::NEW
    },
];

const VOLUME: &str = "In the pod spec:\n  volumes: [{name: workspace, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: workspace, mountPath: {workspace}}]\nWith podman: --volume NAME:{workspace}:U,exec,suid,dev";

const READ_ONLY: Case = Case {
    name: "read-only",
    status: Status::Fail,
    means: "The job's files and the layers of its images lie in the workspace, and nothing can be written there.",
    cure: VOLUME,
};
const WRONG_OWNER: Case = Case {
    name: "wrong-owner",
    status: Status::Fail,
    means: "The job's files lie in the workspace, and the user that this container runs as may not write there: the volume belongs to someone else.",
    cure: "In the pod spec, for the whole pod:\n  securityContext:\n    fsGroup: {gid}\nWith podman: --volume NAME:{workspace}:U,exec,suid,dev\nOn a node, as root: chown {uid}:{gid} {workspace}",
};
const NOT_WRITABLE: Case = Case {
    name: "not-writable",
    ..READ_ONLY
};
const NOEXEC: Case = Case {
    name: "noexec",
    status: Status::Fail,
    means: "The volume is mounted noexec: no script and no compiled program of the job can be started from it, and no step of a build, whose files lie there too.",
    cure: VOLUME,
};
const NOSUID: Case = Case {
    name: "nosuid",
    status: Status::Warn,
    means: "The volume is mounted nosuid. Within a build, sudo, su, ping and other programs that gain rights will not work; builds that use none of them do.",
    cure: VOLUME,
};
const NO_VOLUME: Case = Case {
    name: "none",
    status: Status::Warn,
    means: "The workspace lies in the container's own root file system: slower, counted as the container's ephemeral storage, and no place for the kernel's overlay driver.",
    cure: VOLUME,
};
const NETWORK: Case = Case {
    name: "network",
    status: Status::Warn,
    means: "The workspace lies on a network file system: builds are slow there, and most storage drivers refuse it.",
    cure: VOLUME,
};
const FULL: Case = Case {
    name: "full",
    status: Status::Fail,
    means: "There is hardly any room for the job's files and its images: it will end with \"No space left on device\".",
    cure: "In the pod spec, a larger volume:\n  volumes: [{name: workspace, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 50Gi}}}}}}]\nOn the node, as root: df -h {workspace}; df -i {workspace}; crictl rmi --prune",
};
const NARROW: Case = Case {
    name: "narrow",
    status: Status::Warn,
    means: "A small job fits in. Base images of a gigabyte and caches do not.",
    cure: FULL.cure,
};

fn writable(scene: &Scene) -> Finding {
    let path = &scene.config.workspace.path;
    let _guard = Guard::of(path);
    match Scratch::beneath(path) {
        Ok(_) => Finding::ok(existing(path).display().to_string()),
        Err(error) => refused(existing(path), &error),
    }
}

fn refused(place: &Path, error: &std::io::Error) -> Finding {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let shown = place.display();
    if mounted(place).contains(FsFlags::ST_RDONLY) {
        return Finding::case(READ_ONLY, format!("{shown} is mounted read-only"));
    }
    match (errno, std::fs::metadata(place)) {
        (Errno::EACCES | Errno::EPERM, Ok(metadata)) => {
            let (owner, group) = (metadata.uid(), metadata.gid());
            let mode = metadata.mode() & 0o7777;
            let (uid, gid) = (getuid(), getgid());
            let found = format!(
                "{shown} belongs to {owner}:{group} with mode {mode:04o}, and this is {uid}:{gid}"
            );
            Finding::case(WRONG_OWNER, found)
        }
        _ => Finding::case(NOT_WRITABLE, format!("{shown}: {}", told(errno))),
    }
}

fn mounted(place: &Path) -> FsFlags {
    statvfs(place).map_or(FsFlags::empty(), |found| found.flags())
}

fn flags(scene: &Scene) -> Finding {
    let place = existing(&scene.config.workspace.path);
    let flags = mounted(place);
    let shown = place.display();
    if flags.contains(FsFlags::ST_NOEXEC) {
        return Finding::case(NOEXEC, format!("{shown} is mounted noexec"));
    }
    if flags.contains(FsFlags::ST_NOSUID) {
        return Finding::case(NOSUID, format!("{shown} is mounted nosuid"));
    }
    Finding::ok("neither noexec nor nosuid")
}

fn volume(scene: &Scene) -> Finding {
    let place = existing(&scene.config.workspace.path);
    let shown = place.display();
    match filesystem::kind(place) {
        Ok(kind @ Kind::Stacked(_)) => {
            Finding::case(NO_VOLUME, format!("{shown} lies on {}", kind.name()))
        }
        Ok(kind @ Kind::Network(_)) => {
            Finding::case(NETWORK, format!("{shown} lies on {}", kind.name()))
        }
        Ok(kind) => Finding::ok(kind.name()),
        Err(errno) => Finding::skipped(format!("{shown}: {}", told(errno))),
    }
}

const MIB: u64 = 1 << 20;

fn space(scene: &Scene) -> Finding {
    let place = existing(&scene.config.workspace.path);
    let Ok(found) = statvfs(place) else {
        return Finding::skipped("statvfs(2) does not answer");
    };
    let bytes = found.blocks_available() * found.fragment_size();
    // Some file systems have no fixed number of inodes.
    let inodes = (found.files() > 0).then(|| found.files_available());
    let inodes_shown = inodes.map_or("no limit of".to_owned(), |count| count.to_string());
    let told = format!("{} MiB and {inodes_shown} inodes free", bytes / MIB);
    let inodes = inodes.unwrap_or(u64::MAX);
    match (bytes / MIB, inodes) {
        (0..100, _) | (_, 0..1000) => Finding::case(FULL, told),
        (100..2000, _) | (_, 1000..50_000) => Finding::case(NARROW, told),
        _ => Finding::ok(told),
    }
}
