//! Buildah's storage: which drivers work on the graph root, and which one is taken.

use std::time::Duration;

use super::trials::{Refusal, judge};
use crate::config::Driver;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use crate::storage::{on_container_root, probe};
use linux::filesystem::{self, FsType};
use linux::scratch::nearest_existing;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "storage.driver",
    title: "A good storage driver works",
    how: "Mounts an overlay on the graph root, in a user namespace, and does to it what a build does: whiteout, opaque directory, rename, copy-up. Where that fails, the same with fuse-overlayfs.",
    duty: Duty::Builds,
    after: &["idmap.map", "userns.mount", "workspace.writable"],
    preflight: true,
    limit: Duration::from_secs(12),
    look: driver,
    cases: &[
        NONE,
        NO_VOLUME,
        FORCED,
        VFS,
        VFS_STACKED,
        VFS_NETWORK,
        VFS_MEMORY,
        FUSE,
        FUSE_STACKED,
        FUSE_NETWORK,
        FUSE_MEMORY,
    ],
}];

const NONE: Case = Case {
    name: "none",
    status: Status::Fail,
    means: "This container has to build images for the pod's jobs, and its configuration says that nothing is built here: storage.driver is none.",
    cure: FORCED.cure,
};
const NO_VOLUME: Case = Case {
    name: "no-volume",
    status: Status::Fail,
    means: "The layers of images would lie in the container's own root file system: the kernel's overlay does not stack on it, and nothing bounds or ends what is written there. `supervisor run` refuses to.",
    cure: VFS_STACKED.cure,
};
const FORCED: Case = Case {
    name: "forced",
    status: Status::Fail,
    means: "The configuration asks for the storage driver {driver}, and that does not work here.",
    cure: "Let it be chosen (the best one that works is taken):\n  SUPERVISOR_STORAGE__DRIVER=auto",
};
const VFS: Case = Case {
    name: "vfs",
    status: Status::Warn,
    means: "Builds work with the driver vfs, which copies every layer in full: several times the time and many times the space.",
    cure: "Linux 5.11 or later (5.13 with SELinux) on the node, or /dev/fuse in the container by a device plugin (generic-device-plugin, resource squat.ai/fuse: 1).\nWith podman: --device /dev/fuse",
};
const VFS_STACKED: Case = Case {
    name: "on-overlay",
    cure: "The layers must not lie in the container's own root file system. In the pod spec:\n  volumes: [{name: workspace, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: workspace, mountPath: {workspace}}]\nWith podman: --volume NAME:{workspace}:U",
    ..VFS
};
const VFS_NETWORK: Case = Case {
    name: "on-network",
    cure: "The layers must not lie on a network file system. In the pod spec, a volume on the node's own disk:\n  volumes: [{name: workspace, emptyDir: {}}]",
    ..VFS
};
const VFS_MEMORY: Case = Case {
    name: "on-memory",
    cure: "The layers lie in memory, on a file system without the extended attributes that an overlay needs. Linux 6.6 or later on the node, or in the pod spec a volume on the node's disk:\n  volumes: [{name: workspace, emptyDir: {}}]    # without medium: Memory\nWith podman: --volume NAME:{workspace}:U",
    ..VFS
};
const FUSE: Case = Case {
    name: "fuse",
    status: Status::Warn,
    means: "Builds work with fuse-overlayfs, at a fraction of the speed of the kernel's own overlay file system, which does not work on this graph root.",
    cure: "Linux 5.11 or later (5.13 with SELinux) on the node. What was found says at what the kernel's overlay fails here.",
};
const FUSE_STACKED: Case = Case {
    name: "fuse-on-overlay",
    cure: VFS_STACKED.cure,
    ..FUSE
};
const FUSE_NETWORK: Case = Case {
    name: "fuse-on-network",
    cure: VFS_NETWORK.cure,
    ..FUSE
};
const FUSE_MEMORY: Case = Case {
    name: "fuse-on-memory",
    cure: VFS_MEMORY.cure,
    ..FUSE
};

fn driver(scene: &Scene) -> Finding {
    if scene.config.storage.driver == Driver::None {
        return Finding::case(NONE, "storage.driver is none");
    }
    let graph_root = scene.config.graph_root();
    if on_container_root(nearest_existing(&graph_root)) {
        let found = format!("{} lies on the container's root", graph_root.display());
        return Finding::case(NO_VOLUME, found);
    }
    let _guard = scene.guard(&graph_root);
    let overlay = || judge(probe::overlay(&graph_root));
    let fuse = || judge(probe::fuse_overlayfs(&graph_root));
    match scene.config.storage.driver {
        Driver::Overlay => forced(Driver::Overlay, overlay()),
        Driver::FuseOverlayfs => forced(Driver::FuseOverlayfs, fuse()),
        Driver::Vfs => Finding::ok("vfs, as configured").value("vfs"),
        Driver::Auto | Driver::None => automatic(&graph_root, overlay(), fuse),
    }
}

fn forced(driver: Driver, tried: Result<(), Refusal>) -> Finding {
    let name = driver.name();
    match tried {
        Ok(()) => Finding::ok(format!("{name}, as configured, works")).value(name),
        Err(refusal) => Finding::case(FORCED, refusal.told()).fill("driver", name),
    }
}

fn automatic(
    graph_root: &std::path::Path,
    overlay: Result<(), Refusal>,
    fuse: impl FnOnce() -> Result<(), Refusal>,
) -> Finding {
    let Err(overlay) = overlay else {
        return Finding::ok("overlay").value("overlay");
    };
    let why = format!("overlay: {}", overlay.told());
    let place = nearest_existing(graph_root);
    let kind = filesystem::fs_type(place).unwrap_or(FsType::Other(0));
    let [with_fuse, without] = cases(kind, filesystem::has_user_attributes(place));
    let Err(fuse) = fuse() else {
        return Finding::case(with_fuse, why).value("fuse-overlayfs");
    };
    Finding::case(without, format!("{why}; fuse-overlayfs: {}", fuse.told())).value("vfs")
}

/// What keeps the kernel's overlay from working is the place, where it is known to; with fuse-overlayfs, and with vfs.
fn cases(kind: FsType, has_attributes: bool) -> [Case; 2] {
    match kind {
        FsType::Stacked(_) => [FUSE_STACKED, VFS_STACKED],
        FsType::Network(_) => [FUSE_NETWORK, VFS_NETWORK],
        FsType::Memory if !has_attributes => [FUSE_MEMORY, VFS_MEMORY],
        FsType::Memory | FsType::Other(_) => [FUSE, VFS],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cure_fits_what_the_graph_root_lies_on() {
        let names = |kind, attributes| cases(kind, attributes).map(|case| case.name);
        let overlay = FsType::Stacked("overlay");
        assert_eq!(names(overlay, true), ["fuse-on-overlay", "on-overlay"]);
        let nfs = FsType::Network("NFS");
        assert_eq!(names(nfs, false), ["fuse-on-network", "on-network"]);
        assert_eq!(
            names(FsType::Memory, false),
            ["fuse-on-memory", "on-memory"]
        );
        assert_eq!(names(FsType::Memory, true), ["fuse", "vfs"]);
        let ext4 = FsType::Other(0xef53);
        assert_eq!(names(ext4, true), ["fuse", "vfs"]);
        assert!(FUSE.cure.contains("5.11") && !FUSE.cure.contains("emptyDir"));
        assert!(VFS_MEMORY.cure.contains("Linux 6.6"));
    }
}
