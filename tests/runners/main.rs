//! The images of the CI vendors' runners: pinned, downloaded, verified, built, and run with the rights of a pod under the
//! restricted standard. A local HTTP server takes the place of the vendors' sites, and fakes that of their programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod certificates;
mod circleci;
mod github;
mod pod;
mod proxies;
mod site;
