//! The supervisor: PID 1 of a CI runner's container.
//!
//! `lifecycle` tells the story of one run; every module it calls imports only from below it.

pub mod config;
pub mod doctor;
pub mod flavor;
mod job_watch;
pub mod lifecycle;
pub mod log;
mod memory;
mod outcome;
mod page;
mod publish;
mod runner_loop;
pub mod secrets;
pub mod serve_builds;
pub mod storage;
mod workspace;
