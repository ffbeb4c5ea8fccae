//! The kernel's interfaces: user namespaces, id maps, and trials in a child process.

pub mod filesystem;
pub mod idmap;
pub mod process;
pub mod program;
pub mod raw;
pub mod ready;
pub mod rooms;
pub mod scratch;
pub mod syscalls;
pub mod trial;
pub mod userns;
