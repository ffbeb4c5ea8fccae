//! Makes hostile trees from bytes: a few bytes are one operation. The fuzz targets of `crates/wipe/fuzz` use it too.
//!
//! No operation follows a symlink, which would damage the canary.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, fchmod, ftruncate, linkat,
    mkdirat, mknodat, openat, openat2, renameat_with, symlinkat, unlinkat,
};

/// Names that have broken tools.
const NAMES: [&[u8]; 14] = [
    b"a",
    b"b",
    b"c",
    b"-rf",
    b"new\nline",
    b"\xff\xfe",
    b" ",
    b"...",
    b"\\",
    b"*",
    b"lost+found",
    b".wipe-moved-0-0",
    b"\x1b[2J",
    b"long",
];

/// Bytes as a source of choices. After their end every choice is the first one.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self, of: usize) -> usize {
        let Some((&byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(byte) % of
    }

    fn name(&mut self) -> CString {
        let name = NAMES[self.next(NAMES.len())];
        if name == b"long" {
            return CString::new([b'l'; 255]).unwrap();
        }
        CString::new(name).unwrap()
    }
}

/// Carries out the operations in `root`. Ignores those that the kernel refuses.
pub fn build(root: &Path, canary: &Path, bytes: &[u8]) {
    let mut choices = Choices(bytes);
    // The directories made so far, beneath `root`. Some are moved or replaced later.
    let mut made = vec![PathBuf::new()];
    while !choices.0.is_empty() {
        let at = choices.next(made.len());
        let path = made[at].clone();
        let Some(dir) = open(root, &path) else {
            continue;
        };
        let name = choices.name();
        let below = path.join(std::ffi::OsStr::new(&*String::from_utf8_lossy(
            name.to_bytes(),
        )));
        match choices.next(12) {
            0 | 1 => {
                let _ = mkdirat(&dir, &name, Mode::RWXU);
                // A name that is not UTF-8 stays a leaf.
                made.push(below);
            }
            2 => deep(&dir, 1 + 4 * choices.next(64)),
            3 => file(&dir, &name, choices.next(3)),
            4 => link(&dir, &name, canary, choices.next(6)),
            5 => {
                let target = canary.join("one");
                let _ = linkat(CWD, target, &dir, &name, AtFlags::empty());
            }
            6 => {
                let types = [FileType::Fifo, FileType::Socket, FileType::CharacterDevice];
                let _ = mknodat(&dir, &name, types[choices.next(3)], Mode::RUSR, 0);
            }
            7 => {
                let modes = [0o000, 0o100, 0o300, 0o444, 0o1777, 0o2755];
                let _ = fchmod(&dir, Mode::from_raw_mode(modes[choices.next(modes.len())]));
            }
            8 => rename(root, &dir, &name, &made, &mut choices, RenameFlags::empty()),
            9 => rename(
                root,
                &dir,
                &name,
                &made,
                &mut choices,
                RenameFlags::EXCHANGE,
            ),
            10 => {
                let _ = unlinkat(&dir, &name, AtFlags::empty());
                let _ = unlinkat(&dir, &name, AtFlags::REMOVEDIR);
            }
            _ => {
                for number in 0..choices.next(256) {
                    file(&dir, &CString::new(format!("f{number}")).unwrap(), 0);
                }
            }
        }
    }
}

fn open(root: &Path, path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, root, flags | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    if path.as_os_str().is_empty() {
        return Some(top);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(&top, path, flags, Mode::empty(), resolve).ok()
}

fn deep(dir: &OwnedFd, levels: usize) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = dir.try_clone().unwrap();
    for _ in 0..levels {
        let _ = mkdirat(&here, c"deep", Mode::RWXU);
        match openat(&here, c"deep", flags, Mode::empty()) {
            Ok(below) => here = below,
            Err(_) => return,
        }
    }
}

fn file(dir: &impl AsFd, name: &CString, kind: usize) {
    // EXCL, because the name may be a link to the canary.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let Ok(file) = openat(dir, name, flags, Mode::RUSR) else {
        return;
    };
    match kind {
        0 => {}
        1 => {
            let _ = rustix::io::write(&file, b"content");
        }
        _ => {
            let _ = ftruncate(&file, 1 << 40);
        }
    }
}

fn link(dir: &impl AsFd, name: &CString, canary: &Path, kind: usize) {
    let below = canary.join("below");
    let relative = Path::new("../canary");
    let target = match kind {
        0 => canary,
        1 => &below,
        2 => relative,
        3 => Path::new(".."),
        4 => Path::new("/"),
        _ => Path::new("nowhere"),
    };
    let _ = symlinkat(target, dir, name);
}

fn rename(
    root: &Path,
    dir: &OwnedFd,
    name: &CString,
    made: &[PathBuf],
    choices: &mut Choices,
    flags: RenameFlags,
) {
    let to = &made[choices.next(made.len())];
    let new = choices.name();
    if let Some(to) = open(root, to) {
        let _ = renameat_with(dir, name, &to, &new, flags);
    }
}

/// Returns pseudo-random bytes, which are the same for the same seed (splitmix64).
pub fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let numbers = std::iter::from_fn(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    });
    numbers.flat_map(u64::to_le_bytes).take(count).collect()
}
