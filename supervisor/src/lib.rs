//! The supervisor: PID 1 of a CI runner's container.
//!
//! `lifecycle` tells the story of one run; every module it calls imports only from below it.

pub mod config;
pub mod exit;
pub mod sys;
