//! The kernel's interfaces: user namespaces, id maps, and trials in a child process.

pub mod filesystem;
pub mod footprint;
pub mod fork;
pub mod guard;
pub mod idmap;
pub mod output;
pub mod passwd;
pub mod posix_spawn;
pub mod printable;
pub mod process;
pub mod program;
pub mod raw;
pub mod ready;
pub mod reserve;
pub mod rooms;
pub mod scratch;
pub mod scrub;
pub mod syscalls;
pub mod trial;
pub mod userns;
