//! Runs `scripts/runme_local.sh` as a user would, and checks for leftovers.
//!
//! Needs root, podman and the images, which `scripts/test.sh` provides. Helpers panic on errors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod engine;
mod image;
mod job;
pub mod manifests;
mod pair;
mod pod;
mod registry;

pub use engine::{image_with, podman, podman_command, security_flags};
pub use image::Image;
pub use job::{Ended, Job, Running};
pub use pair::Pair;
pub use pod::{Done, Pod};
pub use registry::Registry;

use std::path::{Path, PathBuf};
use std::process::Output;

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// A repository in `tests/fixtures`.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures").join(name)
}

/// The supervisor that `scripts/test.sh` built: static, as released.
#[must_use]
pub fn supervisor() -> PathBuf {
    let path = std::env::var_os("CI_CD_AGENTS_BINARY")
        .expect("CI_CD_AGENTS_BINARY is not set: run these tests with scripts/test.sh");
    PathBuf::from(path)
}

/// The runner image that `scripts/test.sh` built.
#[must_use]
pub fn runner_image() -> String {
    std::env::var("RUNNER_IMAGE")
        .expect("RUNNER_IMAGE is not set: run these tests with scripts/test.sh")
}

/// The image of the shape `single` that `scripts/test.sh` built.
#[must_use]
pub fn single_image() -> String {
    std::env::var("SINGLE_IMAGE").unwrap_or_else(|_| beside("single"))
}

/// The builder image that `scripts/test.sh` built.
#[must_use]
pub fn builder_image() -> String {
    std::env::var("BUILDER_IMAGE").unwrap_or_else(|_| beside("builder"))
}

/// The image with a virtual machine that `scripts/test.sh` built: QEMU and a kernel.
#[must_use]
pub fn vm_image() -> String {
    std::env::var("VM_IMAGE").unwrap_or_else(|_| "localhost/ci-cd-agents/vm:trixie".to_owned())
}

/// The image that lies beside the runner's.
fn beside(name: &str) -> String {
    let runner = runner_image();
    let directory = runner.rsplit_once('/');
    let directory = directory.map_or("", |(directory, _)| directory);
    format!("{directory}/{name}:local")
}

/// Runs the image of the shape `single` with the rights of a pod, and no volume but those in `flags`.
#[must_use]
pub fn run_in_a_pod(flags: &[&str], arguments: &[&str]) -> Output {
    let seccomp = format!(
        "seccomp={}",
        root().join("k8s/seccomp/buildah.json").display()
    );
    let mut rights = vec!["--security-opt", &seccomp];
    rights.extend(["--cap-drop", "all"]);
    rights.extend(["--cap-add", "SETUID", "--cap-add", "SETGID"]);
    rights.extend(flags);
    run_image(&single_image(), &rights, arguments)
}

/// Runs an image without a network, with what `flags` give it.
#[must_use]
pub fn run_image(image: &str, flags: &[&str], arguments: &[&str]) -> Output {
    image_with(
        &["run", "--rm", "--network", "none"],
        image,
        flags,
        arguments,
    )
}

/// The same, in the background: it stays until it is removed.
#[must_use]
pub fn start_image(image: &str, flags: &[&str], arguments: &[&str]) -> Output {
    image_with(
        &["run", "--detach", "--network", "none"],
        image,
        flags,
        arguments,
    )
}

/// Waits until what a step has said is taken. Under chroot isolation, Buildah 1.39 does not wait for its own copying of a
/// step's output: when the step ends, what is still in the pipe is gone, and the exit code is 0 all the same.
#[macro_export]
macro_rules! taken {
    () => {
        "perl -e '$n = pack i => 1; while (unpack i => $n) { ioctl STDOUT, 0x541B, $n or last; select undef, undef, undef, .001 }'"
    };
}
