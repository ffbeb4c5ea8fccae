//! Programs: their paths, versions and machines, and the privileges that their files grant.
//!
//! Sources: elf(5), capabilities(7) "File capabilities", linux/capability.h `vfs_cap_data`.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::{probe, userns};

/// Returns the path of the program `name` in our PATH, or of the program at that path.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    which::which(name).ok()
}

/// Returns the machine of an ELF file if it is not this machine.
///
/// `None` for scripts and for files that cannot be read: execve(2) decides about them.
#[must_use]
pub fn foreign_machine(path: &Path) -> Option<String> {
    let machine = elf_machine(path)?;
    let own = elf_machine(Path::new("/proc/self/exe"))?;
    (machine != own).then(|| machine_name(machine))
}

/// The version that a program reports.
#[derive(Debug)]
pub struct Version {
    /// The first three numbers, for comparison.
    pub numbers: [u32; 3],
    /// The line that contains them.
    pub text: String,
}

/// Runs a program with `--version`. The kernel kills it when this process ends.
///
/// HOME, TMPDIR and XDG_RUNTIME_DIR are `home`, because buildah writes there even then.
///
/// # Errors
/// The program could not be run, or its exit status and the last line of its stderr if it printed no version.
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

/// Returns whether a 64-bit ELF program needs no interpreter (no dynamic linker), elf(5) `PT_INTERP`.
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

/// The privileges that a program's file adds to those of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePrivileges {
    /// The file has the set-user-id bit, and root owns it.
    pub setuid_root: bool,
    /// The permitted file capabilities, one bit each.
    pub permitted: u64,
    /// The capabilities become effective by themselves.
    pub effective: bool,
    /// The file system is mounted nosuid, so the kernel ignores the others.
    pub nosuid: bool,
}

/// Returns the privileges that the file at `path` grants.
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

/// Parses the permitted set and the effective flag of a `security.capability` attribute.
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
    fn file_capabilities_reads_what_setcap_writes() {
        // `setcap cap_setuid+ep` writes this, as `getfattr -n security.capability -e hex` shows.
        let attribute = [
            1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(file_capabilities(&attribute), (1 << 7, true));
        assert_eq!(file_capabilities(&[]), (0, false));
    }

    #[test]
    fn version_numbers_reads_one_to_three_numbers() {
        assert_eq!(version_numbers("1.39.3"), Some([1, 39, 3]));
        assert_eq!(version_numbers("1.10"), Some([1, 10, 0]));
        assert_eq!(version_numbers("1.40.0-dev"), Some([1, 40, 0]));
        assert_eq!(version_numbers("v1.2"), None);
    }

    #[test]
    fn foreign_machine_reads_the_elf_header() {
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
    fn is_static_rejects_programs_with_an_interpreter() {
        assert!(!is_static(Path::new("/bin/bash")));
        assert!(!is_static(Path::new("/etc/passwd")));
    }
}
