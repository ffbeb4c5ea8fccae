//! `launcher launch`: from the command line to jobs' ends.

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

use super::Failure;
use super::arguments::JobArguments;
use super::credentials::{CircleciArguments, GithubArguments, RunnerArguments, source};
use super::output::{Output, Printed};
use super::terminal::sentence;

/// The container beside the runner's, in the shape `split`.
const BUILDER: &str = "builder";
/// For the rest of the logs, once a job has ended.
const LAST_LINES: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The launch's name: the same again makes no second job, but follows the first; default: a random one
    #[arg(long)]
    id: Option<Id>,
    /// So many jobs, with ids ID-1, ID-2, …
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// So many launches at once
    #[arg(long, default_value = "16", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Wait for the jobs' ends, and end with the first code that is not 0
    #[arg(long)]
    wait: bool,
    /// Show the logs of runner and builder; this waits too
    #[arg(long)]
    logs: bool,
    /// When interrupted, remove the jobs; without it they go on
    #[arg(long)]
    cancel_on_interrupt: bool,
    /// text (a line a job), json or yaml (an object a job)
    #[arg(long, short, default_value = "text")]
    output: Output,
    /// The kubeconfig's context; default: the current one, or the cluster around this pod
    #[arg(long)]
    context: Option<String>,
    // Below, because their headings count for all that follows in the help.
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    github: GithubArguments,
    #[command(flatten)]
    runner: RunnerArguments,
    #[command(flatten)]
    circleci: CircleciArguments,
}

/// What all jobs of a command share.
struct Session {
    launcher: Launcher,
    follower: Option<Follower>,
    output: Output,
    logs: bool,
    cancel: bool,
    many: bool,
    turns: Semaphore,
    interrupted: watch::Receiver<bool>,
}

pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let ids = ids(arguments.id.as_ref(), arguments.count)?;
    let blueprint = arguments.job.blueprint()?;
    let secret = arguments.job.secret.as_deref();
    let flavor = arguments.job.flavor;
    let source = source(
        flavor,
        secret,
        &arguments.github,
        &arguments.runner,
        &arguments.circleci,
    )?;
    let cluster = Cluster::connect(arguments.context.as_deref(), blueprint.namespace()).await;
    let cluster = cluster.map_err(LaunchError::from)?;
    let waits = arguments.wait || arguments.logs;
    let (interrupt, interrupted) = watch::channel(false);
    let session = Rc::new(Session {
        follower: waits.then(|| Follower::start(&cluster)),
        launcher: Launcher {
            cluster,
            blueprint,
            prefix: arguments.job.naming.prefix.clone(),
            flavor,
            source,
        },
        output: arguments.output,
        logs: arguments.logs,
        cancel: arguments.cancel_on_interrupt,
        many: ids.len() > 1,
        turns: Semaphore::new(arguments.concurrency.into()),
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
        failure = listen(&interrupt) => Err(failure),
    }
}

/// Tells of the first interruption; the second ends everything at once.
async fn listen(interrupt: &watch::Sender<bool>) -> Failure {
    let signals =
        signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
    let (mut int, mut term) = match signals {
        Ok(signals) => signals,
        Err(error) => return Failure::new(exit::TEMPORARY, error),
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
    Failure::new(
        exit::INTERRUPTED,
        "interrupted twice; what was under way may be left: \"launcher gc\" finds it",
    )
}

fn ids(id: Option<&Id>, count: u16) -> Result<Vec<Id>, Failure> {
    let of = |number: u16| match (id, count) {
        (Some(id), 1) => Ok(id.clone()),
        (Some(id), _) => id.numbered(number.into()),
        (None, _) => Id::random(),
    };
    (1..=count)
        .map(of)
        .collect::<Result<_, _>>()
        .map_err(Failure::usage)
}

impl Session {
    /// One job, to its end or to where nobody waits for it: the code it ends the command with.
    async fn job(self: Rc<Self>, id: Id) -> u8 {
        let name = self.launcher.prefix.name(&id);
        // Before the launch, so that none of its events is missed.
        let view = self.follower.as_ref().map(|follower| follower.job(&name));
        let launched = {
            // It is never closed.
            let _turn = self.turns.acquire().await;
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
        let tell = |progress| tell(name, progress, self.launcher.blueprint.queued());
        let ended = if self.logs {
            let end = wait::end(view.clone(), tell);
            self.beside_logs(name, &view, end).await
        } else {
            wait::end(view.clone(), tell).await
        };
        match ended {
            Ok(outcome) => self.ended(launched, outcome),
            Err(error) => self.gave_up(launched, error).await,
        }
    }

    /// The job's end, and its logs meanwhile. They have a while longer than the job.
    async fn beside_logs<T>(
        &self,
        name: &str,
        view: &watch::Receiver<View>,
        end: impl Future<Output = T>,
    ) -> T {
        let (sender, mut lines) = mpsc::channel::<Line>(256);
        let (over, is_over) = tokio::sync::oneshot::channel::<()>();
        let reading = async move {
            let read = |container| self.read_log(name, view, container, sender.clone());
            tokio::join!(read(RUNNER), read(BUILDER));
        };
        let logs = async move {
            let late = async {
                let _ = is_over.await;
                tokio::time::sleep(LAST_LINES).await;
            };
            tokio::select! {
                () = reading => {}
                () = late => eprintln!("{name}: the logs did not come to their end"),
            }
        };
        let job = self.many.then_some(name);
        // It ends with the last sender, and that with the reading.
        let printing = async {
            while let Some(line) = lines.recv().await {
                self.output.log(job, &line);
            }
        };
        let end = async {
            let ended = end.await;
            drop(over);
            ended
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
            eprintln!("{name}: {}", sentence(&error.to_string()));
        }
    }

    fn ended(&self, launched: &Launched, outcome: Outcome) -> u8 {
        let code = outcome.exit_code;
        self.print(&launched.name, &launched.id, "ended", None, Some(outcome));
        code
    }

    /// A job that can never start is removed; one that cannot be seen is left alone.
    async fn gave_up(&self, launched: &Launched, error: WaitError) -> u8 {
        let mut said = error.to_string();
        let code = match error {
            WaitError::Lasting(_) => {
                match self.launcher.cancel(&launched.id).await {
                    Ok(()) => said.push_str(". The job was removed"),
                    Err(error) => said = format!("{said}. And it could not be removed: {error}"),
                }
                exit::UNAVAILABLE
            }
            WaitError::Broken(_) | WaitError::Ended => exit::NO_PERMISSION,
        };
        self.failed(&launched.name, &launched.id, code, said)
    }

    async fn interrupted(&self, launched: &Launched) -> u8 {
        let (name, id) = (&launched.name, &launched.id);
        if !self.cancel {
            eprintln!("{name}: it goes on; the same command with --id {id} follows it again");
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
        eprintln!("launcher: {name}: {}", sentence(&error));
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
        self.output.job(&Printed {
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

fn tell(name: &str, progress: Progress, queued: bool) {
    match progress {
        // Without a queue it waits for its Secret, and not for long.
        Progress::Queued if !queued => {}
        Progress::Queued => eprintln!("{name}: queued; Kueue starts it when there is room"),
        Progress::Running { pod, node } => eprintln!("{name}: {pod} runs on {node}"),
        Progress::Trouble(trouble) => {
            eprintln!("{name}: {}", sentence(&trouble.to_string()));
        }
    }
}
