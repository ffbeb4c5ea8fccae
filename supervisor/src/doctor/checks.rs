//! All checks, by subject. A new check goes into the file of its subject and nowhere else.

pub(super) mod build;
mod filesystem;
mod idmap;
mod jwt;
mod kernel;
mod kubernetes;
pub(super) mod limits;
mod network;
mod out_of_memory;
mod privileges;
mod probes;
mod secrets;
mod storage;
mod tools;
mod userns;
mod workspace;

pub(super) use secrets::refused as refused_secret;

use super::check::Check;

/// Returns every check. Each comes after the checks that it needs.
pub(super) fn all() -> impl Iterator<Item = &'static Check> {
    let subjects: [&[Check]; 14] = [
        limits::CHECKS,
        out_of_memory::CHECKS,
        kernel::CHECKS,
        privileges::CHECKS,
        userns::CHECKS,
        idmap::CHECKS,
        workspace::CHECKS,
        storage::CHECKS,
        tools::CHECKS,
        secrets::CHECKS,
        filesystem::CHECKS,
        network::CHECKS,
        kubernetes::CHECKS,
        build::CHECKS,
    ];
    subjects.into_iter().flatten()
}

/// Returns the check with this id.
pub(super) fn find(id: &str) -> Option<&'static Check> {
    all().find(|check| check.id == id)
}
