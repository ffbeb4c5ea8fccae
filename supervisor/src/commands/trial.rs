//! `supervisor trial NAME …`: the child's side of trials, by name.

use std::ffi::OsString;
use std::path::Path;

use builder::sandbox;
use linux::trial::{self, Verdict};
use linux::{guard, rooms, scratch, syscalls, userns};
use supervisor::doctor;
use supervisor::storage::probe;

pub(crate) fn main(name: &str, arguments: &[OsString]) -> u8 {
    match (name, arguments) {
        (sandbox::NAME, _) => return sandbox::child(arguments),
        (wipe::owned::NAME, _) => return wipe::owned::child(arguments),
        (userns::BOUND, [program, arguments @ ..]) => {
            return userns::become_bound(program, arguments);
        }
        (doctor::batch::NAME, ids) => return doctor::batch::main(ids),
        (doctor::kill_on_disconnect::NAME, [program, arguments @ ..]) => {
            return doctor::kill_on_disconnect::child(program, arguments);
        }
        (guard::NAME, [maker, place, directories @ ..]) => {
            guard::child(&maker.to_string_lossy(), Path::new(place), directories);
            return 0;
        }
        (syscalls::NAME, []) => {
            syscalls::child();
            return 0;
        }
        _ => {}
    }
    let verdict = match arguments.first() {
        Some(path) => of_path(name, Path::new(path)),
        None => rooms::child(name),
    };
    if verdict.is_none() {
        eprintln!("supervisor: there is no trial {name}");
    }
    trial::conclude(verdict)
}

fn of_path(name: &str, path: &Path) -> Option<Verdict> {
    if name == scratch::REMOVE {
        return Some(remove(path));
    }
    probe::child(name, path)
}

fn remove(path: &Path) -> Verdict {
    let removed = userns::enter().map(|()| scratch::remove_here(path));
    match removed {
        Ok(Ok(())) => Verdict::Works,
        Ok(Err(error)) => Verdict::Refused {
            call: format!("remove {}", path.display()),
            errno: error.raw_os_error().unwrap_or(0),
        },
        Err(verdict) => verdict,
    }
}
