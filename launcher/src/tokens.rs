//! Minting: the one-time credential of one job, from long-lived ones that never leave the launcher.

pub mod circleci;
pub mod github;
