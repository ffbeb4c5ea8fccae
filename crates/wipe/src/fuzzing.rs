//! Properties that hold for any bytes: the entry points of `fuzz/` and of a test with random bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::progress::printable;
use super::{mountinfo, path};

/// Reads the bytes as a path that a user may type.
///
/// # Panics
/// If a path is accepted that must be refused.
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
    // The path names the same file as before.
    assert_eq!(Path::new(OsStr::from_bytes(bytes)), clean);
    for refused in path::SYSTEM_TREES.iter().chain(&path::SYSTEM_DIRECTORIES) {
        assert_ne!(clean, Path::new(refused));
    }
}

/// Reads the bytes as a list of mounts, in which a job chooses the names.
///
/// # Panics
/// If an escaped name is not decoded to what it was.
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

    /// Joins strings with a meaning in paths in random order (a linear congruential generator).
    #[test]
    fn random_bytes_have_the_fuzzed_properties() {
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
