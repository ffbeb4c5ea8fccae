//! The container's own file systems: the root, and the directories of temporary and private files.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use super::trials::told;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::{self, Scene};
use crate::storage::in_memory;
use crate::sys::scratch::existing;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "filesystem.root",
        title: "The root file system is writable",
        how: "Reads the mount flags of /.",
        duty: Duty::Builds,
        preflight: true,
        look: root,
        cases: &[READ_ONLY],
        ..Check::NEW
    },
    Check {
        id: "filesystem.runtime",
        title: "There is a private directory in memory",
        how: "Asks whether runtime_directory, or where it would be made, may be written, and whether it lies in memory.",
        preflight: true,
        look: runtime,
        cases: &[NO_RUNTIME, ON_DISK],
        ..Check::NEW
    },
    Check {
        id: "filesystem.home",
        title: "This user's home directory is there",
        how: "Looks for the directory that /etc/passwd names; the supervisor makes the one on the workspace.",
        duty: Duty::Builds,
        preflight: true,
        look: home,
        cases: &[NO_HOME],
        ..Check::NEW
    },
    Check {
        id: "filesystem.temporary",
        title: "Temporary files have a place",
        how: "Asks whether /tmp and /var/tmp may be written. HOME and TMPDIR of the job lie on the workspace, XDG_RUNTIME_DIR is the private directory.",
        look: temporary,
        cases: &[NO_TEMPORARY],
        ..Check::NEW
    },
];

const READ_ONLY: Case = Case {
    name: "read-only",
    status: Status::Fail,
    means: "A build step runs in a copy of this container's mounts, and Buildah has to change the flags of the root's among them; on a read-only one the kernel forbids that.",
    cure: "In the pod spec, on this container (the root is gone with the container anyway):\n  securityContext:\n    readOnlyRootFilesystem: false\nWith podman: leave out --read-only",
};
const NO_RUNTIME: Case = Case {
    name: "not-writable",
    status: Status::Fail,
    means: "The supervisor's own files (Buildah's settings, registry credentials) lie in a private directory, and it cannot be written.",
    cure: "In the pod spec:\n  volumes: [{name: run, emptyDir: {medium: Memory}}]\nand on this container:\n  volumeMounts: [{name: run, mountPath: {runtime}}]\nWith podman: --mount type=tmpfs,destination={runtime},tmpfs-mode=0700,U=true",
};
const ON_DISK: Case = Case {
    name: "on-disk",
    status: Status::Warn,
    means: "Registry credentials are written to the private directory, and it lies on a disk: what is deleted there can be found again.",
    cure: NO_RUNTIME.cure,
};
const NO_HOME: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "Within a build's RUN step Buildah looks into the home directory that /etc/passwd names for this user, whatever HOME says, and ends where that is not there: \"cannot resolve\".",
    cure: "In the image's Containerfile, either of:\n  RUN usermod --home {workspace}/home {user}\n  RUN install -d -o {uid} -g {gid} {home}",
};
const NO_TEMPORARY: Case = Case {
    name: "not-writable",
    status: Status::Warn,
    means: "Many programs write to these directories without asking for TMPDIR.",
    cure: "In the pod spec:\n  volumes: [{name: tmp, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: tmp, mountPath: /tmp}, {name: tmp, mountPath: /var/tmp}]\nWith podman: --tmpfs /tmp:exec --tmpfs /var/tmp:exec",
};

fn root(_: &Scene) -> Finding {
    if statvfs("/").is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY)) {
        return Finding::case(READ_ONLY, "/ is mounted read-only");
    }
    Finding::ok("/ is mounted read-write")
}

fn runtime(scene: &Scene) -> Finding {
    let place = existing(&scene.config.runtime_directory);
    let shown = place.display();
    if let Some(finding) = closed(place).map(|why| Finding::case(NO_RUNTIME, why)) {
        return finding;
    }
    if !in_memory(place) {
        return Finding::case(ON_DISK, format!("{shown} does not lie in memory"));
    }
    Finding::ok(format!("{shown}, in memory"))
}

fn home(scene: &Scene) -> Finding {
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

fn temporary(_: &Scene) -> Finding {
    let places = ["/tmp", "/var/tmp"].map(PathBuf::from);
    let closed: Vec<String> = places.iter().filter_map(|place| closed(place)).collect();
    if closed.is_empty() {
        return Finding::ok("/tmp and /var/tmp can be written");
    }
    Finding::case(NO_TEMPORARY, closed.join(", "))
}

/// Why a directory cannot be written.
fn closed(place: &Path) -> Option<String> {
    let errno = access(place, AccessFlags::W_OK | AccessFlags::X_OK).err()?;
    Some(format!("{}: {}", place.display(), told(errno)))
}
