//! `launcher launch`: launches jobs and follows them to their ends.

use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use launcher::create::Cluster;
use launcher::exit;
use launcher::follow::logs::{self, Line};
use launcher::follow::outcome::{Outcome, RUNNER};
use launcher::follow::wait::{self, Progress, WaitError};
use launcher::follow::{Follower, View};
use launcher::id::Id;
use launcher::launch::{LaunchError, Launched, Launcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};

use super::arguments::JobArguments;
use super::credentials::{CircleciArguments, GithubArguments, RunnerArguments, credential_source};
use super::error::CliError;
use super::output::{JobRecord, Output};
use super::terminal::single_line;

/// The builder's container. Only the shape `split` has it.
const BUILDER: &str = "builder";
/// How long to wait for the rest of the logs after a job ended.
const LOG_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The launch's id; the same id makes no second job, but follows the first; default: a random id
    #[arg(long)]
    id: Option<Id>,
    /// The number of jobs; several jobs have the ids ID-1, ID-2, …
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// The number of launches at the same time
    #[arg(long, default_value = "16", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Wait for the jobs' ends, and exit with the first code that is not 0
    #[arg(long)]
    wait: bool,
    /// Print the logs of runner and builder; implies --wait
    #[arg(long)]
    logs: bool,
    /// On interrupt, remove the jobs; without this option they continue
    #[arg(long)]
    cancel_on_interrupt: bool,
    /// text (a line for each job), json or yaml (an object for each job)
    #[arg(long, short, default_value = "text")]
    output: Output,
    /// The kubeconfig's context; default: the current context, or this pod's own cluster
    #[arg(long)]
    context: Option<String>,
    // Last, because their headings apply to all options that follow in the help.
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    github: GithubArguments,
    #[command(flatten)]
    runner: RunnerArguments,
    #[command(flatten)]
    circleci: CircleciArguments,
}

/// The state that all jobs of a command share.
struct Session {
    launcher: Launcher,
    follower: Option<Follower>,
    output: Output,
    logs: bool,
    cancel: bool,
    many: bool,
    permits: Semaphore,
    interrupted: watch::Receiver<bool>,
}

pub(super) async fn run(arguments: Arguments) -> Result<u8, CliError> {
    let ids = ids(arguments.id.as_ref(), arguments.count)?;
    let renderer = arguments.job.renderer()?;
    let secret = arguments.job.secret.as_deref();
    let flavor = arguments.job.flavor;
    let credentials = credential_source(
        flavor,
        secret,
        &arguments.github,
        &arguments.runner,
        &arguments.circleci,
    )?;
    let cluster = Cluster::connect(arguments.context.as_deref(), renderer.namespace()).await;
    let cluster = cluster.map_err(LaunchError::from)?;
    let waits = arguments.wait || arguments.logs;
    let (interrupt, interrupted) = watch::channel(false);
    let session = Rc::new(Session {
        follower: waits.then(|| Follower::start(&cluster)),
        launcher: Launcher {
            cluster,
            renderer,
            prefix: arguments.job.naming.prefix.clone(),
            flavor,
            credentials,
        },
        output: arguments.output,
        logs: arguments.logs,
        cancel: arguments.cancel_on_interrupt,
        many: ids.len() > 1,
        permits: Semaphore::new(arguments.concurrency.into()),
        interrupted,
    });
    let mut jobs: FuturesUnordered<_> = ids.into_iter().map(|id| session.clone().job(id)).collect();
    let all = async {
        let mut code = 0;
        while let Some(of_job) = jobs.next().await {
            code = if code == 0 { of_job } else { code };
        }
        code
    };
    tokio::select! {
        code = all => Ok(code),
        error = second_interrupt(&interrupt) => Err(error),
    }
}

/// Announces the first SIGINT or SIGTERM in `interrupt`. Returns at the second one.
async fn second_interrupt(interrupt: &watch::Sender<bool>) -> CliError {
    let signals =
        signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
    let (mut int, mut term) = match signals {
        Ok(signals) => signals,
        Err(error) => return CliError::new(exit::TEMPORARY, error),
    };
    for _ in 0..2 {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        if interrupt.send_replace(true) {
            break;
        }
    }
    CliError::new(
        exit::INTERRUPTED,
        "interrupted twice; run \"launcher gc\" to find what unfinished launches left",
    )
}

fn ids(id: Option<&Id>, count: u16) -> Result<Vec<Id>, CliError> {
    let of = |number: u16| match (id, count) {
        (Some(id), 1) => Ok(id.clone()),
        (Some(id), _) => id.numbered(number.into()),
        (None, _) => Id::random(),
    };
    (1..=count)
        .map(of)
        .collect::<Result<_, _>>()
        .map_err(CliError::usage)
}

impl Session {
    /// Launches a job, and follows it if the command waits. Returns the exit code for it.
    async fn job(self: Rc<Self>, id: Id) -> u8 {
        let name = self.launcher.prefix.name(&id);
        // Subscribe before the launch, so that no event is missed.
        let view = self.follower.as_ref().map(|follower| follower.job(&name));
        let launched = {
            // The semaphore is never closed, so this cannot fail.
            let _permit = self.permits.acquire().await;
            if *self.interrupted.borrow() {
                return exit::INTERRUPTED;
            }
            self.launcher.launch(&id).await
        };
        let launched = match launched {
            Ok(launched) => launched,
            Err(error) => return self.failed(&name, &id, exit::of(&error), error.to_string()),
        };
        let Some(view) = view else {
            if *self.interrupted.borrow() {
                return self.interrupted(&launched).await;
            }
            self.print(&launched.name, &id, state(&launched), None, None);
            return 0;
        };
        if let Some(follower) = &self.follower {
            follower.launched(&name);
        }
        eprintln!("{name}: {}", state(&launched));
        let mut interrupted = self.interrupted.clone();
        let code = tokio::select! {
            code = self.follow(&launched, view) => code,
            _ = interrupted.wait_for(|interrupted| *interrupted) => self.interrupted(&launched).await,
        };
        if let Some(follower) = &self.follower {
            follower.forget(&name);
        }
        code
    }

    async fn follow(&self, launched: &Launched, view: watch::Receiver<View>) -> u8 {
        let name = launched.name.as_str();
        let print = |progress| print_progress(name, progress, self.launcher.renderer.queued());
        let result = if self.logs {
            let end = wait::end(view.clone(), print);
            self.with_logs(name, &view, end).await
        } else {
            wait::end(view.clone(), print).await
        };
        match result {
            Ok(outcome) => self.ended(launched, outcome),
            Err(error) => self.cannot_wait(launched, error).await,
        }
    }

    /// Awaits the job's end, and prints its logs in the meantime. The logs may end up to 30 seconds later.
    async fn with_logs<T>(
        &self,
        name: &str,
        view: &watch::Receiver<View>,
        end: impl Future<Output = T>,
    ) -> T {
        let (sender, mut lines) = mpsc::channel::<Line>(256);
        let (ended, has_ended) = tokio::sync::oneshot::channel::<()>();
        let reading = async move {
            let read = |container| self.read_log(name, view, container, sender.clone());
            tokio::join!(read(RUNNER), read(BUILDER));
        };
        let logs = async move {
            let timeout = async {
                let _ = has_ended.await;
                tokio::time::sleep(LOG_TIMEOUT).await;
            };
            tokio::select! {
                () = reading => {}
                () = timeout => eprintln!("{name}: the logs are incomplete: they did not end in time"),
            }
        };
        let job = self.many.then_some(name);
        // This ends when the last sender is dropped, at the end of `reading`.
        let printing = async {
            while let Some(line) = lines.recv().await {
                self.output.log(job, &line);
            }
        };
        let end = async {
            let result = end.await;
            drop(ended);
            result
        };
        tokio::join!(end, logs, printing).0
    }

    async fn read_log(
        &self,
        name: &str,
        view: &watch::Receiver<View>,
        container: &str,
        lines: mpsc::Sender<Line>,
    ) {
        let cluster = &self.launcher.cluster;
        if let Err(error) = logs::stream(cluster, view.clone(), container, &lines).await {
            eprintln!("{name}: {}", single_line(&error.to_string()));
        }
    }

    fn ended(&self, launched: &Launched, outcome: Outcome) -> u8 {
        let code = outcome.exit_code;
        self.print(&launched.name, &launched.id, "ended", None, Some(outcome));
        code
    }

    /// Ends the wait for a job. A job that can never start is removed. A job that cannot be watched is left as it is.
    async fn cannot_wait(&self, launched: &Launched, error: WaitError) -> u8 {
        let mut message = error.to_string();
        let code = match error {
            WaitError::Permanent(_) => {
                match self.launcher.cancel(&launched.id).await {
                    Ok(()) => message.push_str(". The job was removed"),
                    Err(error) => {
                        message = format!("{message}. The job could not be removed: {error}");
                    }
                }
                exit::UNAVAILABLE
            }
            WaitError::WatchRejected(_) | WaitError::WatchEnded => exit::NO_PERMISSION,
        };
        self.failed(&launched.name, &launched.id, code, message)
    }

    async fn interrupted(&self, launched: &Launched) -> u8 {
        let (name, id) = (&launched.name, &launched.id);
        if !self.cancel {
            eprintln!(
                "{name}: the job continues; the same command with --id {id} follows it again"
            );
            self.print(name, id, "launched", None, None);
            return exit::INTERRUPTED;
        }
        match self.launcher.cancel(id).await {
            Ok(()) => {
                self.print(name, id, "cancelled", None, None);
                exit::INTERRUPTED
            }
            Err(error) => self.failed(name, id, exit::of(&error), error.to_string()),
        }
    }

    fn failed(&self, name: &str, id: &Id, code: u8, error: String) -> u8 {
        eprintln!("launcher: {name}: {}", single_line(&error));
        self.print(
            name,
            id,
            "failed",
            (self.output != Output::Text).then_some(error),
            None,
        );
        code
    }

    fn print(
        &self,
        name: &str,
        id: &Id,
        state: &'static str,
        error: Option<String>,
        outcome: Option<Outcome>,
    ) {
        self.output.job(&JobRecord {
            name: name.to_owned(),
            id: id.to_string(),
            namespace: self.launcher.cluster.namespace().to_owned(),
            state,
            error,
            outcome,
        });
    }
}

fn state(launched: &Launched) -> &'static str {
    if launched.resumed {
        "started-before"
    } else {
        "launched"
    }
}

fn print_progress(name: &str, progress: Progress, queued: bool) {
    match progress {
        // Without a queue, the Job is only suspended until its Secret is stored.
        Progress::Queued if !queued => {}
        Progress::Queued => eprintln!("{name}: queued; Kueue starts it when there is room"),
        Progress::Running { pod, node } => eprintln!("{name}: {pod} runs on {node}"),
        Progress::Problem(problem) => {
            eprintln!("{name}: {}", single_line(&problem.to_string()));
        }
    }
}
