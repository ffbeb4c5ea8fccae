//! The manifests on a real API server and a real kubelet: accepted, run, ended, drained, deleted.
//!
//! Only `scripts/test.sh --cluster` compiles and runs this; KUBECONFIG names a single-node cluster of the tester's own, whose
//! node is this machine and has the images. Namespaces are named test-…, and removed before they are used.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod admission;
mod jobs;
mod kubectl;
mod overlay;
