//! The ephemeral volume with the job's files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{getgid, getuid};

use super::trials::told;
use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::scene::Scene;
use crate::sys::scratch::{Scratch, existing};

pub(super) const CHECKS: &[Check] = &[Check {
    id: "workspace.writable",
    title: "The workspace can be written",
    how: "Makes a directory in it, or where it would be made, and removes it again.",
    preflight: true,
    look: writable,
    cases: &[READ_ONLY, WRONG_OWNER, NOT_WRITABLE],
    ..Check::NEW
}];

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

fn writable(scene: &Scene) -> Finding {
    let path = &scene.config.workspace.path;
    match Scratch::beneath(path) {
        Ok(_) => Finding::ok(format!("{} can be written", existing(path).display())),
        Err(error) => refused(existing(path), &error),
    }
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
