//! `supervisor trial NAME …`: the child's side of trials, by name.

use std::ffi::OsString;
use std::path::Path;

use supervisor::exit;
use supervisor::storage::probe;
use supervisor::sys::trial::Verdict;
use supervisor::sys::{scratch, userns};
use supervisor::wipe;

pub(crate) fn main(name: &str, arguments: &[OsString]) -> u8 {
    if name == wipe::owned::NAME {
        return wipe::owned::child(arguments);
    }
    if let (userns::BOUND, [program, arguments @ ..]) = (name, arguments) {
        return userns::become_bound(program, arguments);
    }
    let verdict = arguments
        .first()
        .and_then(|path| of_path(name, Path::new(path)));
    let Some(verdict) = verdict else {
        eprintln!("supervisor: there is no trial {name}");
        return exit::USAGE;
    };
    println!("{}", serde_json::to_string(&verdict).unwrap_or_default());
    0
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
