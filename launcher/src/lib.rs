//! Starts CI jobs as Kubernetes Jobs.

pub mod create;
pub mod exit;
pub mod follow;
pub mod gc;
pub mod id;
pub mod launch;
pub mod mint;
pub mod render;
pub mod secret;
