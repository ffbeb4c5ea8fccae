//! Publishes the report: one line to stdout, and a shorter one for the kubelet.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;

use report::{DEFAULT_FILE, ProblemKind, Report};

use linux::output;

/// The kubelet cuts a termination message off at this many bytes.
const TERMINATION_MESSAGE_LIMIT: usize = 4096;

/// How long a write of the report waits for its reader: what the wipe leaves of the grace period.
const WRITE_TIMEOUT: Duration = Duration::from_millis(900);

/// Returns the report as one line of JSON.
fn json_line(report: &Report) -> String {
    // Texts, numbers and lists of them cannot fail to serialize.
    serde_json::to_string(report).unwrap_or_default()
}

/// Returns the report as one line, shortened to the kubelet's limit.
fn short_line(report: &Report) -> String {
    let mut short = report.clone();
    let mut line = json_line(&short);
    // JSON's escapes count too, so the whole line is measured.
    for (texts, bytes) in [(10, 500), (5, 200), (2, 100), (1, 50), (0, 50)] {
        if line.len() <= TERMINATION_MESSAGE_LIMIT {
            break;
        }
        shorten(&mut short, texts, bytes);
        line = json_line(&short);
    }
    line
}

/// Keeps `texts` texts of each list and `bytes` bytes of each text; the message may have twice as many bytes.
fn shorten(report: &mut Report, texts: usize, bytes: usize) {
    let wiped = [&mut report.found, &mut report.wiped];
    let leftovers = wiped
        .into_iter()
        .flatten()
        .map(|wiped| &mut wiped.leftovers);
    let runner = report.runner.iter_mut();
    let names = runner.flat_map(|runner| [&mut runner.survivors, &mut runner.unkillable]);
    for list in leftovers.chain(names) {
        list.truncate(texts);
        list.iter_mut().for_each(|text| cut(text, bytes));
    }
    if let Some(memory) = &mut report.memory {
        memory.kills.truncate(texts);
    }
    report.volumes.truncate(texts);
    let volumes = report.volumes.iter_mut();
    volumes.for_each(|volume| cut(&mut volume.path, bytes));
    // Several volumes may be full. One problem of each kind remains.
    report.problems.truncate(texts.max(ProblemKind::ALL.len()));
    for problem in &mut report.problems {
        cut(&mut problem.message, bytes);
    }
    if let Some(builder) = &mut report.builder {
        builder.cache.iter_mut().for_each(|cache| cut(cache, bytes));
        let volume = builder.volume.iter_mut();
        volume.for_each(|volume| cut(&mut volume.path, bytes));
        for images in [&mut builder.built, &mut builder.pushed] {
            images.truncate(texts);
            images
                .iter_mut()
                .for_each(|image| cut(&mut image.name, bytes));
        }
    }
    if let Some(message) = &mut report.message {
        cut(message, 2 * bytes);
    }
}

/// Writes the line to stdout, and the short line to `file`.
///
/// A full disk or a closed stdout does not change the exit code.
pub(crate) fn publish(report: &Report, file: &Path) {
    if let Err(error) = write_file(report, file) {
        tracing::warn!(file = %file.display(), %error, "the report was not written");
    }
    // The job's last line of output may lack its newline.
    let line = format!("\n{}\n", json_line(report));
    if let Err(error) = output::write_all(&std::io::stdout(), line.as_bytes(), WRITE_TIMEOUT) {
        tracing::warn!(%error, "the report did not reach stdout");
    }
}

/// Writes the short line. The kubelet creates the default file, so its absence means that no message is wanted. Any other file
/// was named in the configuration, and is created.
fn write_file(report: &Report, file: &Path) -> std::io::Result<()> {
    let named = file != Path::new(DEFAULT_FILE);
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .create(named)
        // The job may have put a fifo without a reader there, or a terminal.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(file);
    match opened {
        Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(opened) => output::write_all(&opened, short_line(report).as_bytes(), WRITE_TIMEOUT),
    }
}

/// Truncates a text to `limit` bytes, at a character boundary.
fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::{BuilderReport, Image, Problem, Volume};
    use report::{RunnerReport, SCHEMA, WipeReport};

    fn long() -> Report {
        let mut report = Report::new(Some("exec"));
        let leftovers = vec!["ä".repeat(3000); 20];
        report.wiped = Some(WipeReport {
            leftovers,
            ..WipeReport::default()
        });
        report.message = Some("\u{1b}".repeat(5000));
        let image = Image {
            name: "\u{1b}".repeat(Image::NAME),
            digest: Some("sha256:0".to_owned()),
        };
        let volume = Volume {
            path: "/".repeat(3000),
            ..Volume::default()
        };
        report.builder = Some(BuilderReport {
            built: vec![image.clone(); BuilderReport::IMAGES],
            pushed: vec![image; BuilderReport::IMAGES],
            cache: Some("r".repeat(3000)),
            volume: Some(volume.clone()),
            ..BuilderReport::default()
        });
        report.volumes = vec![volume; 40];
        let problem = |kind| Problem {
            kind,
            message: "\u{1b}".repeat(3000),
        };
        report.problems = ProblemKind::ALL
            .repeat(9)
            .into_iter()
            .map(problem)
            .collect();
        let names = vec!["\u{1b}[31m".repeat(3); 20];
        report.runner = Some(RunnerReport {
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
        let line = short_line(&long());
        assert!(line.len() <= TERMINATION_MESSAGE_LIMIT, "{}", line.len());
        let read: Report = serde_json::from_str(&line).unwrap();
        assert_eq!(read.schema, SCHEMA);
    }

    #[test]
    fn a_full_disk_or_an_absent_file_is_survived() {
        assert!(write_file(&long(), Path::new("/nonexistent/file")).is_err());
        assert!(write_file(&long(), Path::new("/dev/full")).is_err());
    }
}
