//! The supervisor's log on stderr: for people on a terminal, as JSON otherwise.
//!
//! It has no spans. A registry for spans would cost PID 1 more memory and start time than the rest of the log.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber, span};

use crate::config::{LogFormat, LogLevel};
use linux::output;

mod line;

use line::Line;

/// The time that a line waits for a slow reader.
const WRITE_TIMEOUT: Duration = Duration::from_millis(250);

/// Starts the log. A second call changes nothing.
pub fn start(log: &crate::config::Log) {
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
    let started = tracing::subscriber::set_global_default(Log { level, human });
    // The standard library's hook writes to stderr too, but it would block if stderr is full.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    if started.is_err() {
        tracing::debug!("the log is already started");
    }
}

struct Log {
    level: LevelFilter,
    human: bool,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let line = Line::of(event);
        write(&if self.human {
            line.human()
        } else {
            line.json(SystemTime::now())
        });
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Whether the last line timed out. Then the next one does not wait.
static BLOCKED: AtomicBool = AtomicBool::new(false);

/// Writes a line to stderr. If stderr is blocked, the line is dropped: signals and the wipe must not wait for a log.
fn write(line: &str) {
    let timeout = if BLOCKED.load(Relaxed) {
        Duration::ZERO
    } else {
        WRITE_TIMEOUT
    };
    let written = output::write_all(&stderr(), line.as_bytes(), timeout);
    BLOCKED.store(written.is_err(), Relaxed);
}
