//! What PID 1 tells the completed hook about a job: a file for each kind of problem, with its sentence.
//!
//! The files lie beside the fifo of the hooks. The job runs as the same user, and could write sentences of its own: for its own
//! page only, because PID 1 never reads them.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use report::{Problem, ProblemKind};

/// The longest sentence in bytes.
const LIMIT: u64 = 4096;

/// The name of the file of a kind. `None` if the hook finds such problems itself.
fn name(kind: ProblemKind) -> Option<&'static str> {
    match kind {
        ProblemKind::Terminated => Some("terminated"),
        ProblemKind::Deadline => Some("deadline"),
        ProblemKind::OutOfMemory => Some("memory"),
        ProblemKind::BuilderEnded => Some("builder"),
        ProblemKind::StorageFull => None,
    }
}

/// The files, in the private directory.
#[derive(Debug)]
pub(crate) struct Annotations {
    directory: PathBuf,
}

impl Annotations {
    pub(crate) fn new(runtime_directory: &Path) -> Self {
        Self {
            directory: runtime_directory.join("hooks"),
        }
    }

    /// Writes the sentence, if the file does not exist yet: the job may have put a fifo or a link there.
    ///
    /// # Errors
    /// As open(2) and write(2).
    pub(crate) fn write(&self, kind: ProblemKind, sentence: &str) -> io::Result<()> {
        let Some(name) = name(kind) else {
            return Ok(());
        };
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.directory.join(name))?;
        file.write_all(sentence.as_bytes())
    }
}

/// The problems of which there is a sentence beside the fifo `events`.
pub(super) fn read(events: &Path) -> Vec<Problem> {
    let sentences = ProblemKind::ALL.into_iter().filter_map(|kind| {
        let message = sentence(&events.with_file_name(name(kind)?))?;
        Some(Problem { kind, message })
    });
    sentences.collect()
}

fn sentence(path: &Path) -> Option<String> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let mut sentence = Vec::new();
    // The job may have put anything there, for example a fifo without end.
    opened.ok()?.take(LIMIT).read_to_end(&mut sentence).ok()?;
    let sentence = String::from_utf8_lossy(&sentence).into_owned();
    (!sentence.is_empty()).then_some(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Annotations, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("hooks")).unwrap();
        let annotations = Annotations::new(directory.path());
        let events = directory.path().join("hooks/events");
        (directory, annotations, events)
    }

    #[test]
    fn hook_reads_what_was_written_first() {
        let (_directory, annotations, events) = directory();
        assert_eq!(read(&events), []);
        let write = |kind, text| annotations.write(kind, text);
        write(ProblemKind::OutOfMemory, "100% of it\n::warning::no").unwrap();
        write(ProblemKind::Deadline, "over").unwrap();
        let again = write(ProblemKind::OutOfMemory, "again");
        assert!(again.is_err(), "the first one stays");
        write(ProblemKind::StorageFull, "not written").unwrap();
        let read = read(&events);
        let found: Vec<_> = read.iter().map(|one| (one.kind, &*one.message)).collect();
        let expected = [
            (ProblemKind::Deadline, "over"),
            (ProblemKind::OutOfMemory, "100% of it\n::warning::no"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_job_puts_there_blocks_neither_side() {
        let (directory, annotations, events) = directory();
        let fifo = directory.path().join("hooks/memory");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(annotations.write(ProblemKind::OutOfMemory, "text").is_err());
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("hooks/builder")).unwrap();
        assert_eq!(read(&events), []);
    }
}
