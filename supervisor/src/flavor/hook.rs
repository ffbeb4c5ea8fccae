//! `supervisor hook` and `supervisor task`: the runner calls them when its job starts and when it is done.
//!
//! Each sends a notice to PID 1, calls the user's own hook, and writes to the job's page. A failed hook would fail the job, so an
//! error of sending is only printed.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::hook_page;
pub use super::hook_page::PageSettings;
use init::reap::Ended;
use report::exit;

/// A point in the life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The job's first step is about to run.
    Started,
    /// The job's last step is done.
    Completed,
}

impl Event {
    /// The event of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Started, Self::Completed]
            .into_iter()
            .find(|event| event.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
        }
    }
}

/// One line in the fifo: an event, its time, and the job's names.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    pub(super) event: Event,
    pub(super) at: String,
    pub(super) repository: Option<String>,
    pub(super) workflow: Option<String>,
    pub(super) job: Option<String>,
    pub(super) run_id: Option<String>,
}

/// Returns the settings of the page as words of the hook's command line, quoted for a shell.
fn words_of(page: &PageSettings) -> impl Iterator<Item = String> {
    let own = [
        format!("--job-summary={}", page.job_summary.name()),
        format!("--builder-socket={}", quoted(&page.socket)),
    ];
    let volume = |path: &PathBuf| format!("--volume={}", quoted(path));
    own.into_iter().chain(page.volumes.iter().map(volume))
}

/// The longest text in a line, in characters: four of them stay below PIPE_BUF even if JSON escapes every character.
const TEXT_LIMIT: usize = 100;

/// Returns the script that the runner's variable names. The runner requires a name in `.sh`, and starts it with `bash -e`.
pub(super) fn script(
    event: Event,
    page: &PageSettings,
    events: &Path,
    own: Option<&Path>,
) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/supervisor".into());
    let mut words = vec![quoted(&program), "hook".to_owned(), event.name().to_owned()];
    words.extend(words_of(page));
    words.push(quoted(events));
    words.extend(own.map(quoted));
    format!("exec {}\n", words.join(" "))
}

/// Quotes a path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// Sends the event to PID 1, calls the user's hook, and returns its exit code.
///
/// The user's "completed" hook belongs to the job, so it runs before the event is sent.
#[must_use]
pub fn main(event: Event, page: &PageSettings, events: &Path, own: Option<&Path>) -> u8 {
    if event == Event::Started {
        remove_diagnostic_ports(&std::env::temp_dir());
        send(event, events);
        hook_page::started(page, events);
    }
    let code = own.map_or(0, call);
    if event == Event::Completed {
        hook_page::completed(page, events);
        send(event, events);
    }
    code
}

/// Removes the doors through which a step could speak to the .NET runtime of the runner's two processes, which hold the runner's
/// credentials. The runtime makes them at its start, and nothing is connected to them.
///
/// Names: the diagnostic port and the debugger's pipes in
/// <https://learn.microsoft.com/dotnet/core/diagnostics/diagnostic-port>. `DOTNET_EnableDiagnostics=0` would make none, but
/// the job's own programs would inherit it.
fn remove_diagnostic_ports(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_port = entry
            .file_type()
            .is_ok_and(|kind| kind.is_socket() || kind.is_fifo());
        if !is_port
            || !(name.starts_with("dotnet-diagnostic-") || name.starts_with("clr-debug-pipe-"))
        {
            continue;
        }
        if let Err(error) = std::fs::remove_file(entry.path()) {
            eprintln!(
                "supervisor: cannot remove {}: {error}",
                entry.path().display()
            );
        }
    }
}

/// Removes the runner's configuration, sends "started" to PID 1, and executes the task's program in this process.
///
/// Returns an exit code only if that fails.
#[must_use]
pub fn task(configuration: &Path, events: &Path, command: &[std::ffi::OsString]) -> u8 {
    use std::os::unix::process::CommandExt;
    // Usually PID 1 has removed it by now. It has not if it was late or could not watch the file.
    let removed = std::fs::remove_file(configuration);
    if removed.is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound) {
        eprintln!(
            "supervisor: {} cannot be removed, and the task would find the token in it",
            configuration.display()
        );
        return exit::CANNOT_EXECUTE;
    }
    send(Event::Started, events);
    let Some((program, arguments)) = command.split_first() else {
        eprintln!("supervisor: there is no task to start");
        return exit::USAGE;
    };
    // exec(2) returns only if it fails.
    let error = Command::new(program).args(arguments).exec();
    eprintln!(
        "supervisor: cannot start {}: {error}",
        program.to_string_lossy()
    );
    exit::CANNOT_EXECUTE
}

fn send(event: Event, events: &Path) {
    // If PID 1 is gone, the fifo has no reader. O_NONBLOCK then makes open(2) fail instead of waiting.
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(events);
    let line = serde_json::to_string(&notice(event)).unwrap_or_default() + "\n";
    let written = opened.and_then(|mut fifo| fifo.write_all(line.as_bytes()));
    if let Err(error) = written {
        eprintln!("supervisor: cannot send the event of this job to PID 1: {error}");
    }
}

fn notice(event: Event) -> Notice {
    let variable = |name| {
        let value = std::env::var(name).ok()?;
        Some(value.chars().take(TEXT_LIMIT).collect())
    };
    Notice {
        event,
        at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        repository: variable("GITHUB_REPOSITORY"),
        workflow: variable("GITHUB_WORKFLOW"),
        job: variable("GITHUB_JOB"),
        run_id: variable("GITHUB_RUN_ID"),
    }
}

/// Calls the user's hook as the runner would: `.sh` with `bash -e`, any other file directly.
fn call(own: &Path) -> u8 {
    let mut command = if own.extension().is_some_and(|extension| extension == "sh") {
        let mut bash = Command::new("bash");
        bash.arg("-e").arg(own);
        bash
    } else {
        Command::new(own)
    };
    match command.status() {
        Ok(status) => ended(status).code(),
        Err(error) => {
            eprintln!(
                "supervisor: the hook {} cannot be started: {error}",
                own.display()
            );
            exit::CANNOT_EXECUTE
        }
    }
}

fn ended(status: std::process::ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or_else(
        || Ended::Signaled(status.signal().unwrap_or(nix::libc::SIGKILL)),
        Ended::Exited,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JobSummary;

    fn page() -> PageSettings {
        PageSettings {
            job_summary: JobSummary::Always,
            socket: "/nowhere".into(),
            volumes: vec!["/a b".into()],
        }
    }

    #[test]
    fn the_script_keeps_its_words_together() {
        let text = script(
            Event::Started,
            &page(),
            Path::new("/run/it's/events"),
            Some(Path::new("/opt/my hook.sh")),
        );
        let expected = " hook started --job-summary=always --builder-socket='/nowhere' --volume='/a b' '/run/it'\\''s/events' '/opt/my hook.sh'\n";
        assert!(text.ends_with(expected), "{text}");
        assert!(text.starts_with("exec '/"), "{text}");
    }

    #[test]
    fn a_line_fits_into_one_write() {
        let long = Some("\u{1}".repeat(TEXT_LIMIT));
        let notice = Notice {
            event: Event::Started,
            at: "2026-01-01T00:00:00Z".to_owned(),
            repository: long.clone(),
            workflow: long.clone(),
            job: long.clone(),
            run_id: long,
        };
        assert!(serde_json::to_string(&notice).unwrap().len() < 4096);
    }

    #[test]
    fn a_task_that_would_find_the_configuration_is_not_started() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("events");
        // The configuration is a directory here, which remove_file does not remove.
        let started = directory.path().join("started");
        let command = ["touch".into(), started.clone().into_os_string()];
        assert_eq!(task(directory.path(), &nowhere, &command), 126);
        assert!(!started.exists());
    }

    #[test]
    fn main_returns_the_users_code_if_the_fifo_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let hook = directory.path().join("hook.sh");
        std::fs::write(&hook, "false\nexit 0\n").unwrap();
        let nowhere = directory.path().join("events");
        let page = page();
        let main = |event, own| main(event, &page, &nowhere, own);
        assert_eq!(main(Event::Started, None), 0);
        assert_eq!(main(Event::Completed, Some(hook.as_path())), 1);
        assert_eq!(main(Event::Completed, Some(Path::new("/nowhere"))), 126);
    }
}
