//! Starts CI jobs as Kubernetes Jobs, and follows them to their ends.
//!
//! | module | |
//! |---|---|
//! | [`tokens`] | the credential of one job: GitHub's just-in-time configuration, CircleCI's token |
//! | [`render`] | from the manifests of `k8s/` to the objects of one launch |
//! | [`create`] | the Job, its Secret and its start, each an idempotent request |
//! | [`launch`] | all of it in order, and taken back where it fails |
//! | [`follow`] | what becomes of jobs: one watch for all, troubles as sentences, logs, the outcome |
//! | [`gc`] | what a crash left behind |
//!
//! A whole launch:
//!
//! ```no_run
//! use launcher::create::Cluster;
//! use launcher::follow::{Follower, wait};
//! use launcher::id::Id;
//! use launcher::launch::{Launcher, Source};
//! use launcher::tokens::github::{Credential, Github, Patience, Runner, endpoint::{Scope, Site}};
//! use launcher::render::{Adjustments, Blueprint, Flavor, Profile, Shape};
//! use launcher::render::{images::Images, template::Template};
//! use launcher::secret::Secret;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let template = Template::carried(Flavor::Github, Shape::Split, Profile::Rootless)?;
//! let registry = Some("registry.example/ci".to_owned());
//! let images = Images { registry, ..Images::default() };
//! let blueprint = Blueprint::new(template, &Adjustments { images, ..Adjustments::default() })?;
//!
//! let credential = Credential::Token(Secret::new(std::env::var("GITHUB_TOKEN")?));
//! let scope = Scope::organisation("octo")?;
//! let github = Github::new(&Site::default(), scope, credential, Runner::default(), Patience::default())?;
//!
//! let cluster = Cluster::connect(None, blueprint.namespace()).await?;
//! let follower = Follower::start(&cluster);
//! let launcher = Launcher {
//!     cluster,
//!     blueprint,
//!     prefix: "runner".parse()?,
//!     flavor: Flavor::Github,
//!     source: Source::Github(Box::new(github)),
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

pub mod create;
pub mod exit;
pub mod follow;
pub mod gc;
pub mod id;
pub mod launch;
pub mod render;
pub mod secret;
pub mod tokens;
