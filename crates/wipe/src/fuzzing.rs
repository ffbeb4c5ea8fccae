//! What must hold for any bytes at all: the entry points of `fuzz/`, and of a test with random bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::progress::printable;
use super::{mountinfo, path};

/// Takes the bytes for a path, as a user may type it.
///
/// # Panics
/// Where one is accepted that must not be.
pub fn check_any_path(bytes: &[u8]) {
    let text = printable(bytes);
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 5000);
    let Ok(clean) = path::accept(Path::new(OsStr::from_bytes(bytes))) else {
        return;
    };
    let names = clean.as_os_str().as_bytes();
    assert!(names.starts_with(b"/") && names.len() > 1 && !names.ends_with(b"/"));
    for name in names[1..].split(|&byte| byte == b'/') {
        assert!(!name.is_empty() && name != b"." && name != b"..");
        assert!(!name.contains(&0));
    }
    assert_eq!(path::accept(&clean).as_ref(), Ok(&clean));
    // The kernel reads it as what was typed: nothing was guessed away.
    assert_eq!(Path::new(OsStr::from_bytes(bytes)), clean);
    for refused in path::SYSTEM_TREES.iter().chain(&path::SYSTEM_DIRECTORIES) {
        assert_ne!(clean, Path::new(refused));
    }
}

/// Takes the bytes for a list of mounts, of which a job chooses the names.
///
/// # Panics
/// Where what the kernel escaped is not read as it was.
pub fn check_any_mountinfo(bytes: &[u8]) {
    mountinfo::parse(bytes);
    let mut escaped = Vec::new();
    for &byte in bytes {
        if b" \t\n\\#".contains(&byte) {
            escaped.extend(format!("\\{byte:03o}").bytes());
        } else {
            escaped.push(byte);
        }
    }
    assert_eq!(mountinfo::unescape(&escaped), bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of what has a meaning somewhere, in random order (a linear congruential generator).
    #[test]
    fn random_bytes_hold_what_the_fuzz_targets_ask() {
        const PARTS: [&[u8]; 16] = [
            b"/", b"//", b".", b"..", b"usr", b"home", b"root", b"var", b"lib", b"dev", b"shm",
            b"\0", b"\n", b"\\040", b"\xff", b"a",
        ];
        let mut state: u64 = 1;
        let mut next = |of: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from((state >> 33) % of).unwrap()
        };
        for _ in 0..100_000 {
            let parts: Vec<&[u8]> = (0..next(8)).map(|_| PARTS[next(16)]).collect();
            let bytes = parts.concat();
            check_any_path(&bytes);
            check_any_mountinfo(&bytes);
            let joined = [b"/".as_slice(), &parts.join(&b'/')].concat();
            check_any_path(&joined);
        }
    }
}
