//! Starts CI jobs as Kubernetes Jobs and follows them to their ends.
//!
//! Everything that needs the APIs of GitHub and Kubernetes is here. So PID 1 of a job's pod needs no network stack, and no
//! long-lived credential enters the pod. The program `launcher` is a command line over this library. `docs/launcher.md`
//! describes it.
//!
//! | module | purpose |
//! |---|---|
//! | [`tokens`] | issues the credential of one job: GitHub's just-in-time configuration, CircleCI's token |
//! | [`render`] | renders the objects of one launch from the manifests of `k8s/` |
//! | [`create`] | applies the Job and its Secret, and starts the Job, with idempotent requests |
//! | [`launch`] | does all of this in order, and rolls it back if it fails |
//! | [`follow`] | watches the jobs: problems with their remedies, logs, the outcome |
//! | [`gc`] | removes what a crashed launcher left behind |
//!
//! Begin with [`launch::Launcher`] and [`follow::Follower`]. A complete launch:
//!
//! ```no_run
//! use launcher::create::Cluster;
//! use launcher::follow::{Follower, wait};
//! use launcher::id::Id;
//! use launcher::launch::{CredentialSource, Launcher};
//! use launcher::render::{Flavor, Overrides, Profile, Renderer, Shape};
//! use launcher::render::{images::Images, template::Template};
//! use launcher::secret::Secret;
//! use launcher::tokens::github::endpoint::{Endpoint, Scope};
//! use launcher::tokens::github::{Credential, Github, RunnerSettings, Timeouts};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let template = Template::embedded(Flavor::Github, Shape::Split, Profile::Rootless)?;
//! let registry = Some("registry.example/ci".to_owned());
//! let images = Images { registry, ..Images::default() };
//! let renderer = Renderer::new(template, &Overrides { images, ..Overrides::default() })?;
//!
//! let credential = Credential::Token(Secret::new(std::env::var("GITHUB_TOKEN")?));
//! let scope = Scope::organisation("octo")?;
//! let settings = RunnerSettings::default();
//! let github = Github::new(&Endpoint::default(), scope, credential, settings, Timeouts::default())?;
//!
//! let cluster = Cluster::connect(None, renderer.namespace()).await?;
//! let follower = Follower::start(&cluster);
//! let launcher = Launcher {
//!     cluster,
//!     renderer,
//!     prefix: "runner".parse()?,
//!     flavor: Flavor::Github,
//!     credentials: CredentialSource::Github(Box::new(github)),
//! };
//!
//! let id: Id = "build-4711".parse()?;
//! let job = follower.job(&launcher.prefix.name(&id));
//! let launched = launcher.launch(&id).await?;
//! follower.launched(&launched.name);
//! let outcome = wait::end(job, |progress| println!("{progress:?}")).await?;
//! println!("{} {}", outcome.exit_code, outcome.reason);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod create;
pub mod exit;
pub mod follow;
pub mod gc;
pub mod id;
pub mod launch;
pub mod render;
pub mod secret;
pub mod tokens;
