//! The command line.

mod arguments;
mod credentials;
mod gc;
mod launch;
mod output;
mod render;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use launcher::exit;
use launcher::launch::LaunchError;
use launcher::render::RenderError;

/// Starts CI jobs as Kubernetes Jobs: GitHub Actions and CircleCI, one pod a job.
#[derive(Debug, Parser)]
#[command(name = "launcher", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Registers a runner, creates its Job, and follows it.
    Launch(Box<launch::Arguments>),
    /// Prints the objects of a launch for "kubectl apply -f -", and touches nothing.
    Render(Box<render::Arguments>),
    /// Finds what a crash left behind; with --delete, removes it.
    Gc(Box<gc::Arguments>),
}

/// Why the command failed, and the code that says so.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    // By value, for map_err.
    #[allow(clippy::needless_pass_by_value)]
    fn new(code: u8, message: impl ToString) -> Self {
        let message = message.to_string();
        Self { code, message }
    }

    fn usage(message: impl ToString) -> Self {
        Self::new(exit::USAGE, message)
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        Self::new(exit::of(&error), error)
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        Self::new(exit::CONFIG, error)
    }
}

pub(crate) fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let code = if error.use_stderr() { exit::USAGE } else { 0 };
        let _ = error.print();
        std::process::exit(code.into())
    });
    warn_on_stderr();
    match run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("launcher: {}", terminal::lines(&failure.message));
            ExitCode::from(failure.code)
        }
    }
}

fn warn_on_stderr() {
    use tracing_subscriber::prelude::*;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time();
    // kube logs each failed request as an error. Here it is tried again, or told with its cure.
    let levels = tracing_subscriber::filter::Targets::new()
        .with_default(tracing::Level::WARN)
        .with_target("kube_client", tracing_subscriber::filter::LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(layer.with_filter(levels))
        .init();
}

fn run(command: Command) -> Result<u8, Failure> {
    if let Command::Render(arguments) = command {
        return render::run(&arguments).map(|()| 0);
    }
    // One thread: all that it does is wait for answers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(exit::TEMPORARY, error))?;
    runtime.block_on(async {
        match command {
            Command::Launch(arguments) => launch::run(*arguments).await,
            Command::Gc(arguments) => gc::run(*arguments).await.map(|()| 0),
            Command::Render(_) => Ok(0),
        }
    })
}
