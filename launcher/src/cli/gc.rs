//! `launcher gc`: what a crash left behind.

use launcher::create::Cluster;
use launcher::gc;
use launcher::launch::LaunchError;
use launcher::tokens::github::Runner;

use super::Failure;
use super::arguments::Naming;
use super::credentials::GithubArguments;
use super::terminal::sentence;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    naming: Naming,
    /// The kubeconfig's context; default: the current one, or the cluster around this pod
    #[arg(long)]
    context: Option<String>,
    /// The launches' namespace
    #[arg(
        long,
        short,
        default_value = "ci-cd-agents",
        env = "LAUNCHER_NAMESPACE"
    )]
    namespace: String,
    /// Remove what was found; without it, nothing is changed
    #[arg(long)]
    delete: bool,
    // Below, because their headings count for all that follows in the help.
    #[command(flatten)]
    github: GithubArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let github = arguments.github.client(Runner::default())?;
    let github = github.as_ref();
    let cluster = Cluster::connect(arguments.context.as_deref(), &arguments.namespace).await;
    let cluster = cluster.map_err(LaunchError::from)?;
    let found = gc::find(&cluster, github, &arguments.naming.prefix).await?;
    let mut failed = None;
    for leftover in &found {
        println!("{leftover}");
        if arguments.delete {
            if let Err(error) = gc::remove(&cluster, github, leftover).await {
                eprintln!("launcher: {}", sentence(&error.to_string()));
                failed = Some(Failure::from(error));
            }
        }
    }
    if !arguments.delete && !found.is_empty() {
        eprintln!("launcher: nothing was removed; --delete does it");
    }
    failed.map_or(Ok(()), Err)
}
