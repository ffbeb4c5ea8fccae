//! Starts CI jobs as Kubernetes Jobs.

pub mod id;
pub mod mint;
pub mod render;
pub mod secret;
