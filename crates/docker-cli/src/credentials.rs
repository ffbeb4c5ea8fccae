//! The job's own credentials, from the places where other clients look: the configuration of Docker and Podman in the job.
//!
//! Only the job can read these files and run its credential helpers. So the client reads them, and hands the builder the entries
//! of the registries that a command uses, for that command alone. Sources: docker-login(1), containers-auth.json(5).

mod config;
mod entry;
mod helper;
mod job;
mod places;
mod registries;
mod store;

pub use entry::{Entries, Entry};
pub use helper::HelperError;
pub use job::JobCredentials;
pub(crate) use places::{First, Places};
pub(crate) use store::StoreError;
