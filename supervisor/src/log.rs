//! Our own log: on stderr, for people on a terminal and as JSON otherwise.

use std::fmt;
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat, LogLevel};
use crate::sys::output;
use crate::sys::printable::escaped;

/// How long a line waits for a reader that is behind.
const PATIENCE: Duration = Duration::from_millis(250);

/// Starts the log. A second call changes nothing.
pub fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let human = match log.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        // It would tell of a full disk on stderr, and panic where that fails too.
        .log_internal_errors(false)
        .with_writer(|| Lossy);
    let started = if human {
        tracing::subscriber::set_global_default(builder.event_format(Human).finish())
    } else {
        let json = builder.json().flatten_event(true).with_target(false);
        tracing::subscriber::set_global_default(json.finish())
    };
    // The standard library's own would write to stderr, and wait where nobody reads it.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

/// stderr, but a line that nobody takes is dropped: signals and the wipe do not wait for a log.
struct Lossy;

/// The last line was not taken: the next one does not wait.
static STUCK: AtomicBool = AtomicBool::new(false);

impl Write for Lossy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let patience = if STUCK.load(Relaxed) {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let written = output::write_all(&stderr(), line, patience);
        STUCK.store(written.is_err(), Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `supervisor: message (field=value, …)`, severe lines marked.
struct Human;

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let mark = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        // A cure may have several lines; a job's own words get one.
        let message = escaped(&line.message, &['\n']);
        write!(to, "supervisor: {mark}{message}")?;
        if !line.fields.is_empty() {
            write!(to, " ({})", escaped(&line.fields.join(", "), &[]))?;
        }
        writeln!(to)
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<String>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push(format!("{}={value:?}", field.name()));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields.push(format!("{}={value}", field.name()));
        }
    }
}
