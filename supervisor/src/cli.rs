//! Which subcommand. Each has a file of its own in `commands`, a thin call into the library.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use report::exit;

use crate::commands;
use crate::commands::settings::Settings;

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
    Trial {
        name: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
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
        Command::Trial { name, arguments } => commands::trial::main(&name, &arguments),
    })
}
