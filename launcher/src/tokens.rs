//! Issues the credential of one job from a long-lived credential, which never leaves the launcher.

pub mod circleci;
pub mod github;
