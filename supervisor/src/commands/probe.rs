//! `supervisor probe NAME …`: the child of a probe, by name.

use std::ffi::OsString;
use std::path::Path;

use builder::sandbox;
use linux::probe::{self, ProbeResult};
use linux::{cleanup_watchdog, scratch, syscalls, userns, userns_probe};
use supervisor::doctor;
use supervisor::storage::probe as storage_probe;

pub(crate) fn main(name: &str, arguments: &[OsString]) -> u8 {
    match (name, arguments) {
        (sandbox::NAME, _) => return sandbox::child(arguments),
        (wipe::userns_wipe::NAME, _) => return wipe::userns_wipe::run_in_child(arguments),
        (userns::BOUND, [program, arguments @ ..]) => {
            return userns::exec_bound_to_parent(program, arguments);
        }
        (doctor::batch::NAME, ids) => return doctor::batch::main(ids),
        (doctor::kill_on_disconnect::NAME, [program, arguments @ ..]) => {
            return doctor::kill_on_disconnect::child(program, arguments);
        }
        (cleanup_watchdog::NAME, [owner, place, directories @ ..]) => {
            cleanup_watchdog::run_in_child(&owner.to_string_lossy(), Path::new(place), directories);
            return 0;
        }
        (syscalls::NAME, []) => {
            syscalls::run_in_child();
            return 0;
        }
        _ => {}
    }
    let result = match arguments.first() {
        Some(path) => of_path(name, Path::new(path)),
        None => userns_probe::run_in_child(name),
    };
    if result.is_none() {
        eprintln!("supervisor: there is no probe {name}");
    }
    probe::print_result(result)
}

fn of_path(name: &str, path: &Path) -> Option<ProbeResult> {
    if name == scratch::REMOVE {
        return Some(remove(path));
    }
    storage_probe::child(name, path)
}

fn remove(path: &Path) -> ProbeResult {
    let removed = userns::enter().map(|()| scratch::remove_directly(path));
    match removed {
        Ok(Ok(())) => ProbeResult::Works,
        Ok(Err(error)) => ProbeResult::refused(format!("remove {}", path.display()), error),
        Err(result) => result,
    }
}
