//! `supervisor trial NAME …`: the child's side of trials, by name.

use std::ffi::OsString;

use supervisor::exit;

pub(crate) fn main(name: &str, _arguments: &[OsString]) -> u8 {
    eprintln!("supervisor: there is no trial {name}");
    exit::USAGE
}
