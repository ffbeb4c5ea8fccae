//! The proof of it all: the real buildah builds an image of two steps, from nothing, as a job would.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::config::{Config, Driver};
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::guard;
use crate::doctor::scene::Scene;
use crate::sys::program;
use crate::sys::scratch::Scratch;
use crate::{storage, workspace};

pub(super) const CHECKS: &[Check] = &[Check {
    id: "storage.build",
    title: "An image can be built",
    how: "Runs buildah on a Containerfile FROM scratch that copies this very program into the image, for another owner, and runs it in a step, with the driver found and isolation chroot, in a directory of its own on the graph root.",
    duty: Duty::Builds,
    after: &[
        "storage.driver",
        "tools.buildah",
        "filesystem.runtime",
        "workspace.flags",
        "workspace.space",
    ],
    limit: Duration::from_secs(30),
    look: build,
    cases: &[FAILED],
    ..Check::NEW
}];

const FAILED: Case = Case {
    name: "failed",
    status: Status::Fail,
    means: "Everything that was looked at is as it should be, and still buildah cannot build. What it said last stands above.",
    cure: "supervisor doctor --json    # and open an issue with it: this case is not known yet",
};

/// A file of another owner: where buildah fell back to a single id, it shows here.
const CONTAINERFILE: &str = "FROM scratch\nCOPY --chown=33:33 supervisor /supervisor\nRUN [\"/supervisor\", \"--version\"]\n";
const OWN: &str = "/proc/self/exe";

fn build(scene: &Scene) -> Finding {
    let Some(buildah) = program::find("buildah") else {
        return Finding::skipped("there is no buildah");
    };
    if !program::is_static(Path::new(OWN)) {
        return Finding::skipped(
            "this supervisor is not linked statically, so no image FROM scratch can run it",
        );
    }
    let scratch = match Scratch::beneath(&scene.config.graph_root()) {
        Ok(scratch) => scratch,
        Err(error) => return Finding::case(FAILED, error.to_string()),
    };
    let driver = scene.values.get("storage.driver").map(String::as_str);
    let config = within(&scene.config, scratch.path(), driver);
    let prepared = match prepare(&config, scratch.path()) {
        Ok(environment) => environment,
        Err(error) => return Finding::case(FAILED, error),
    };
    let driver = driver.unwrap_or("the configured driver");
    match run(
        &buildah,
        scratch.path(),
        &scene.config.workspace.home(),
        prepared,
    ) {
        Ok(()) => Finding::ok(format!("two steps, with {driver} and isolation chroot")),
        Err(said) => Finding::case(FAILED, said),
    }
}

/// The configuration, moved to a place of its own.
fn within(config: &Config, place: &Path, driver: Option<&str>) -> Config {
    let mut config = config.clone();
    config.storage.graph_root = None;
    config.workspace.path = place.join("workspace");
    config.runtime_directory = place.join("run");
    config.storage.driver = match driver {
        Some("overlay") => Driver::Overlay,
        Some("fuse-overlayfs") => Driver::FuseOverlayfs,
        Some("vfs") => Driver::Vfs,
        _ => config.storage.driver,
    };
    config
}

/// What `run` prepares before a job, and a context to build from.
fn prepare(config: &Config, place: &Path) -> Result<Vec<(OsString, OsString)>, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    workspace::prepare(config).map_err(|error| text(&error))?;
    let mut environment = storage::prepare(config)
        .map_err(|error| text(&error))?
        .environment;
    let context = place.join("context");
    let made = std::fs::create_dir(&context)
        .and_then(|()| std::fs::copy(OWN, context.join("supervisor")))
        .and_then(|_| std::fs::write(context.join("Containerfile"), CONTAINERFILE));
    made.map_err(|error| text(&error))?;
    let mut set = |name: &str, path: PathBuf| environment.push((name.into(), path.into()));
    set("HOME", config.workspace.home());
    set("TMPDIR", config.workspace.temporary());
    set("XDG_RUNTIME_DIR", config.runtime_directory.clone());
    if let Some(path) = std::env::var_os("PATH") {
        environment.push(("PATH".into(), path));
    }
    Ok(environment)
}

/// What buildah said last, where it failed. It ends with us, and its files go, even if we are killed.
fn run(
    buildah: &Path,
    place: &Path,
    home: &Path,
    environment: Vec<(OsString, OsString)>,
) -> Result<(), String> {
    let guard = Command::new(OWN)
        .args(["trial", guard::NAME])
        .args([place, home, buildah])
        .args(["build", "--quiet", "--no-cache", "--network", "host"])
        .arg(place.join("context"))
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A terminal's interrupt is for the doctor, which sees to the rest.
        .process_group(0)
        .spawn();
    let mut guard = guard.map_err(|error| error.to_string())?;
    let held = guard.stdin.take();
    let output = guard
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    drop(held);
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(3)..].join("\n");
    Err(format!("buildah, {}: {last}", output.status))
}
