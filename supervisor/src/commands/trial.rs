//! `supervisor trial NAME …`: the child's side of trials, by name.

use std::ffi::OsString;

use supervisor::exit;
use supervisor::wipe;

pub(crate) fn main(name: &str, arguments: &[OsString]) -> u8 {
    if name == wipe::owned::NAME {
        return wipe::owned::child(arguments);
    }
    eprintln!("supervisor: there is no trial {name}");
    exit::USAGE
}
