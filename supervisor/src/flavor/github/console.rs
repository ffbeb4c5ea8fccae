//! What the listener writes on its console: handed on as it comes, and read for the few lines that stand for a fact.
//!
//! Seen of 2.336.0. A job cannot write there: its listener is not dumpable, and steps have pipes of their own.

use std::fs::File;
use std::io::{self, Read, stderr, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use init::spawn::Output;
use linux::output;

/// A line is looked at up to this length: what is looked for stands at its start, after a time.
const LINE_LIMIT: usize = 1024;
/// How many pieces of [`PIECE`] bytes are read before signals and the clock have their turn.
const PIECES: usize = 64;
const PIECE: usize = 4096;
/// How long a piece waits for a reader that is behind.
const PATIENCE: Duration = Duration::from_millis(250);

/// The reading ends, and what was read.
pub(super) struct Console {
    stdout: Stream,
    stderr: Stream,
    facts: Facts,
}

/// What the lines said.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// It has had a session, and so GitHub has answered.
    pub(super) connected: bool,
    /// It asks GitHub again and again since then.
    pub(super) troubled_since: Option<Instant>,
    /// It has acquired a job.
    pub(super) acquired: bool,
    /// GitHub has deleted its registration, or it was used.
    pub(super) unregistered: bool,
}

impl Facts {
    /// Since when GitHub has not answered a listener that was started at `started`, if that is so.
    pub(super) fn out_of_reach_since(&self, started: Instant) -> Option<Instant> {
        if self.connected {
            self.troubled_since
        } else {
            Some(started)
        }
    }

    fn note(&mut self, line: &str, now: Instant) {
        // First, because a workflow chooses the name of its job, which may be any of the lines below.
        if line.contains(": Running job: ") {
            self.acquired = true;
        // Both come with a session, and only then.
        } else if line.ends_with("Listening for Jobs")
            || line.starts_with("Current runner version: ")
        {
            self.connected = true;
        } else if line.contains(": Runner connect error: ") {
            self.troubled_since.get_or_insert(now);
        } else if line.contains(": Runner reconnected.") {
            self.troubled_since = None;
        } else if line.starts_with("√ Removed .runner")
            || line.contains("The runner registration has been deleted from the server")
        {
            self.unregistered = true;
        }
    }
}

/// One of the two.
struct Stream {
    from: Option<File>,
    line: Vec<u8>,
    /// The last piece was not taken: the next one does not wait.
    stuck: bool,
}

impl Console {
    /// Both pipes, and what the listener gets of them.
    ///
    /// # Errors
    /// As pipe(2) and fcntl(2).
    pub(super) fn open() -> io::Result<(Self, Output)> {
        let (stdout, to_stdout) = pipe()?;
        let (stderr, to_stderr) = pipe()?;
        let console = Self {
            stdout: Stream::of(stdout),
            stderr: Stream::of(stderr),
            facts: Facts::default(),
        };
        let output = Output {
            stdout: to_stdout,
            stderr: to_stderr,
        };
        Ok((console, output))
    }

    /// Become readable when the listener has written something.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let streams = [&self.stdout, &self.stderr].into_iter();
        streams.filter_map(|stream| stream.from.as_ref().map(AsFd::as_fd))
    }

    /// Hands on what is there.
    pub(super) fn read(&mut self) {
        self.stdout.hand_on(&stdout(), &mut self.facts);
        self.stderr.hand_on(&stderr(), &mut self.facts);
    }

    pub(super) fn facts(&self) -> Facts {
        self.facts
    }
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reading, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((File::from(reading), writing))
}

impl Stream {
    fn of(from: File) -> Self {
        Self {
            from: Some(from),
            line: Vec::new(),
            stuck: false,
        }
    }

    fn hand_on(&mut self, to: &impl AsFd, facts: &mut Facts) {
        let mut piece = [0; PIECE];
        let until = Instant::now() + PATIENCE;
        for _ in 0..PIECES {
            let Some(from) = &mut self.from else { return };
            match from.read(&mut piece) {
                // Its writers are gone. poll(2) would report it as readable for ever.
                Ok(0) => self.from = None,
                Ok(count) => {
                    let piece = &piece[..count];
                    let left = until.saturating_duration_since(Instant::now());
                    let patience = if self.stuck { Duration::ZERO } else { left };
                    // Signals and the wipe do not wait for a reader.
                    self.stuck = output::write_all(to, piece, patience).is_err();
                    self.scan(piece, facts);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn scan(&mut self, piece: &[u8], facts: &mut Facts) {
        for byte in piece {
            if *byte != b'\n' {
                if self.line.len() < LINE_LIMIT {
                    self.line.push(*byte);
                }
                continue;
            }
            facts.note(
                String::from_utf8_lossy(&self.line).trim_end(),
                Instant::now(),
            );
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn facts(lines: &[&str]) -> Facts {
        let mut facts = Facts::default();
        let now = Instant::now();
        lines.iter().for_each(|line| facts.note(line, now));
        facts
    }

    #[test]
    fn a_session_is_what_github_answered_and_not_that_it_was_asked() {
        assert_eq!(facts(&["√ Connected to GitHub", ""]), Facts::default());
        let listening = "2026-11-30 13:00:00Z: Listening for Jobs";
        assert!(facts(&[listening]).connected);
        assert!(facts(&["Current runner version: '2.336.0'"]).connected);
        let error = "2026-11-30 13:00:00Z: Runner connect error: refused (127.0.0.1:1). Retrying until reconnected.";
        assert!(facts(&[listening, error]).troubled_since.is_some());
        let again = "2026-11-30 13:00:30Z: Runner reconnected.";
        assert_eq!(facts(&[listening, error, again]).troubled_since, None);
    }

    #[test]
    fn a_jobs_name_stands_for_nothing_else() {
        let found = facts(&["2026-11-30 13:00:00Z: Running job: √ Removed .runner"]);
        assert!(found.acquired && !found.unregistered && !found.connected);
        let found = facts(&["2026-11-30 13:00:00Z: Running job: Listening for Jobs"]);
        assert!(found.acquired && !found.connected);
    }

    #[test]
    fn what_is_written_is_handed_on_whole_and_its_lines_are_read() {
        let (mut console, output) = Console::open().unwrap();
        let (to, theirs) = pipe().unwrap();
        let mut listener = File::from(output.stdout);
        write!(listener, "2026-11-30 13:00:00Z: Runn").unwrap();
        console.stdout.hand_on(&theirs, &mut console.facts);
        assert!(!console.facts.acquired);
        writeln!(listener, "ing job: build").unwrap();
        drop(listener);
        console.stdout.hand_on(&theirs, &mut console.facts);
        assert!(console.facts.acquired);
        assert_eq!(console.fds().count(), 1);
        drop(theirs);
        let mut written = String::new();
        let mut to = to;
        to.read_to_string(&mut written).unwrap();
        assert_eq!(written, "2026-11-30 13:00:00Z: Running job: build\n");
    }
}
