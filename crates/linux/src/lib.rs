//! The kernel's interfaces: system calls, procfs, poll(2), fork(2), posix_spawn(3), user namespaces and their id maps, and
//! trials in a child process.
//!
//! The only crate with `unsafe`: what it exports is safe to call. It knows nothing of runners, builds or configuration.

pub mod errno;
pub mod files;
pub mod filesystem;
pub mod footprint;
pub mod fork;
pub mod guard;
pub mod handshake;
pub mod idmap;
pub mod output;
pub mod passwd;
pub mod posix_spawn;
pub mod pre_exec;
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
