//! Buildah's storage: the drivers that work on the graph root, and the choice among them.

use std::time::Duration;

use super::probes::{Refusal, refusal};
use crate::config::Driver;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use crate::storage::{on_container_root, probe};
use linux::filesystem::{self, FsType};
use linux::scratch::nearest_existing;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "storage.driver",
    title: "A good storage driver works",
    method: "Mounts an overlay on the graph root, in a user namespace, and does to it what a build does: whiteout, opaque directory, rename, copy-up. If that fails, it tries the same with fuse-overlayfs.",
    duty: Duty::Builds,
    needs: &["idmap.map", "userns.mount", "workspace.writable"],
    preflight: true,
    timeout: Duration::from_secs(12),
    run: driver,
    findings: &[
        NO_DRIVER,
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

const NO_DRIVER: Finding = Finding::fails("none")
    .means("This container must build images for the pod's jobs, but its configuration turns builds off: storage.driver = none.")
    .remedy(FORCED.remedy);
const NO_VOLUME: Finding = Finding::fails("no-volume")
    .means("The layers of images would be in the container's own root file system. The kernel's overlay does not stack on it, and no volume limits or removes the layers. `supervisor run` refuses this.")
    .remedy(VFS_STACKED.remedy);
const FORCED: Finding = Finding::fails("forced")
    .means("The configuration requires the storage driver {driver}, which does not work here.")
    .remedy(
        "Let the supervisor choose the best driver that works:\n  SUPERVISOR_STORAGE__DRIVER=auto",
    );
const VFS: Finding = Finding::warns("vfs")
    .means("Builds work with the driver vfs, which copies every layer in full. They take several times as long and many times the space.")
    .remedy("Use Linux 5.11 or later (5.13 with SELinux) on the node. Or pass /dev/fuse into the container with a device plugin (generic-device-plugin, resource squat.ai/fuse: 1).\nWith podman: --device /dev/fuse");
const VFS_STACKED: Finding = VFS.named("on-overlay")
    .remedy("The layers must not be in the container's own root file system. In the pod spec:\n  volumes: [{name: workspace, emptyDir: {}}]\nand on this container:\n  volumeMounts: [{name: workspace, mountPath: {workspace}}]\nWith podman: --volume NAME:{workspace}:U");
const VFS_NETWORK: Finding = VFS.named("on-network")
    .remedy("The layers must not be on a network file system. In the pod spec, use a volume on the node's own disk:\n  volumes: [{name: workspace, emptyDir: {}}]");
const VFS_MEMORY: Finding = VFS.named("on-memory")
    .remedy("The layers are in memory, on a file system without the extended attributes that an overlay needs. Use Linux 6.6 or later on the node, or in the pod spec a volume on the node's disk:\n  volumes: [{name: workspace, emptyDir: {}}]    # without medium: Memory\nWith podman: --volume NAME:{workspace}:U");
const FUSE: Finding = Finding::warns("fuse")
    .means("Builds work with fuse-overlayfs, at a fraction of the speed of the kernel's overlay. The kernel's overlay does not work on this graph root.")
    .remedy("Use Linux 5.11 or later (5.13 with SELinux) on the node. The text found above names the call at which the kernel's overlay fails.");
const FUSE_STACKED: Finding = FUSE.named("fuse-on-overlay").remedy(VFS_STACKED.remedy);
const FUSE_NETWORK: Finding = FUSE.named("fuse-on-network").remedy(VFS_NETWORK.remedy);
const FUSE_MEMORY: Finding = FUSE.named("fuse-on-memory").remedy(VFS_MEMORY.remedy);

fn driver(context: &Context) -> Observation {
    if context.config.storage.driver == Driver::None {
        return Observation::problem(NO_DRIVER, "storage.driver = none");
    }
    let graph_root = context.config.graph_root();
    if on_container_root(nearest_existing(&graph_root)) {
        let found = format!("{} is on the container's root", graph_root.display());
        return Observation::problem(NO_VOLUME, found);
    }
    let _guard = context.guard(&graph_root);
    let overlay = || refusal(probe::overlay(&graph_root));
    let fuse = || refusal(probe::fuse_overlayfs(&graph_root));
    match context.config.storage.driver {
        Driver::Overlay => forced(Driver::Overlay, overlay()),
        Driver::FuseOverlayfs => forced(Driver::FuseOverlayfs, fuse()),
        Driver::Vfs => Observation::ok("vfs, as configured").value("vfs"),
        Driver::Auto | Driver::None => automatic(&graph_root, overlay(), fuse),
    }
}

fn forced(driver: Driver, probed: Result<(), Refusal>) -> Observation {
    let name = driver.name();
    match probed {
        Ok(()) => Observation::ok(format!("{name}, as configured, works")).value(name),
        Err(refusal) => Observation::problem(FORCED, refusal.text()).fill("driver", name),
    }
}

fn automatic(
    graph_root: &std::path::Path,
    overlay: Result<(), Refusal>,
    fuse: impl FnOnce() -> Result<(), Refusal>,
) -> Observation {
    let Err(overlay) = overlay else {
        return Observation::ok("overlay").value("overlay");
    };
    let why = format!("overlay: {}", overlay.text());
    let place = nearest_existing(graph_root);
    let kind = filesystem::fs_type(place).unwrap_or(FsType::Other(0));
    let [with_fuse, with_vfs] = findings(kind, filesystem::has_user_attributes(place));
    let Err(fuse) = fuse() else {
        return Observation::problem(with_fuse, why).value("fuse-overlayfs");
    };
    Observation::problem(with_vfs, format!("{why}; fuse-overlayfs: {}", fuse.text())).value("vfs")
}

/// Returns the findings for fuse-overlayfs and for vfs. They name the file system if it is known to refuse overlays.
fn findings(kind: FsType, has_attributes: bool) -> [Finding; 2] {
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
    fn remedy_fits_the_file_system_of_the_graph_root() {
        let names = |kind, attributes| findings(kind, attributes).map(|finding| finding.name);
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
        assert!(FUSE.remedy.contains("5.11") && !FUSE.remedy.contains("emptyDir"));
        assert!(VFS_MEMORY.remedy.contains("Linux 6.6"));
    }
}
