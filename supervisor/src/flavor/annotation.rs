//! The annotation of a job that ran out of memory: PID 1 writes a sentence, and the completed hook prints it for GitHub.
//!
//! The file lies beside the fifo of the hooks. The job runs as the same user, and could write a sentence of its own.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// The longest sentence in bytes.
const LIMIT: u64 = 4096;
const NAME: &str = "memory";

/// The file, in the private directory.
pub(crate) fn path(runtime_directory: &Path) -> PathBuf {
    runtime_directory.join("hooks").join(NAME)
}

/// Writes the sentence, if the file does not exist yet: the job may have put a fifo or a link there.
///
/// # Errors
/// As open(2) and write(2).
pub(crate) fn write(path: &Path, sentence: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(sentence.as_bytes())
}

/// The annotation as GitHub's runner reads it, if there is a sentence beside the fifo `events`.
pub(super) fn read(events: &Path) -> Option<String> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(events.with_file_name(NAME));
    let mut sentence = Vec::new();
    // The job may have put anything there, for example a fifo without end.
    opened.ok()?.take(LIMIT).read_to_end(&mut sentence).ok()?;
    let sentence = String::from_utf8_lossy(&sentence);
    (!sentence.is_empty()).then(|| format!("::error title=Out of memory::{}", escaped(&sentence)))
}

/// A line break would end the annotation, and `%` begins an escape. Source: actions/runner, `ActionCommand.cs`.
fn escaped(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_becomes_one_annotation() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("hooks")).unwrap();
        let events = directory.path().join("hooks/events");
        assert_eq!(read(&events), None);
        let file = path(directory.path());
        write(&file, "100% of it\n::warning::no").unwrap();
        let expected = "::error title=Out of memory::100%25 of it%0A::warning::no";
        assert_eq!(read(&events).as_deref(), Some(expected));
        assert!(write(&file, "again").is_err(), "the first one stays");
    }

    #[test]
    fn what_the_job_puts_there_blocks_neither_side() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("hooks")).unwrap();
        let file = path(directory.path());
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(write(&file, "text").is_err());
        assert_eq!(read(&directory.path().join("hooks/events")), None);
    }
}
