//! Builds that a job requests in the runner's container and that run in the builder's: the protocol, the client and the
//! server.
//!
//! [`client`] is `buildah` in the runner's container. [`server`] is PID 1 of the builder's container: it accepts clients,
//! plans an operation for each, and runs Buildah in a [`sandbox`]. The caller configures it by [`Settings`].

mod auth_entry;
mod build_killer;
mod build_memory;
mod builder_uid;
mod children;
pub mod client;
mod command;
mod credentials;
mod environment;
mod error;
mod event_loop;
mod facts;
#[cfg(test)]
mod fixture;
mod flags;
mod isolation;
mod listener;
mod namespace;
mod observer;
mod operation;
mod operation_dir;
mod paths;
mod plan;
mod policy;
mod protocol;
mod pty;
mod rejected;
mod relay;
pub mod sandbox;
mod semaphore;
pub mod server;
mod session;
mod settings;
mod state;
mod variables;
mod workspace_lock;

pub use credentials::Credentials;
pub use error::ServeError;
pub use observer::Observer;
pub use paths::Workspace;
pub use settings::{Settings, Storage};
pub use workspace_lock::WorkspaceLock;
