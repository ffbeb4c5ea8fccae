//! The images of the CI vendors' runners: pinned, downloaded, verified, built, and run with the rights of a pod under the
//! restricted standard. A local HTTP server stands in for the vendors' sites, the stand-ins for their programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod certificates;
mod circleci;
mod github;
mod pod;
mod proxies;
mod site;
