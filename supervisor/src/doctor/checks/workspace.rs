//! The workspace: the ephemeral volume with the job's files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{getgid, getuid};

use super::probes::errno_text;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use linux::errno::to_nix;
use linux::scratch::{Scratch, nearest_existing};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "workspace.writable",
        title: "The workspace is writable",
        method: "Makes a directory in it, or in its nearest existing parent, and removes it again.",
        preflight: true,
        run: writable,
        findings: &[READ_ONLY, WRONG_OWNER, NOT_WRITABLE],
        ..Check::DEFAULT
    },
    Check {
        id: "workspace.space",
        title: "The workspace and the graph root have free space",
        method: "Reads free space and free inodes, statvfs(2).",
        preflight: true,
        run: space,
        findings: &[FULL, NO_INODES, LITTLE, FEW_INODES],
        ..Check::DEFAULT
    },
    Check {
        id: "workspace.flags",
        title: "The workspace's mount has no restricting flags",
        method: "Reads the mount flags of the workspace and of the graph root. With the driver overlay, build steps run on a mount of their own.",
        needs: &["storage.driver"],
        preflight: true,
        run: flags,
        findings: &[NOEXEC_LAYERS, NOEXEC, NOSUID],
        ..Check::DEFAULT
    },
];

const READ_ONLY: Finding = Finding::fails("read-only")
    .means("The workspace has the job's files and the layers of its images. It is not writable.")
    .remedy("In the pod spec:\n  volumes: [{name: workspace, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: workspace, mountPath: {workspace}}]\nWith podman: --volume NAME:{workspace}:U");
const WRONG_OWNER: Finding = Finding::fails("wrong-owner")
    .means("The workspace has the job's files. Its volume belongs to another user, so this container's user may not write there.")
    .remedy("In the pod spec, for the whole pod:\n  securityContext:\n    fsGroup: {gid}\nWith podman: --volume NAME:{workspace}:U\nOn a node: chown {uid}:{gid} {workspace}");
const NOT_WRITABLE: Finding = Finding::fails("not-writable")
    .means(READ_ONLY.means)
    .remedy(READ_ONLY.remedy);

const MORE_SPACE: &str = "In the pod spec, use a larger volume (df and df -i show which limit is reached):\n  volumes:\n  - name: workspace\n    emptyDir: {sizeLimit: 20Gi}\nOn the node, remove unused images:\n  crictl rmi --prune";
const FULL: Finding = Finding::fails("full")
    .means("The volume for the job's files and the layers of its images is almost full: \"no space left on device\".")
    .remedy(MORE_SPACE);
const NO_INODES: Finding = Finding::fails("no-inodes")
    .means("The file system has free space but no free inodes, so it can have no more files: \"no space left on device\", although df shows free space.")
    .remedy(MORE_SPACE);
const LITTLE: Finding = Finding::warns("little")
    .means("An unpacked base image and one build need some gigabytes. Less is free.")
    .remedy(MORE_SPACE);
const FEW_INODES: Finding = Finding::warns("few-inodes")
    .means("An unpacked base image has tens of thousands of files. Fewer inodes are free.")
    .remedy(MORE_SPACE);
const NOEXEC: Finding = Finding::warns("noexec")
    .means("No program on this mount can be run. That includes programs that a job downloads or compiles, and scripts of its repository. Builds work.")
    .remedy("In the pod spec, use a volume without that mount option, for example emptyDir.\nWith podman: --volume NAME:{workspace}:rw,exec,suid,dev,U\nOn the node: mount -o remount,exec PATH");
const NOEXEC_LAYERS: Finding = Finding::fails("noexec-layers")
    .means("The layers of images are on this mount. The driver vfs runs build steps directly there, and no program on it can be run: \"permission denied\".")
    .remedy(NOEXEC.remedy);
const NOSUID: Finding = Finding::warns("nosuid")
    .means("In a build step, setuid programs and programs with file capabilities do not get these rights, for example sudo and ping.")
    .remedy("In the pod spec, use a volume without that mount option, for example emptyDir.\nWith podman: --volume NAME:{workspace}:rw,exec,suid,dev,U");

fn writable(context: &Context) -> Observation {
    let path = &context.config.workspace.path;
    let _guard = context.guard(path);
    match Scratch::create_in(path) {
        Ok(_) => Observation::ok(format!("{} is writable", nearest_existing(path).display())),
        Err(error) => refused(nearest_existing(path), &error),
    }
}

const MIB: u64 = 1 << 20;

/// The workspace, and the graph root if it is used and is elsewhere.
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
    let mut texts = Vec::new();
    for place in places(context) {
        let place = nearest_existing(&place);
        let Ok(found) = statvfs(place) else { continue };
        let shown = place.display();
        let free = found.blocks_available() * found.fragment_size() / MIB;
        // Some file systems, such as btrfs, have no fixed number of inodes and report 0 of 0.
        let inodes = match found.files() {
            0 => u64::MAX,
            _ => found.files_available(),
        };
        let text = format!("{shown}: {free} MiB free");
        let files = format!("{shown}: {inodes} inodes free");
        match (free, inodes) {
            (0..64, _) => return Observation::problem(FULL, text),
            (_, 0..500) => return Observation::problem(NO_INODES, files),
            (64..2048, _) => return Observation::problem(LITTLE, text),
            (_, 500..50_000) => return Observation::problem(FEW_INODES, files),
            _ => texts.push(text),
        }
    }
    Observation::ok(texts.join(", "))
}

fn flags(context: &Context) -> Observation {
    for place in places(context) {
        let place = nearest_existing(&place);
        let Ok(found) = statvfs(place) else { continue };
        let shown = place.display();
        if found.flags().contains(FsFlags::ST_NOEXEC) {
            let vfs = context
                .values
                .get("storage.driver")
                .is_some_and(|driver| driver == "vfs");
            let finding = if vfs { NOEXEC_LAYERS } else { NOEXEC };
            return Observation::problem(finding, format!("{shown} is mounted noexec"));
        }
        if found.flags().contains(FsFlags::ST_NOSUID) && context.excused(Duty::Builds).is_none() {
            return Observation::problem(NOSUID, format!("{shown} is mounted nosuid"));
        }
    }
    Observation::ok("neither noexec nor nosuid")
}

fn refused(place: &Path, error: &std::io::Error) -> Observation {
    let errno = to_nix(error);
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
                "{shown} belongs to {owner}:{group} with mode {mode:04o}, and this process is {uid}:{gid}"
            );
            Observation::problem(WRONG_OWNER, found)
        }
        _ => Observation::problem(NOT_WRITABLE, format!("{shown}: {}", errno_text(errno))),
    }
}
