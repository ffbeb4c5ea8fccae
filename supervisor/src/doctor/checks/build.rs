//! The proof of it all: the real buildah builds an image of two steps, from nothing, as a job would.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::config::{Config, Driver};
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::leash;
use crate::doctor::scene::{self, Scene};
use crate::{storage, workspace};
use linux::cleanup_watchdog::CleanupWatchdog;
use linux::probe;
use linux::program;
use linux::scratch::Scratch;

/// The check that proves what the others suggest.
pub(in crate::doctor) const PROOF: &str = "storage.build";

pub(super) const CHECKS: &[Check] = &[Check {
    id: PROOF,
    title: "An image can be built",
    how: "Runs buildah on a Containerfile FROM scratch that copies this very program into the image, for another owner, and runs it in a step, with the driver found and isolation chroot, in a directory of its own on the graph root.",
    duty: Duty::Builds,
    after: &[
        "storage.driver",
        "tools.buildah",
        "filesystem.runtime",
        "filesystem.passwd-home",
        "kernel.memory",
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
    let driver = scene.values.get("storage.driver").map(String::as_str);
    match attempt(scene, &buildah, driver) {
        Ok(()) => {
            let driver = driver.unwrap_or("the configured driver");
            Finding::ok(format!("two steps, with {driver} and isolation chroot"))
        }
        Err(said) => Finding::case(FAILED, said),
    }
}

fn attempt(scene: &Scene, buildah: &Path, driver: Option<&str>) -> Result<(), String> {
    let place = scene.config.graph_root();
    let _guard = CleanupWatchdog::start_with(&place, &strays(scene));
    make_home(scene)?;
    let scratch = Scratch::create_in(&place).map_err(|error| error.to_string())?;
    let config = within(&scene.config, scratch.path(), driver);
    let environment = prepare(&config)?;
    run(buildah, &config.workspace.work(), environment)
}

/// A step's own Buildah sees none of our variables: it makes these, and they stay behind empty.
fn strays(scene: &Scene) -> Vec<PathBuf> {
    let run = PathBuf::from(format!("/tmp/storage-run-{}", nix::unistd::getuid()));
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

/// The configuration, moved to a place of its own.
fn within(config: &Config, place: &Path, driver: Option<&str>) -> Config {
    let mut config = config.clone();
    config.storage.graph_root = None;
    config.workspace.path = place.join("workspace");
    config.runtime_directory = place.join("run");
    config.storage.driver = (driver.and_then(Driver::named)).unwrap_or(config.storage.driver);
    config
}

type Environment = Vec<(OsString, OsString)>;

/// As `supervisor run` does it before a job, with the context in place of the job's files.
fn prepare(config: &Config) -> Result<Environment, String> {
    workspace::prepare(config).map_err(|error| error.to_string())?;
    let prepared = storage::prepare(config, None).map_err(|error| error.to_string())?;
    let context = config.workspace.work();
    std::fs::copy(OWN, context.join("supervisor"))
        .and_then(|_| std::fs::write(context.join("Containerfile"), CONTAINERFILE))
        .map_err(|error| error.to_string())?;
    let mut environment = prepared.environment;
    let mut set = |name: &str, path: PathBuf| environment.push((name.into(), path.into()));
    set("HOME", config.workspace.home());
    set("TMPDIR", config.workspace.temporary());
    set("XDG_RUNTIME_DIR", config.runtime_directory.clone());
    if let Some(path) = std::env::var_os("PATH") {
        set("PATH", path.into());
    }
    Ok(environment)
}

/// What buildah said last, where it failed. It and its processes end with us.
fn run(buildah: &Path, context: &Path, environment: Environment) -> Result<(), String> {
    let leash = probe::command(leash::NAME)
        .arg(buildah)
        .args(["build", "--quiet", "--no-cache", "--network", "host"])
        .arg(context)
        .env_clear()
        .envs(environment)
        .current_dir(context)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut leash = leash.map_err(|error| error.to_string())?;
    // wait_with_output would close it, and so let go.
    let held = leash.stdin.take();
    let output = leash
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
