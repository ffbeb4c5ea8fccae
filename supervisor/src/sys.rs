//! The kernel's interfaces: user namespaces, id maps, and trials in a child process.

pub mod filesystem;
pub mod idmap;
pub mod process;
pub mod raw;
pub mod ready;
pub mod scratch;
pub mod trial;
pub mod userns;
