//! `supervisor wipe PATH…`: removes directories, or empties them.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use report::{WipeReport, exit};
use serde_json::json;
use supervisor::config::Config;
use supervisor::log;
use wipe::WipeCommand;

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 nothing is left, 64 a path is refused and nothing was touched, 75 something \
    is left, or with --dry-run cannot be read; stderr names it"
)]
pub(crate) struct Arguments {
    /// Directories to wipe, absolute, without symlinks
    #[arg(required = true, value_name = "PATH", value_parser = path())]
    paths: Vec<PathBuf>,
    /// Count what is there and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Empty the directories, but keep the directories themselves
    #[arg(long)]
    keep_root: bool,
    /// One line of JSON on stdout
    #[arg(long)]
    json: bool,
    /// Stop after this time, for example 30s or 10min
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    budget: Option<Duration>,
}

/// Accepts any text. The wipe itself refuses an empty path, together with other bad paths.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

pub(crate) fn main(arguments: &Arguments) -> u8 {
    log::start(&Config::default().log);
    let command = WipeCommand {
        paths: arguments.paths.clone(),
        keep_root: arguments.keep_root,
        dry_run: arguments.dry_run,
        budget: arguments.budget,
    };
    let began = Instant::now();
    match wipe::run(&command) {
        Ok(wiped) => {
            print(arguments, &wiped, began.elapsed());
            if wiped.leftover_count == 0 {
                0
            } else {
                exit::WIPE
            }
        }
        Err(refused) => {
            eprintln!("supervisor: {refused}");
            exit::USAGE
        }
    }
}

fn print(arguments: &Arguments, wiped: &WipeReport, took: Duration) {
    let line = if arguments.json {
        let mut line = json!(wiped);
        line["dry_run"] = json!(arguments.dry_run);
        line["ms"] = json!((took.as_secs_f64() * 1e6).round() / 1e3);
        line.to_string()
    } else {
        sentence(arguments, wiped, took)
    };
    // A reader that closes stdout needs no more output.
    let _ = writeln!(std::io::stdout(), "{line}");
    let what = if arguments.dry_run {
        "could not be read"
    } else {
        "left behind"
    };
    for leftover in &wiped.leftovers {
        eprintln!("supervisor: {what}: {leftover}");
    }
    let unnamed = wiped
        .leftover_count
        .saturating_sub(wiped.leftovers.len() as u64);
    if unnamed > 0 {
        eprintln!("supervisor: {what}: {unnamed} more");
    }
}

fn sentence(arguments: &Arguments, wiped: &WipeReport, took: Duration) -> String {
    let done = if arguments.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let mebibytes = wiped.bytes as f64 / f64::from(1 << 20);
    format!(
        "{done} {} files and {} directories, {mebibytes:.1} MiB, in {:.3} s",
        wiped.files,
        wiped.directories,
        took.as_secs_f64()
    )
}
