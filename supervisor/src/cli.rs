//! Which subcommand. Each has a file of its own in `commands`, a thin call into the library.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use figment::value::Value;
use report::exit;
use supervisor::config::{Flag, Layers};

use crate::commands;

#[derive(Parser)]
#[command(name = "supervisor", version, about, long_about = None)]
#[command(after_help = "Exit codes and settings: docs/exit-codes.md, docs/configuration.md")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one job: check, set up, start the runner, wipe, report
    Run(Settings),
    /// Build for another container, until SIGTERM
    ServeBuilds(Settings),
    /// Say whether rootless builds work here, and the cure where they do not
    Doctor(commands::doctor::Arguments),
    /// Empty directories, whatever is in them
    Wipe(commands::wipe::Arguments),
    /// Print the effective configuration and where each value came from
    Config(commands::config::Arguments),
    /// Copy keys of a mounted Secret to a memory volume: the program of the pod's init container
    StageSecrets(commands::stage_secrets::Arguments),
    /// What a runner calls when its job starts and ends
    #[command(hide = true)]
    Hook(commands::hook::Arguments),
    /// What a runner puts in front of a task
    #[command(hide = true)]
    Task(commands::hook::Task),
    /// Our own child processes
    #[command(hide = true)]
    Probe {
        name: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Settings as flags: the strongest layer of the configuration.
#[derive(Args, Default)]
pub(crate) struct Settings {
    /// Configuration file [default: /etc/supervisor/config.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which runner to start: github, circleci, local, exec
    #[arg(long, value_name = "NAME")]
    flavor: Option<String>,
    /// Time between the graceful signal and SIGTERM
    #[arg(long, value_name = "DURATION")]
    grace: Option<String>,
    /// The job's own maximum
    #[arg(long, value_name = "DURATION")]
    deadline: Option<String>,
    /// The ephemeral volume
    #[arg(long, value_name = "DIR")]
    workspace: Option<String>,
    /// auto, overlay, fuse-overlayfs, vfs, none
    #[arg(long, value_name = "NAME")]
    storage_driver: Option<String>,
    /// Directory with one file a secret
    #[arg(long, value_name = "DIR")]
    secrets: Option<String>,
    /// Where the report is written for the kubelet
    #[arg(long, value_name = "FILE")]
    report_file: Option<String>,
    /// auto, human, json
    #[arg(long, value_name = "NAME")]
    log_format: Option<String>,
    /// error, warn, info, debug
    #[arg(long, value_name = "NAME")]
    log_level: Option<String>,
    /// Start the job without checks
    #[arg(long)]
    no_preflight: bool,
    /// End when the parent process ends
    #[arg(long, short = 'p')]
    die_with_parent: bool,
    /// Program and arguments of the flavor exec
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Settings {
    pub(crate) fn layers(self) -> Layers {
        let texts = [
            ("--flavor", "flavor", self.flavor),
            ("--grace", "grace", self.grace),
            ("--deadline", "deadline", self.deadline),
            ("--workspace", "workspace.path", self.workspace),
            ("--storage-driver", "storage.driver", self.storage_driver),
            ("--secrets", "secrets.directory", self.secrets),
            ("--report-file", "report.file", self.report_file),
            ("--log-format", "log.format", self.log_format),
            ("--log-level", "log.level", self.log_level),
        ];
        let mut flags: Vec<Flag> = texts
            .into_iter()
            .filter_map(|(name, key, text)| {
                let value = Value::from(text?);
                Some(Flag { name, key, value })
            })
            .collect();
        let mut set = |name, key, value: Value| flags.push(Flag { name, key, value });
        if self.no_preflight {
            set("--no-preflight", "preflight.enabled", Value::from(false));
        }
        if self.die_with_parent {
            set("--die-with-parent", "die_with_parent", Value::from(true));
        }
        if !self.command.is_empty() {
            set("--", "exec.command", Value::from(self.command));
        }
        Layers {
            file: self.config,
            flags,
        }
    }
}

/// `supervisor run` by itself.
#[derive(Parser)]
#[command(name = "supervisor run")]
struct Run {
    #[command(flatten)]
    settings: Settings,
}

/// The settings of a plain `supervisor run`: a container's start waits for it, and making the flags of all the other
/// subcommands takes as long as the rest of the command line. What is wrong with it, [`Cli`] says.
fn run_alone() -> Option<Settings> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|name| name == "run")?;
    let arguments = std::iter::once("run".into()).chain(arguments);
    Some(Run::try_parse_from(arguments).ok()?.settings)
}

pub(crate) fn main() -> ExitCode {
    if let Some(code) = commands::client::by_name(std::env::args_os()) {
        return ExitCode::from(code);
    }
    if let Some(settings) = run_alone() {
        return ExitCode::from(commands::run::main(settings));
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { 0 };
            // A closed stdout or stderr is no reason to fail otherwise.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    ExitCode::from(match cli.command {
        Command::Run(settings) => commands::run::main(settings),
        Command::ServeBuilds(settings) => commands::serve_builds::main(settings),
        Command::Doctor(arguments) => commands::doctor::main(arguments),
        Command::Wipe(arguments) => commands::wipe::main(&arguments),
        Command::Config(arguments) => commands::config::main(arguments),
        Command::StageSecrets(arguments) => commands::stage_secrets::main(arguments),
        Command::Hook(arguments) => commands::hook::main(&arguments),
        Command::Task(arguments) => commands::hook::task(&arguments),
        Command::Probe { name, arguments } => commands::probe::main(&name, &arguments),
    })
}
