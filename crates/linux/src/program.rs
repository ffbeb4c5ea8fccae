//! Programs: where PATH has them, whether this machine can execute them, and what capabilities their file grants.
//!
//! Sources: elf(5), capabilities(7) "File capabilities", linux/capability.h `vfs_cap_data`.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::{probe, userns};

/// The program `name` in our PATH, or at its path.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    which::which(name).ok()
}

/// The machine that an ELF file is made for, if it is not this one.
///
/// Scripts and whatever cannot be read are left to execve(2).
#[must_use]
pub fn foreign_machine(path: &Path) -> Option<String> {
    let machine = elf_machine(path)?;
    let own = elf_machine(Path::new("/proc/self/exe"))?;
    (machine != own).then(|| machine_name(machine))
}

/// What a program says of itself.
#[derive(Debug)]
pub struct Version {
    /// The first three numbers, for comparison.
    pub numbers: [u32; 3],
    /// The line that holds them.
    pub text: String,
}

/// Asks a program for its version. It ends with us, and HOME is `home`: even for that, buildah writes there.
///
/// # Errors
/// That it could not be run, or what it stderr in place of a version.
pub fn version(path: &Path, home: &Path) -> std::io::Result<Version> {
    let output = probe::command(userns::BOUND)
        .arg(path)
        .arg("--version")
        .envs(["HOME", "TMPDIR", "XDG_RUNTIME_DIR"].map(|name| (name, home)))
        .stdin(Stdio::null())
        .output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stderr = stderr.lines().last().unwrap_or_default().to_owned();
    let wrong = || std::io::Error::other(format!("--version: {}: {stderr}", output.status));
    if !output.status.success() {
        return Err(wrong());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(parse_version_line).ok_or_else(wrong)
}

fn parse_version_line(line: &str) -> Option<Version> {
    let mut words = line.split_whitespace().filter(|word| word.contains('.'));
    let numbers = words.find_map(version_numbers)?;
    let text = line.trim().to_owned();
    Some(Version { numbers, text })
}

fn version_numbers(word: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    let parts = word.split(|letter: char| !letter.is_ascii_digit());
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

fn elf_machine(path: &Path) -> Option<u16> {
    let mut header = [0; 20];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    let little = header[5] == 1;
    let field = [header[18], header[19]];
    let machine = if little {
        u16::from_le_bytes(field)
    } else {
        u16::from_be_bytes(field)
    };
    header.starts_with(b"\x7fELF").then_some(machine)
}

/// Whether a 64-bit ELF program needs no interpreter (a dynamic linker), elf(5) `PT_INTERP`.
#[must_use]
pub fn is_static(path: &Path) -> bool {
    const PT_INTERP: u64 = 3;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    if read.is_err() || !bytes.starts_with(b"\x7fELF\x02") {
        return false;
    }
    let little = bytes.get(5) == Some(&1);
    let number = |from: usize, length: usize| -> Option<u64> {
        let bytes = bytes.get(from..from + length)?.iter();
        let join = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if little {
            bytes.rev().fold(0, join)
        } else {
            bytes.fold(0, join)
        })
    };
    let (Some(first), Some(size), Some(count)) = (number(32, 8), number(54, 2), number(56, 2))
    else {
        return false;
    };
    let kinds = (0..count).map(|index| number((first + index * size) as usize, 4));
    kinds.flatten().all(|kind| kind != PT_INTERP)
}

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "i386".to_owned(),
        21 => "ppc64".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        62 => "x86-64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv".to_owned(),
        other => format!("ELF machine {other}"),
    }
}

/// What a program's file adds to the rights of who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePrivileges {
    /// The set-user-id bit, and root as the owner.
    pub setuid_root: bool,
    /// Permitted capabilities of the file, a bit each.
    pub permitted: u64,
    /// Whether they become effective by themselves.
    pub effective: bool,
    /// Neither counts on a file system mounted nosuid.
    pub nosuid: bool,
}

/// The rights that the file at `path` grants.
///
/// # Errors
/// As stat(2).
pub fn file_privileges(path: &Path) -> std::io::Result<FilePrivileges> {
    let metadata = std::fs::metadata(path)?;
    let mut buffer = [0; 24];
    let length = rustix::fs::getxattr(path, "security.capability", &mut buffer[..]);
    let (permitted, effective) =
        length.map_or((0, false), |length| file_capabilities(&buffer[..length]));
    let flags = statvfs(path).map_or(FsFlags::empty(), |found| found.flags());
    Ok(FilePrivileges {
        setuid_root: metadata.permissions().mode() & 0o4000 != 0 && metadata.uid() == 0,
        permitted,
        effective,
        nosuid: flags.contains(FsFlags::ST_NOSUID),
    })
}

/// The permitted set and the effective flag of a `security.capability` attribute.
fn file_capabilities(attribute: &[u8]) -> (u64, bool) {
    let word = |index: usize| {
        let bytes = attribute.get(4 * index..4 * index + 4);
        let bytes = bytes.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let permitted = u64::from(word(1)) | (u64::from(word(3)) << 32);
    (permitted, word(0) & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_capabilities_are_read_as_setcap_writes_them() {
        // setcap cap_setuid+ep, as `getfattr -n security.capability -e hex` shows it.
        let attribute = [
            1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(file_capabilities(&attribute), (1 << 7, true));
        assert_eq!(file_capabilities(&[]), (0, false));
    }

    #[test]
    fn versions_are_read_as_programs_write_them() {
        assert_eq!(version_numbers("1.39.3"), Some([1, 39, 3]));
        assert_eq!(version_numbers("1.10"), Some([1, 10, 0]));
        assert_eq!(version_numbers("1.40.0-dev"), Some([1, 40, 0]));
        assert_eq!(version_numbers("v1.2"), None);
    }

    #[test]
    fn a_program_of_another_machine_is_told_by_its_header() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut header = std::fs::read("/proc/self/exe").unwrap()[..64].to_vec();
        header[18] = if header[18] == 22 { 62 } else { 22 };
        header[19] = 0;
        std::fs::write(file.path(), &header).unwrap();
        assert!(foreign_machine(file.path()).is_some());
        assert_eq!(foreign_machine(Path::new("/proc/self/exe")), None);
        assert_eq!(foreign_machine(Path::new("/etc/passwd")), None);
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(!is_static(Path::new("/bin/bash")));
        assert!(!is_static(Path::new("/etc/passwd")));
    }
}
