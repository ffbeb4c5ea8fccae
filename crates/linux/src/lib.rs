//! The kernel's interfaces as safe functions: system calls, procfs, poll(2), fork(2), posix_spawn(3), user namespaces with
//! their id maps, and probes.
//!
//! A probe is a child process that tries an operation to prove that it works. This is the only crate with `unsafe` code.
//! It knows nothing of runners, builds or the configuration.
//!
//! Begin with [`probe::Probe`].

pub mod cleanup_watchdog;
pub mod container_usage;
pub mod emergency_alloc;
pub mod errno;
pub mod files;
pub mod filesystem;
pub mod fork;
pub mod handshake;
pub mod idmap;
pub mod libc_ext;
pub mod memory_trim;
pub mod oom_score;
pub mod output;
pub mod passwd;
pub mod poll;
pub mod posix_spawn;
pub mod pre_exec;
pub mod probe;
pub mod proc_scrub;
pub mod process;
pub mod procfs;
pub mod program;
pub mod scheduling;
pub mod scratch;
pub mod syscalls;
pub mod termination_request;
pub mod userns;
pub mod userns_probe;
