//! Builds asked for in one container and done in another: the protocol, the client, and the builder.
//!
//! [`client`] is `buildah` in the runner's container. [`server`] is PID 1 of the builder's container: it takes clients, plans
//! what each asks for, and runs Buildah in a [`sandbox`] of its own. What it is told comes as [`Settings`].

mod build_killer;
mod builder_uid;
mod children;
pub mod client;
mod credentials;
mod environment;
mod error;
mod event_loop;
mod flags;
mod isolation;
mod listener;
mod namespace;
mod operation;
mod operation_dir;
mod paths;
mod plan;
mod policy;
mod protocol;
mod pty;
mod relay;
pub mod sandbox;
mod semaphore;
pub mod server;
mod session;
mod settings;
mod state;
mod variables;

pub use credentials::Credentials;
pub use error::ServeError;
pub use paths::Workspace;
pub use settings::{Settings, Storage};
