//! What the launcher prints: a line a job, or an object a job, and logs.

use std::io::{IsTerminal as _, Write as _};

use launcher::follow::logs::Line;
use launcher::follow::outcome::{Outcome, RUNNER};
use serde::Serialize;

use super::terminal;

/// How jobs are printed.
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
            _ => Err("it is text, json or yaml".to_owned()),
        }
    }
}

/// What is printed of a job.
#[derive(Debug, Serialize)]
pub(super) struct Printed {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) namespace: String,
    /// `launched`, `started-before`, `ended`, `cancelled` or `failed`.
    pub(super) state: &'static str,
    pub(super) error: Option<String>,
    pub(super) outcome: Option<Outcome>,
}

impl Output {
    pub(super) fn job(self, job: &Printed) {
        let text = match self {
            Self::Text => line(job),
            Self::Json => serde_json::to_string(job).unwrap_or_default(),
            Self::Yaml => format!(
                "---\n{}",
                serde_saphyr::to_string(job).unwrap_or_default().trim_end()
            ),
        };
        // Nobody may be reading.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// A line of a log, as it is but for a terminal's sake: beside the lines of jobs where these are for people, else apart from them.
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
            text.extend_from_slice(terminal::log(&line.text).as_bytes());
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

fn line(job: &Printed) -> String {
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
    terminal::sentence(&line)
}
