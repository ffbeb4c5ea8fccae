//! The doctor in containers that are broken in exactly one way each: it names the way and the cure.
//!
//! What this machine's kernel cannot be is listed in docs/doctor.md, with how it was checked instead. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod agreement;
mod cured;
mod form;
mod killed;
mod rows;
mod state;
mod states;
mod token;
