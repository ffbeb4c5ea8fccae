//! The command line: the subcommands.

mod arguments;
mod credentials;
mod error;
mod gc;
mod launch;
mod output;
mod render;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use launcher::exit;

use error::CliError;

/// Starts CI jobs of GitHub Actions and CircleCI as Kubernetes Jobs, one pod for each job.
#[derive(Debug, Parser)]
#[command(name = "launcher", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Registers a runner, creates its Job and follows it.
    Launch(Box<launch::Arguments>),
    /// Prints the objects of a launch for "kubectl apply -f -"; sends no request.
    Render(Box<render::Arguments>),
    /// Finds what a crashed launcher left behind; with --delete, removes it.
    Gc(Box<gc::Arguments>),
}

pub(crate) fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let code = if error.use_stderr() { exit::USAGE } else { 0 };
        let _ = error.print();
        std::process::exit(code.into())
    });
    log_warnings_to_stderr();
    match run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("launcher: {}", terminal::multi_line(&error.message));
            ExitCode::from(error.code)
        }
    }
}

fn log_warnings_to_stderr() {
    use tracing_subscriber::prelude::*;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time();
    // kube logs each failed request as an error. The launcher retries it, or reports it with its remedy.
    let levels = tracing_subscriber::filter::Targets::new()
        .with_default(tracing::Level::WARN)
        .with_target("kube_client", tracing_subscriber::filter::LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(layer.with_filter(levels))
        .init();
}

fn run(command: Command) -> Result<u8, CliError> {
    if let Command::Render(arguments) = command {
        return render::run(&arguments).map(|()| 0);
    }
    // One thread is enough: the launcher mostly waits for responses.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| CliError::new(exit::TEMPORARY, error))?;
    runtime.block_on(async {
        match command {
            Command::Launch(arguments) => launch::run(*arguments).await,
            Command::Gc(arguments) => gc::run(*arguments).await.map(|()| 0),
            Command::Render(_) => Ok(0),
        }
    })
}
