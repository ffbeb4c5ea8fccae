//! The supervisor: PID 1 of a CI runner's container.
//!
//! `lifecycle` tells the story of one run; every module it calls imports only from below it.
//! Without the feature `pid1` there is [`report`] alone, for programs that read what a run has left.

#[cfg(feature = "pid1")]
pub mod build;
#[cfg(feature = "pid1")]
pub mod config;
#[cfg(feature = "pid1")]
pub mod doctor;
#[cfg(feature = "pid1")]
pub mod exit;
#[cfg(feature = "pid1")]
pub mod flavor;
#[cfg(feature = "pid1")]
pub mod init;
#[cfg(feature = "pid1")]
pub mod lifecycle;
#[cfg(feature = "pid1")]
pub mod log;
#[cfg(feature = "pid1")]
pub mod outcome;
pub mod report;
#[cfg(feature = "pid1")]
pub mod rounds;
#[cfg(feature = "pid1")]
pub mod secrets;
#[cfg(feature = "pid1")]
pub mod storage;
#[cfg(feature = "pid1")]
pub mod sys;
#[cfg(feature = "pid1")]
pub mod wipe;
#[cfg(feature = "pid1")]
pub mod workspace;
