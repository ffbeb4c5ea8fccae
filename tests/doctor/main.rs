//! The doctor's word against real containers in exactly one broken state each, and against the fate of a real build.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod agreement;
mod killed;
mod namespaces;
mod pod;
mod states;
