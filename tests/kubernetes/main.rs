//! The manifests: they render, every API server of these versions takes them, and no container loses a restriction.
//!
//! Needs kubectl, kubernetes-validate and the evaluator in pod-security/: `scripts/test.sh` sees to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod examples;
mod manifests;
mod restrictions;
mod rights;
mod schemas;
mod standards;
mod surroundings;
mod templates;
