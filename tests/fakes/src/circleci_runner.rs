//! A fake of CircleCI's machine runner 3, with its published contract and without CircleCI. Each rule names its source: a
//! section of the "Machine runner 3 configuration reference" (circleci.com/docs), or a release.
//!
//! CircleCI itself is a directory, `$FAKE_CIRCLECI`:
//!   token     the resource class's token
//!   task.sh   the task; the runner waits until it exists
//!   keep-open the runner keeps its configuration open: the reference does not say when it closes it
//!   log       one line for each event

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, exit};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use serde_json::Value;

/// "a brief period after the TERM" (Customizing job timeouts and drain timeouts): the reference gives no figure.
const BRIEF: Duration = Duration::from_secs(2);

fn circleci(name: &str) -> PathBuf {
    PathBuf::from(std::env::var("FAKE_CIRCLECI").expect("FAKE_CIRCLECI")).join(name)
}

fn note(text: &str) {
    let mut options = std::fs::OpenOptions::new();
    let mut log = options
        .append(true)
        .create(true)
        .open(circleci("log"))
        .unwrap();
    writeln!(log, "{text}").unwrap();
}

fn fail(text: &str) -> ! {
    eprintln!("{text}");
    note(&format!("failed: {text}"));
    exit(1);
}

/// The systemd unit of the package and "Install machine runner 3": `circleci-runner machine --config FILE`, or `-c`.
fn configuration() -> Value {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    note(&format!("argv: {}", arguments.join(" ")));
    let [machine, flag, file] = &arguments[..] else {
        fail("usage: circleci-runner machine --config FILE");
    };
    if machine != "machine" || (flag != "--config" && flag != "-c") {
        fail("usage: circleci-runner machine --config FILE");
    }
    // The file is YAML; this reads what of it is JSON.
    let mut opened = std::fs::File::open(file).unwrap_or_else(|error| fail(&error.to_string()));
    let mut text = String::new();
    opened.read_to_string(&mut text).unwrap();
    if circleci("keep-open").exists() {
        std::mem::forget(opened);
    }
    serde_json::from_str(&text).unwrap_or_else(|error| fail(&error.to_string()))
}

struct Settings {
    file: Value,
}

impl Settings {
    /// Introduction: "environment variables … will be prioritized over the YAML file, if set".
    fn text(&self, key: &str, variable: &str) -> Option<String> {
        let in_file = self.file.pointer(&format!("/{}", key.replace('.', "/")));
        let in_file = in_file.map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        std::env::var(variable).ok().or(in_file)
    }

    /// runner.max_run_time, runner.idle_timeout: "h", "m" or "s"; ours are in seconds.
    fn duration(&self, key: &str, variable: &str) -> Option<Duration> {
        let text = self.text(key, variable)?;
        let seconds = text
            .strip_suffix('s')
            .and_then(|number| number.parse().ok());
        Some(Duration::from_secs(
            seconds.unwrap_or_else(|| fail(&format!("{key}: {text}"))),
        ))
    }
}

fn check(settings: &Settings) {
    // api.auth_token: it identifies the runner, and belongs to one resource class.
    let token = settings.text("api.auth_token", "CIRCLECI_RUNNER_API_AUTH_TOKEN");
    let expected = std::fs::read_to_string(circleci("token")).unwrap();
    if token.as_deref() != Some(&expected) {
        fail("unauthorized");
    }
    // runner.name: "the only special characters accepted in RUNNER_NAME are . () - _".
    let name = settings
        .text("runner.name", "CIRCLECI_RUNNER_NAME")
        .unwrap_or_default();
    let accepted = |c: char| c.is_ascii_alphanumeric() || ".()-_".contains(c);
    if name.is_empty() || !name.chars().all(accepted) {
        fail("runner.name is not valid");
    }
    // runner.mode: continuous by default.
    let mode = settings.text("runner.mode", "CIRCLECI_RUNNER_MODE");
    if mode.as_deref() != Some("single-task") {
        fail("this fake knows single-task only");
    }
    let retries = settings.text(
        "runner.enable_unsafe_retries",
        "CIRCLECI_RUNNER_ENABLE_UNSAFE_RETRIES",
    );
    note(&format!(
        "claiming: name={name} unsafe_retries={}",
        retries.as_deref() == Some("true")
    ));
}

/// runner.task_agent_directory: the task agent "is downloaded and executed" in ~/.local/libexec/circleci.
fn task_agent() -> PathBuf {
    let home = PathBuf::from(std::env::var("HOME").unwrap());
    let directory = home.join(".local/libexec/circleci");
    std::fs::create_dir_all(&directory).unwrap();
    let agent = directory.join("task-agent");
    std::fs::write(&agent, "#!/bin/bash\nexec bash -e \"$@\"\n").unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    agent
}

/// runner.command_prefix: the task agent is started behind it. runner.working_directory: made where it is not there.
fn start_task(settings: &Settings) -> Child {
    let directory = settings
        .text("runner.working_directory", "CIRCLECI_RUNNER_WORK_DIR")
        .unwrap();
    std::fs::create_dir_all(&directory).unwrap();
    let prefix = settings
        .file
        .pointer("/runner/command_prefix")
        .and_then(Value::as_array);
    let mut words: Vec<String> = prefix
        .map(|words| {
            words
                .iter()
                .map(|word| word.as_str().unwrap().to_owned())
                .collect()
        })
        .unwrap_or_default();
    words.extend([
        task_agent().to_string_lossy().into_owned(),
        circleci("task.sh").to_string_lossy().into_owned(),
    ]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(directory);
    // As Go does it: the mask and dispositions of a child are the defaults.
    nix::sys::signal::SigSet::all().thread_unblock().unwrap();
    let child = command
        .spawn()
        .unwrap_or_else(|error| fail(&error.to_string()));
    SigSet::from_iter(SIGNALS).thread_block().unwrap();
    child
}

/// 3.1.13: "SIGHUP now triggers a graceful shutdown rather than killing the runner".
const SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// runner.cleanup_working_directory
fn clean_up(settings: &Settings) {
    let clean_up = settings.text(
        "runner.cleanup_working_directory",
        "CIRCLECI_RUNNER_CLEANUP_WORK_DIR",
    );
    if clean_up.as_deref() == Some("true") {
        let directory = settings.text("runner.working_directory", "CIRCLECI_RUNNER_WORK_DIR");
        let _ = std::fs::remove_dir_all(directory.unwrap());
    }
}

/// Runs the program. It reads its command line and its environment, and ends the process.
pub fn main() {
    let signals = SigSet::from_iter(SIGNALS);
    signals.thread_block().unwrap();
    let fd =
        SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).unwrap();
    let settings = Settings {
        file: configuration(),
    };
    check(&settings);
    let idle = settings.duration("runner.idle_timeout", "CIRCLECI_RUNNER_IDLE_TIMEOUT");
    let max = settings.duration("runner.max_run_time", "CIRCLECI_RUNNER_MAX_RUN_TIME");
    let began = Instant::now();
    let mut task: Option<(Child, Instant)> = None;
    let mut received = 0;
    let mut cancelled: Option<Instant> = None;
    loop {
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(20u8)).unwrap();
        while let Ok(Some(info)) = fd.read_signal() {
            received += 1;
            note(&format!("signal {}", info.ssi_signo));
        }
        let Some((child, started)) = &mut task else {
            // "prevents the machine runner from accepting any new jobs"
            if received > 0 {
                note("ended idle");
                exit(0);
            }
            // runner.idle_timeout: it ends where no task was claimed.
            if idle.is_some_and(|idle| began.elapsed() > idle) {
                note("idle timeout");
                exit(0);
            }
            if circleci("task.sh").exists() {
                note("task claimed");
                task = Some((start_task(&settings), Instant::now()));
            }
            continue;
        };
        // The drain ends at a second SIGTERM or after max_run_time. The runner then sends SIGTERM to the task agent.
        let over = max.is_some_and(|max| started.elapsed() > max);
        if cancelled.is_none() && (received > 1 || over) {
            note("task cancelled");
            cancelled = Some(Instant::now());
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        }
        if cancelled.is_some_and(|at| at.elapsed() > BRIEF) {
            let _ = child.kill();
        }
        if let Some(status) = child.try_wait().unwrap() {
            note(&format!("task ended: {status}"));
            clean_up(&settings);
            // runner.mode: single-task ends "upon completion of a job", whatever its result.
            exit(0);
        }
    }
}
