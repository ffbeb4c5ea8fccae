//! Starts CI jobs as Kubernetes Jobs.

pub mod id;
pub mod render;
pub mod secret;
