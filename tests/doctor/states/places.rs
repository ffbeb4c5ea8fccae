//! Directories, mounts, devices, and storage drivers.

use crate::rows::{assert_all, row};
use crate::state::{State, good, workspace};

#[test]
fn doctor_finds_faults_of_the_containers_file_systems() {
    assert_all([
        row("read-only root", good().flags(&["--read-only"])).finds(
            "filesystem.root",
            "warn read-only",
            "readOnlyRootFilesystem: false",
        ),
        row(
            "runtime directory of another user",
            good().runtime("--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700"),
        )
        .finds(
            "filesystem.runtime",
            "fail not-writable",
            "mountPath: /run/supervisor",
        ),
        row("runtime directory on disk", good().runtime("")).finds(
            "filesystem.runtime",
            "warn on-disk",
            "medium: Memory",
        ),
        row("HOME of another user", good().flags(&["--env=HOME=/root"])).finds(
            "filesystem.home",
            "warn not-writable",
            "HOME=/workspace/home",
        ),
        row(
            "TMPDIR on a read-only root",
            good().flags(&["--read-only", "--env=TMPDIR=/opt"]),
        )
        .finds(
            "filesystem.home",
            "warn not-writable",
            "TMPDIR=/workspace/tmp",
        ),
        row(
            "XDG_RUNTIME_DIR of another user",
            good().flags(&["--env=XDG_RUNTIME_DIR=/root"]),
        )
        .finds(
            "filesystem.home",
            "warn not-writable",
            "XDG_RUNTIME_DIR=/run/supervisor",
        ),
        row(
            "no home",
            good().setup("usermod --home /home/runner runner"),
        )
        .finds(
            "filesystem.passwd-home",
            "fail missing",
            "install -d -o 1000 -g 1000 /home/runner",
        ),
    ]);
}

#[test]
fn doctor_finds_faults_of_the_workspace() {
    let (writable, flags, space) = ("workspace.writable", "workspace.flags", "workspace.space");
    let inodes = |count: u32| {
        good().setup(&format!(
            "mount -t tmpfs -o mode=1777,nr_inodes={count} tmpfs /workspace"
        ))
    };
    assert_all([
        row("read-only", good().workspace("--tmpfs=/workspace:ro")).finds(
            writable,
            "fail read-only",
            "emptyDir: {}",
        ),
        row("volume of another user", workspace("tmpfs-mode=0755"))
            .finds(writable, "fail wrong-owner", "fsGroup: 1000")
            .finds("storage.driver", "skipped", ""),
        row("noexec", workspace("U=true,noexec")).finds(flags, "warn noexec", "rw,exec,suid,dev,U"),
        row(
            "noexec beneath layers",
            workspace("U=true,noexec").flags(&["--env=SUPERVISOR_STORAGE__DRIVER=vfs"]),
        )
        .finds(flags, "fail noexec-layers", "rw,exec,suid,dev,U")
        .finds("storage.build", "skipped", ""),
        row("nosuid", workspace("U=true,exec,nosuid")).finds(
            flags,
            "warn nosuid",
            "rw,exec,suid,dev,U",
        ),
        row("full", workspace("U=true,exec,suid,tmpfs-size=50m")).finds(
            space,
            "fail full",
            "sizeLimit",
        ),
        row("narrow", workspace("U=true,exec,suid,tmpfs-size=500m")).finds(
            space,
            "warn little",
            "sizeLimit",
        ),
        row("no room even for a directory", inodes(1)).finds(
            writable,
            "fail not-writable",
            "emptyDir: {}",
        ),
        row("no inodes", inodes(400)).finds(space, "fail no-inodes", "df -i"),
        row("few inodes", inodes(20_000)).finds(space, "warn few-inodes", "df -i"),
    ]);
}

/// A graph root on a file system that the kernel's overlay refuses: another overlay.
fn on_overlay(setup: &str) -> State {
    let overlay = "mkdir /o; mount -t tmpfs tmpfs /o; mkdir /o/lower /o/upper /o/work; \
        mount -t overlay -o lowerdir=/o/lower,upperdir=/o/upper,workdir=/o/work overlay /workspace; chown 1000:1000 /workspace";
    good().setup(&format!("{overlay}; {setup}"))
}

/// The same with /dev/fuse.
fn fuse(setup: &str) -> State {
    on_overlay(setup).flags(&["--device=/dev/fuse"])
}

const OPEN: &str = "chmod 0666 /dev/fuse";

fn forced(driver: &str) -> State {
    on_overlay("true").flags(&[&format!("--env=SUPERVISOR_STORAGE__DRIVER={driver}")])
}

#[test]
fn doctor_finds_faults_of_storage_drivers() {
    let (driver, build) = ("storage.driver", "storage.build");
    assert_all([
        row("no volume", good().workspace(""))
            .finds(driver, "fail no-volume", "emptyDir: {}")
            .finds(build, "skipped", ""),
        row("on overlay", on_overlay("true")).finds(driver, "warn on-overlay", "emptyDir: {}"),
        row(
            "a file system without extended attributes",
            good().setup("mount -t ramfs ramfs /workspace; chmod 1777 /workspace"),
        )
        .finds(driver, "warn on-memory", "Linux 6.6"),
        row("fuse-overlayfs", fuse(OPEN)).finds(driver, "warn fuse-on-overlay", "emptyDir: {}"),
        row("overlay forced", forced("overlay"))
            .finds(driver, "fail forced", "SUPERVISOR_STORAGE__DRIVER=auto")
            .finds(build, "skipped", ""),
        row("fuse-overlayfs forced", forced("fuse-overlayfs")).finds(
            driver,
            "fail forced",
            "SUPERVISOR_STORAGE__DRIVER=auto",
        ),
        row("vfs chosen", forced("vfs"))
            .finds(driver, "ok", "")
            .finds("filesystem.fuse", "skipped", ""),
        row("a builder that may not build", forced("none"))
            .with(&["--role", "builder"])
            .finds(driver, "fail none", "SUPERVISOR_STORAGE__DRIVER=auto")
            .finds(build, "skipped", ""),
        row("no builds", forced("none"))
            .finds(driver, "skipped", "")
            .finds("userns.create", "skipped", ""),
    ]);
}

#[test]
fn doctor_finds_what_fuse_overlayfs_needs() {
    let id = "filesystem.fuse";
    let program = |text: &str| {
        fuse(&format!(
            "{OPEN}; printf '#!/bin/sh\\n{text}\\n' >/usr/bin/fuse-overlayfs"
        ))
    };
    assert_all([
        row("no device", on_overlay("true")).finds(id, "warn missing", "--device /dev/fuse"),
        row(
            "device made, not granted",
            on_overlay("mknod -m 0666 /dev/fuse c 10 229"),
        )
        .finds(id, "warn forbidden", "squat.ai/fuse: 1"),
        row("device of root alone", fuse("chmod 0600 /dev/fuse")).finds(
            id,
            "warn mode",
            "chmod 0666 /dev/fuse",
        ),
        row("no device but a file", on_overlay("mkdir /dev/fuse")).finds(
            id,
            "warn unusable",
            "modprobe fuse",
        ),
        row(
            "no program",
            fuse(&format!("{OPEN}; rm /usr/bin/fuse-overlayfs")),
        )
        .finds(id, "warn no-program", "install --yes fuse-overlayfs"),
        row(
            "an old program",
            program("echo fuse-overlayfs: version 0.3"),
        )
        .finds(id, "warn old", "install --yes fuse-overlayfs"),
        row(
            "a program that fails",
            program("[ $1 = --version ] && echo version 1.10"),
        )
        .finds(id, "warn fails", "storage.driver"),
        row("at work", fuse(OPEN)).finds(id, "ok", ""),
    ]);
}
