//! Ends the step or the build that runs a container out of memory, before the kernel ends the container.
//!
//! [`Guard`] is a thread of PID 1. It reads the files of the cgroup, sleeps as long as the head room lasts, and kills the
//! largest process of the job if too little is left. `docs/memory.md` has the reasons.

pub mod cgroup;
mod decision;
mod growth;
mod guard;
pub mod levels;
mod pace;
mod record;
mod scan;
mod scope;
mod shared;
mod table;
mod watch;
pub mod words;

pub use guard::Guard;
pub use record::{Kill, Killer};
pub use scope::{BuildEntry, Builds, Scope};
pub use shared::{Mode, Settings};
