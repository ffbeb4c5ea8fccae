//! Each overlay's pod, run for real without a cluster: its containers in their order, with their rights and volumes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod agreement;
mod jobs;
mod kubelet;
mod rights;
mod volumes;
