//! The launcher's output: a line or an object for each job, and logs.

use std::io::{IsTerminal as _, Write as _};

use launcher::follow::logs::Line;
use launcher::follow::outcome::{Outcome, RUNNER};
use serde::Serialize;

use super::terminal;

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Text,
    Json,
    Yaml,
}

impl std::str::FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            _ => Err("expected text, json or yaml".to_owned()),
        }
    }
}

/// A job in the output.
#[derive(Debug, Serialize)]
pub(super) struct JobRecord {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) namespace: String,
    /// `launched`, `started-before`, `ended`, `cancelled` or `failed`.
    pub(super) state: &'static str,
    pub(super) error: Option<String>,
    pub(super) outcome: Option<Outcome>,
}

impl Output {
    pub(super) fn job(self, job: &JobRecord) {
        let text = match self {
            Self::Text => text_line(job),
            Self::Json => serde_json::to_string(job).unwrap_or_default(),
            Self::Yaml => format!(
                "---\n{}",
                serde_saphyr::to_string(job).unwrap_or_default().trim_end()
            ),
        };
        // The reader may have closed the pipe.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// Prints a line of a log: to stdout with text output, else to stderr. A terminal gets no control characters.
    pub(super) fn log(self, job: Option<&str>, line: &Line) {
        let mut text = Vec::new();
        match (job, line.container.as_str()) {
            (None, RUNNER) => {}
            (None, container) => text.extend_from_slice(format!("{container} | ").as_bytes()),
            (Some(job), container) => {
                text.extend_from_slice(format!("{job}/{container} | ").as_bytes());
            }
        }
        let terminal = match self {
            Self::Text => std::io::stdout().is_terminal(),
            Self::Json | Self::Yaml => std::io::stderr().is_terminal(),
        };
        if terminal {
            text.extend_from_slice(terminal::log_line(&line.text).as_bytes());
        } else {
            text.extend_from_slice(&line.text);
        }
        text.push(b'\n');
        let _ = match self {
            Self::Text => std::io::stdout().write_all(&text),
            Self::Json | Self::Yaml => std::io::stderr().write_all(&text),
        };
    }
}

fn text_line(job: &JobRecord) -> String {
    let mut line = format!("{}  {}", job.name, job.state);
    if let Some(outcome) = &job.outcome {
        line = format!(
            "{}  {}  exit {}",
            job.name, outcome.reason, outcome.exit_code
        );
        if let Some(message) = &outcome.message {
            line = format!("{line}  {message}");
        }
    }
    if let Some(error) = &job.error {
        line = format!("{line}  {error}");
    }
    terminal::single_line(&line)
}
