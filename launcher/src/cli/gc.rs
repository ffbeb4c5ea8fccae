//! `launcher gc`: finds and removes what a crashed launcher left behind.

use launcher::create::Cluster;
use launcher::gc;
use launcher::launch::LaunchError;
use launcher::tokens::github::RunnerSettings;

use super::arguments::Naming;
use super::credentials::GithubArguments;
use super::error::CliError;
use super::terminal::single_line;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    naming: Naming,
    /// The kubeconfig's context; default: the current context, or this pod's own cluster
    #[arg(long)]
    context: Option<String>,
    /// The namespace of the launches
    #[arg(
        long,
        short,
        default_value = "ci-cd-agents",
        env = "LAUNCHER_NAMESPACE"
    )]
    namespace: String,
    /// Remove what is found; without this option, nothing is changed
    #[arg(long)]
    delete: bool,
    // Last, because their headings apply to all options that follow in the help.
    #[command(flatten)]
    github: GithubArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let github = arguments.github.client(RunnerSettings::default())?;
    let github = github.as_ref();
    let cluster = Cluster::connect(arguments.context.as_deref(), &arguments.namespace).await;
    let cluster = cluster.map_err(LaunchError::from)?;
    let found = gc::find(&cluster, github, &arguments.naming.prefix).await?;
    let mut failed = None;
    for leftover in &found {
        println!("{leftover}");
        if arguments.delete
            && let Err(error) = gc::remove(&cluster, github, leftover).await
        {
            eprintln!("launcher: {}", single_line(&error.to_string()));
            failed = Some(CliError::from(error));
        }
    }
    if !arguments.delete && !found.is_empty() {
        eprintln!("launcher: nothing was removed; run the same command with --delete");
    }
    failed.map_or(Ok(()), Err)
}
