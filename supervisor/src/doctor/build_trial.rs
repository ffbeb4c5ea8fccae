//! The last proof: an image of two steps, built by the real buildah as a job would, and gone afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::unistd::getuid;

use super::leash;
use super::scene::{self, Scene};
use crate::config::{Config, Driver};
use crate::sys::program;
use crate::sys::scratch::{Guard, Scratch};
use crate::{storage, workspace};

/// What the image is made of: a copy of this very program, which needs no other file. It belongs to another user, as
/// files in images do: with a single id, to which Buildah falls back without failing, everything else would work.
const CONTAINERFILE: &str =
    "FROM scratch\nCOPY --chown=1:1 supervisor /supervisor\nRUN [\"/supervisor\", \"--version\"]\n";
const OWN: &str = "/proc/self/exe";

/// Builds, and tells how that went.
///
/// # Errors
/// What buildah said last.
pub(super) fn build(scene: &Scene, driver: &str) -> Result<String, String> {
    let Some(buildah) = program::find("buildah") else {
        return Err("buildah is not in PATH".to_owned());
    };
    if !program::is_static(Path::new(OWN)) {
        return Err(
            "this supervisor needs libraries, so no step can run it: take the released one"
                .to_owned(),
        );
    }
    let place = scene.config.graph_root();
    let _guard = Guard::with(&place, &strays(scene));
    make_home(scene)?;
    let scratch = Scratch::beneath(&place).map_err(|error| error.to_string())?;
    let config = within(scratch.path(), &scene.config, driver);
    let environment = prepare(&config)?;
    let began = Instant::now();
    let context = config.workspace.work();
    let mut child = Command::new(OWN)
        .args(["trial", leash::NAME])
        .arg(buildah)
        .args(["build", "--no-cache", "--pull=never", "--network=host"])
        .arg(&context)
        .env_remove("BUILDAH_FORMAT")
        .envs(environment)
        .env("HOME", config.workspace.home())
        .env("TMPDIR", config.workspace.temporary())
        .env("XDG_RUNTIME_DIR", &config.runtime_directory)
        .current_dir(&context)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    // wait_with_output would close it, and so let go of the leash.
    let leash = child.stdin.take();
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    drop(leash);
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let ms = began.elapsed().as_millis();
        return Ok(format!(
            "built with {driver} and chroot isolation in {ms} ms"
        ));
    }
    Err(last_words(&said))
}

/// The configuration of a job whose whole world is one directory.
fn within(scratch: &Path, config: &Config, driver: &str) -> Config {
    let mut config = config.clone();
    config.workspace.path = scratch.join("workspace");
    config.storage.graph_root = None;
    config.storage.driver = match driver {
        "overlay" => Driver::Overlay,
        "fuse-overlayfs" => Driver::FuseOverlayfs,
        _ => Driver::Vfs,
    };
    config.runtime_directory = scratch.join("run");
    config
}

type Environment = Vec<(std::ffi::OsString, std::ffi::OsString)>;

/// A step's own Buildah sees none of our variables: it makes these, and they stay behind empty.
fn strays(scene: &Scene) -> Vec<PathBuf> {
    let run = PathBuf::from(format!("/tmp/storage-run-{}", getuid()));
    let mut directories = vec![run.join("containers"), run.join("libpod"), run];
    if let Some(home) = scene::home() {
        directories.push(home.join(".config"));
        if home == scene.config.workspace.home() {
            directories.push(home);
        }
    }
    directories
}

/// It wants the home that /etc/passwd names, which is there in a job where it lies on the workspace.
fn make_home(scene: &Scene) -> Result<(), String> {
    let home = scene.config.workspace.home();
    if scene::home().as_ref() != Some(&home) {
        return Ok(());
    }
    std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))
}

/// As `supervisor run` does it, with the context in place of the job's files.
fn prepare(config: &Config) -> Result<Environment, String> {
    workspace::prepare(config).map_err(|error| error.to_string())?;
    let prepared = storage::prepare(config).map_err(|error| error.to_string())?;
    let context = config.workspace.work();
    std::fs::copy(OWN, context.join("supervisor"))
        .and_then(|_| std::fs::write(context.join("Containerfile"), CONTAINERFILE))
        .map_err(|error| error.to_string())?;
    Ok(prepared.environment)
}

/// The lines of a failed build that tell why, the last ones.
fn last_words(said: &str) -> String {
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(4)..].join("\n")
}
