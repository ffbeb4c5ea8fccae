//! The proof: the real buildah builds an image of two steps, as a job would.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::config::{Config, Driver};
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::{self, Context};
use crate::doctor::duty::Duty;
use crate::doctor::kill_on_disconnect;
use crate::{storage, workspace};
use linux::cleanup_watchdog::CleanupWatchdog;
use linux::probe;
use linux::program;
use linux::scratch::Scratch;

/// The check that proves what the other checks suggest.
pub(in crate::doctor) const PROOF: &str = "storage.build";

pub(super) const CHECKS: &[Check] = &[Check {
    id: PROOF,
    title: "An image can be built",
    method: "Builds an image FROM scratch in a directory of its own on the graph root. The first step copies this program for another owner, the second step runs it. It uses buildah, the driver found and isolation chroot.",
    duty: Duty::Builds,
    needs: &[
        "storage.driver",
        "tools.buildah",
        "filesystem.runtime",
        "filesystem.passwd-home",
        "kernel.memory",
        "workspace.flags",
        "workspace.space",
    ],
    timeout: Duration::from_secs(30),
    run: build,
    findings: &[FAILED],
    ..Check::DEFAULT
}];

const FAILED: Finding = Finding::fails("failed")
    .means(
        "All checks before this one passed, but buildah cannot build. Its last messages are above.",
    )
    .remedy(
        "supervisor doctor --json    # open an issue with this output: the cause is not known yet",
    );

/// A file of another owner fails if buildah fell back to a single id.
const CONTAINERFILE: &str = "FROM scratch\nCOPY --chown=33:33 supervisor /supervisor\nRUN [\"/supervisor\", \"--version\"]\n";
const OWN: &str = "/proc/self/exe";

fn build(context: &Context) -> Observation {
    let Some(buildah) = program::find("buildah") else {
        return Observation::skipped("buildah is not in PATH");
    };
    if !program::is_static(Path::new(OWN)) {
        return Observation::skipped(
            "this supervisor is not linked statically, so it cannot run in an image FROM scratch",
        );
    }
    let driver = context.values.get("storage.driver").map(String::as_str);
    match attempt(context, &buildah, driver) {
        Ok(()) => {
            let driver = driver.unwrap_or("the configured driver");
            Observation::ok(format!("two steps, with {driver} and isolation chroot"))
        }
        Err(error) => Observation::problem(FAILED, error),
    }
}

fn attempt(context: &Context, buildah: &Path, driver: Option<&str>) -> Result<(), String> {
    let place = context.config.graph_root();
    let _guard = CleanupWatchdog::start_with(&place, &leftovers(context));
    make_home(context)?;
    let scratch = Scratch::create_in(&place).map_err(|error| error.to_string())?;
    let config = within(&context.config, scratch.path(), driver);
    let environment = prepare(&config)?;
    run(buildah, &config.workspace.work(), environment)
}

/// Directories that Buildah makes in a step and leaves behind empty. There, our variables are not set.
fn leftovers(context: &Context) -> Vec<PathBuf> {
    let run = PathBuf::from(format!("/tmp/storage-run-{}", nix::unistd::getuid()));
    let mut directories = vec![run.join("containers"), run.join("libpod"), run];
    if let Some(home) = context::home() {
        directories.push(home.join(".config"));
        if home == context.config.workspace.home() {
            directories.push(home);
        }
    }
    directories
}

/// Makes the home directory of /etc/passwd, which Buildah needs. In a job it exists if it is on the workspace.
fn make_home(context: &Context) -> Result<(), String> {
    let home = context.config.workspace.home();
    if context::home().as_ref() != Some(&home) {
        return Ok(());
    }
    std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))
}

/// Returns the configuration with all its directories beneath `place`.
fn within(config: &Config, place: &Path, driver: Option<&str>) -> Config {
    let mut config = config.clone();
    config.storage.graph_root = None;
    config.workspace.path = place.join("workspace");
    config.runtime_directory = place.join("run");
    if let Some(driver) = driver.and_then(Driver::named) {
        config.storage.driver = driver;
    }
    config
}

type Environment = Vec<(OsString, OsString)>;

/// Prepares workspace and storage as `supervisor run` does before a job. The build context replaces the job's files.
fn prepare(config: &Config) -> Result<Environment, String> {
    workspace::prepare(&config.workspace).map_err(|error| error.to_string())?;
    let settings = storage::Settings::of_job(config);
    let prepared = storage::prepare(&settings, None).map_err(|error| error.to_string())?;
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

/// Runs buildah. It and its processes end when this process does.
///
/// # Errors
/// The last lines of buildah's output.
fn run(buildah: &Path, context: &Path, environment: Environment) -> Result<(), String> {
    let child = probe::command(kill_on_disconnect::NAME)
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
    let mut child = child.map_err(|error| error.to_string())?;
    // `wait_with_output` would close stdin, and that would kill buildah.
    let stdin = child.stdin.take();
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    drop(stdin);
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(3)..].join("\n");
    Err(format!("buildah, {}: {last}", output.status))
}
