//! The doctor in containers that are broken in exactly one way each: it names the fault and the remedy.
//!
//! Some findings need another kernel. docs/doctor.md lists them, and how they were checked. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod agreement;
mod cured;
mod form;
mod killed;
mod rows;
mod state;
mod states;
mod token;
