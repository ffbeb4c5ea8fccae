//! What the hooks write to the job's page: a group of lines with what the pod has, annotations of problems, and a summary.
//!
//! The hooks run as the job's user, and read files that the job may change: it can deceive its own page, and nothing else.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;

use super::annotation;
use crate::config::{Config, JobSummary};
use crate::page::annotations::annotation as line;
use crate::page::group::{PodFacts, group};
use crate::page::summary::{JobFacts, summary};
use crate::page::words::{self, Owner};
use builder::Observer;
use linux::container_usage::{ContainerUsage, volumes};
use report::{BuilderReport, Problem, ProblemKind};

/// How long the builder has for its answer.
const ANSWER: Duration = Duration::from_millis(500);
/// The file whose time is that of the job's start.
const STARTED: &str = "started";
/// The runner's variable with the file of the summary.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// What a hook looks at for the job's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSettings {
    /// When the page gets a summary.
    pub job_summary: JobSummary,
    /// The builder's socket.
    pub socket: PathBuf,
    /// The directories that the job may fill.
    pub volumes: Vec<PathBuf>,
}

impl PageSettings {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            job_summary: config.github.job_summary,
            socket: config.builder.socket.clone(),
            volumes: config.workspace.volumes(),
        }
    }
}

/// Writes what the pod has, as the job begins.
pub(super) fn started(settings: &PageSettings, events: &Path) {
    // The job may remove it. Then the summary has no duration.
    let _ = linux::files::private_file(&events.with_file_name(STARTED), 0o600);
    let kernel = nix::sys::utsname::uname();
    let kernel = kernel.map(|name| name.release().to_string_lossy().into_owned());
    let facts = PodFacts {
        kernel: kernel.unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        usage: ContainerUsage::read(),
        volumes: volumes(&settings.volumes),
        builder: ask(&settings.socket),
    };
    println!("{}", group(&facts));
}

/// Writes the annotations, and the summary if it is wanted, as the job's steps are done.
pub(super) fn completed(settings: &PageSettings, events: &Path) {
    let facts = facts(settings, events);
    for problem in &facts.problems {
        println!("{}", line(problem));
    }
    let wanted = match settings.job_summary {
        JobSummary::Never => false,
        JobSummary::Problems => !facts.problems.is_empty(),
        JobSummary::Always => true,
    };
    let file = std::env::var_os(SUMMARY).filter(|_| wanted);
    if let Some(file) = file.map(PathBuf::from)
        && let Err(error) = append(&file, &summary(&facts))
    {
        eprintln!("supervisor: no summary in {}: {error}", file.display());
    }
}

fn facts(settings: &PageSettings, events: &Path) -> JobFacts {
    let mut facts = JobFacts {
        duration: duration(events),
        usage: ContainerUsage::read(),
        volumes: volumes(&settings.volumes),
        builder: ask(&settings.socket),
        problems: annotation::read(events),
    };
    let own = facts.volumes.iter().map(|volume| (volume, Owner::Job));
    let builders = facts.builder.iter().filter_map(|one| one.volume.as_ref());
    let all = own.chain(builders.map(|volume| (volume, Owner::Builder)));
    let full = all.filter_map(|(volume, owner)| words::storage_full(volume, owner));
    let full: Vec<Problem> = full
        .map(|message| Problem {
            kind: ProblemKind::StorageFull,
            message,
        })
        .collect();
    facts.problems.extend(full);
    facts
}

fn duration(events: &Path) -> Option<Duration> {
    let started = std::fs::symlink_metadata(events.with_file_name(STARTED)).ok()?;
    SystemTime::now()
        .duration_since(started.modified().ok()?)
        .ok()
}

fn ask(socket: &Path) -> Option<BuilderReport> {
    Observer::connect(socket, false).ok()?.facts(ANSWER)
}

/// The job may have put a fifo or a link there.
fn append(file: &Path, text: &str) -> std::io::Result<()> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let mut file = OpenOptions::new()
        .append(true)
        .custom_flags(flags.bits())
        .open(file)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PageSettings {
        PageSettings {
            job_summary: JobSummary::Always,
            socket: "/nowhere".into(),
            volumes: vec!["/dev/full".into()],
        }
    }

    #[test]
    fn facts_have_the_sentences_and_the_time_since_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let events = directory.path().join("events");
        assert_eq!(facts(&settings(), &events).duration, None);
        started(&settings(), &events);
        std::fs::write(directory.path().join("deadline"), "over").unwrap();
        let facts = facts(&settings(), &events);
        assert!(facts.duration.unwrap() < Duration::from_secs(3600));
        assert_eq!(facts.problems[0].message, "over");
    }

    #[test]
    fn summary_is_added_to_a_file_and_to_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("summary");
        std::fs::write(&file, "of the user's hook").unwrap();
        append(&file, "\nours").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, "of the user's hook\nours");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(append(&link, "x").is_err());
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(append(&fifo, "x").is_err());
    }
}
