//! The report's way out: one line to stdout, and a short one for the kubelet.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;

use super::{DEFAULT_FILE, Report};
use crate::sys::output;

/// The kubelet cuts a termination message off at this many bytes.
const TERMINATION_MESSAGE_LIMIT: usize = 4096;

/// How long the report waits for somebody to read it: what the wipe leaves of the grace period.
const PATIENCE: Duration = Duration::from_millis(900);

impl Report {
    /// One line of JSON.
    #[must_use]
    pub fn line(&self) -> String {
        // Texts, numbers and lists of them cannot fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same, cut down until the kubelet takes it whole.
    #[must_use]
    pub fn short_line(&self) -> String {
        let mut short = self.clone();
        let mut line = short.line();
        // JSON's escapes count too, so only the line's own length tells.
        for (texts, bytes) in [(10, 500), (5, 200), (2, 100), (1, 50), (0, 50)] {
            if line.len() <= TERMINATION_MESSAGE_LIMIT {
                break;
            }
            short.shorten(texts, bytes);
            line = short.line();
        }
        line
    }

    /// Leaves so many texts of each list, each of so many bytes; a sentence may have twice that.
    fn shorten(&mut self, texts: usize, bytes: usize) {
        let wiped = [&mut self.found, &mut self.wiped];
        let leftovers = wiped
            .into_iter()
            .flatten()
            .map(|wiped| &mut wiped.leftovers);
        let runner = self.runner.iter_mut();
        let names = runner.flat_map(|runner| [&mut runner.survivors, &mut runner.unkillable]);
        for list in leftovers.chain(names) {
            list.truncate(texts);
            list.iter_mut().for_each(|text| cut(text, bytes));
        }
        if let Some(message) = &mut self.message {
            cut(message, 2 * bytes);
        }
    }

    /// Writes the line to stdout's end and the short one to `file`, if that is there.
    ///
    /// A full disk or a closed stdout is no reason to end otherwise than the job did.
    pub fn publish(&self, file: &Path) {
        if let Err(error) = self.write_file(file) {
            tracing::warn!(file = %file.display(), %error, "the report was not written");
        }
        // What the job printed last may not have ended its line.
        let line = format!("\n{}\n", self.line());
        if let Err(error) = output::write_all(&std::io::stdout(), line.as_bytes(), PATIENCE) {
            tracing::warn!(%error, "the report did not reach stdout");
        }
    }

    /// The kubelet makes the default file; without it nobody asked. Any other was named, and is made.
    fn write_file(&self, file: &Path) -> std::io::Result<()> {
        let named = file != Path::new(DEFAULT_FILE);
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .create(named)
            // A fifo that the job put there has no reader, and a terminal is not ours to take.
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(file);
        match opened {
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(opened) => output::write_all(&opened, self.short_line().as_bytes(), PATIENCE),
        }
    }
}

/// Cuts a text at a character's end.
fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Runner, SCHEMA, Wiped};
    use super::*;

    fn long() -> Report {
        let mut report = Report::new(Some("exec"));
        let leftovers = vec!["ä".repeat(3000); 20];
        report.wiped = Some(Wiped {
            leftovers,
            ..Wiped::default()
        });
        report.message = Some("\u{1b}".repeat(5000));
        let names = vec!["\u{1b}[31m".repeat(3); 20];
        report.runner = Some(Runner {
            exit_code: Some(0),
            signal: None,
            starts: 1,
            reaped_orphans: 0,
            survivors: names.clone(),
            unkillable: names,
            peak_memory_bytes: None,
        });
        report
    }

    #[test]
    fn the_kubelet_gets_valid_json_within_its_limit() {
        let line = long().short_line();
        assert!(line.len() <= TERMINATION_MESSAGE_LIMIT, "{}", line.len());
        let read: Report = serde_json::from_str(&line).unwrap();
        assert_eq!(read.schema, SCHEMA);
    }

    #[test]
    fn a_full_disk_or_an_absent_file_is_survived() {
        assert!(long().write_file(Path::new("/nonexistent/file")).is_err());
        assert!(long().write_file(Path::new("/dev/full")).is_err());
    }
}
