//! All checks, by subject. One is added in the file of its subject, and nowhere else.

mod filesystem;
mod idmap;
mod jwt;
pub(super) mod kernel;
mod kubernetes;
mod network;
mod privileges;
mod secrets;
mod storage;
mod tools;
mod trials;
mod userns;
mod workspace;

use super::check::Check;

/// Every check; what a check needs stands before it.
pub(super) fn all() -> impl Iterator<Item = &'static Check> {
    let subjects: [&[Check]; 11] = [
        kernel::CHECKS,
        privileges::CHECKS,
        userns::CHECKS,
        idmap::CHECKS,
        filesystem::CHECKS,
        workspace::CHECKS,
        tools::CHECKS,
        storage::CHECKS,
        secrets::CHECKS,
        network::CHECKS,
        kubernetes::CHECKS,
    ];
    subjects.into_iter().flatten()
}

/// The check with this id.
pub(super) fn find(id: &str) -> Option<&'static Check> {
    all().find(|check| check.id == id)
}
