//! Events of the job: hooks and wrappers write lines of JSON to a fifo in our private directory.
//!
//! The job runs as the same user and could write there too. It can only make its own report wrong and its own drain longer.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use tracing::{info, warn};

use crate::flavor::environment::{Environment, set};
use crate::flavor::error::FlavorError;
use crate::flavor::hook::{Event, Notice, PageSettings, script};
use crate::flavor::user_hooks::{self, UserHooks};
use crate::secrets::SecretsError;
use crate::workspace::{RuntimeDir, WorkspaceError};
use report::CiJob;

/// PIPE_BUF: write(2) is atomic up to this length, and no notice is longer.
const LINE_LIMIT: usize = 4096;
/// The scripts of our hooks, each with the event that it reports.
const HOOKS: [(&str, Event); 2] = [
    ("job-started.sh", Event::Started),
    ("job-completed.sh", Event::Completed),
];

/// The reading end of the fifo.
pub(super) struct Events {
    runtime: RuntimeDir,
    path: PathBuf,
    fifo: File,
    line: Vec<u8>,
    /// The log already has the warning about an invalid line.
    warned: bool,
}

impl Events {
    /// Makes the fifo.
    pub(super) fn open(runtime: RuntimeDir) -> Result<Self, FlavorError> {
        let directory = runtime.directory("hooks");
        let path = directory.map_err(SecretsError::from)?.join("events");
        let fifo = make(&path).map_err(|source| {
            SecretsError::from(WorkspaceError::RuntimeDir {
                path: path.clone(),
                volume: runtime.root().to_owned(),
                uid: nix::unistd::getuid().as_raw(),
                source,
            })
        })?;
        Ok(Self {
            runtime,
            path,
            fifo,
            line: Vec::new(),
            warned: false,
        })
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }

    /// Writes the scripts of our hooks, and sets the runner's variables to them. Our hook calls the one that the user set.
    pub(super) fn hooks(
        &self,
        users: &UserHooks,
        page: &PageSettings,
        environment: &mut Environment,
    ) -> Result<(), FlavorError> {
        for (file, event) in HOOKS {
            let own = users.find(event, environment);
            let text = script(event, page, &self.path, own.as_deref());
            let written = self.runtime.file(&format!("hooks/{file}"), text.as_bytes());
            let path = written.map_err(SecretsError::from)?;
            set(environment, user_hooks::variable(event), path.into());
        }
        Ok(())
    }

    /// Reads the notices that have arrived, and records them in `job`.
    pub(super) fn read_into(&mut self, job: &mut Option<CiJob>) {
        let mut buffer = [0; LINE_LIMIT];
        // One buffer a call: signals and deadlines are served even if the job floods the fifo.
        let Ok(count) = self.fifo.read(&mut buffer) else {
            return;
        };
        for byte in &buffer[..count] {
            if *byte != b'\n' {
                if self.line.len() < LINE_LIMIT {
                    self.line.push(*byte);
                }
                continue;
            }
            match serde_json::from_slice::<Notice>(&self.line) {
                Ok(notice) => record(notice, job),
                // Once: otherwise a job that writes here could fill the log.
                Err(_) if std::mem::replace(&mut self.warned, true) => {}
                Err(_) => {
                    warn!("a line in the fifo of the hooks is not a valid event; it is ignored");
                }
            }
            self.line.clear();
        }
    }
}

/// Opens the fifo for writing as well, so that read(2) never returns end of file while no hook has it open.
fn make(path: &std::path::Path) -> std::io::Result<File> {
    match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Err(nix::errno::Errno::EEXIST) => {}
        made => made?,
    }
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
        .open(path)
}

/// Records a notice. Only the first notice of each event counts.
fn record(notice: Notice, job: &mut Option<CiJob>) {
    let known = job.get_or_insert_default();
    match notice.event {
        Event::Started if known.started_at.is_none() => {
            info!(
                repository = notice.repository,
                workflow = notice.workflow,
                job = notice.job,
                run = notice.run_id,
                "the job started"
            );
            known.started_at = Some(notice.at);
            known.repository = notice.repository;
            known.workflow = notice.workflow;
            known.job = notice.job;
            known.run_id = notice.run_id;
        }
        Event::Completed if known.completed_at.is_none() => {
            info!("the job's steps are done");
            known.completed_at = Some(notice.at);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn events(directory: &std::path::Path) -> Events {
        Events::open(RuntimeDir::new(directory)).unwrap()
    }

    #[test]
    fn read_into_keeps_the_first_notice_and_skips_invalid_lines() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = events(directory.path());
        let mut job = None;
        events.read_into(&mut job);
        assert_eq!(job, None);

        let mut writer = std::fs::OpenOptions::new()
            .write(true)
            .open(&events.path)
            .unwrap();
        writeln!(writer, "nonsense").unwrap();
        write!(writer, r#"{{"event":"started","at":"1","#).unwrap();
        events.read_into(&mut job);
        assert_eq!(job, None);
        writeln!(writer, r#""repository":"o/r","job":"build"}}"#).unwrap();
        writeln!(
            writer,
            r#"{{"event":"started","at":"2","repository":"forged"}}"#
        )
        .unwrap();
        writeln!(writer, r#"{{"event":"completed","at":"3"}}"#).unwrap();
        events.read_into(&mut job);
        let job = job.unwrap();
        assert_eq!(job.repository.as_deref(), Some("o/r"));
        assert_eq!(job.started_at.as_deref(), Some("1"));
        assert_eq!(job.completed_at.as_deref(), Some("3"));
    }
}
