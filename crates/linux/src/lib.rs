//! The kernel's interfaces: system calls, procfs, poll(2), fork(2), posix_spawn(3), user namespaces and their id maps, and
//! trials in a child process.
//!
//! The only crate with `unsafe`: what it exports is safe to call. It knows nothing of runners, builds or configuration.

pub mod cleanup_watchdog;
pub mod emergency_alloc;
pub mod errno;
pub mod filesystem;
pub mod fork;
pub mod handshake;
pub mod idmap;
pub mod libc_ext;
pub mod memory_trim;
pub mod output;
pub mod passwd;
pub mod poll;
pub mod posix_spawn;
pub mod pre_exec;
pub mod probe;
pub mod proc_scrub;
pub mod process;
pub mod program;
pub mod scratch;
pub mod syscalls;
pub mod userns;
pub mod userns_probe;
