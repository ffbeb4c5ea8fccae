//! The mounts of this mount namespace, as the kernel lists them.
//!
//! Source: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

pub(super) const MOUNTINFO: &str = "/proc/self/mountinfo";

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    /// The major and minor number of its file system.
    pub(super) device: String,
    /// The directory of the file system that is mounted.
    pub(super) root: PathBuf,
    /// The path at which it is mounted.
    pub(super) point: PathBuf,
}

/// Returns all mounts; none if `/proc` cannot be read.
pub(super) fn list() -> Vec<Mount> {
    File::open(MOUNTINFO).map_or_else(|_| Vec::new(), |table| read(&table))
}

pub(super) fn read(mut table: &File) -> Vec<Mount> {
    // The kernel fills a page at a time; a smaller buffer would take more calls.
    let mut text = Vec::with_capacity(1 << 14);
    if table.read_to_end(&mut text).is_err() {
        return Vec::new();
    }
    parse(&text)
}

pub(super) fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    let lines = mountinfo.split(|&byte| byte == b'\n');
    lines.filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = String::from_utf8_lossy(fields.nth(1)?).into_owned();
    let mut path = || Some(PathBuf::from(OsString::from_vec(unescape(fields.next()?))));
    Some(Mount {
        id,
        device,
        root: path()?,
        point: path()?,
    })
}

/// Decodes blank, tab, newline and backslash, which the kernel writes as octal numbers.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\');
        let number =
            octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(number.unwrap_or(byte));
        rest = if number.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::path::Path;

    pub(crate) const EXAMPLE: &[u8] = b"22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
        40 22 0:30 / /ws rw shared:1 - tmpfs tmpfs rw\n\
        41 40 0:31 / /ws/a\\040b\\012c\\134 rw - tmpfs tmpfs rw\n\
        42 41 0:32 / /ws/a\\040b\\012c\\134/d rw - tmpfs tmpfs rw\n\
        43 40 0:33 / /ws/home rw - tmpfs tmpfs rw\n\
        44 22 0:34 / /wsx rw - tmpfs tmpfs rw\nnonsense\n\n";

    #[test]
    fn parse_decodes_escaped_characters() {
        let mounts = parse(EXAMPLE);
        assert_eq!(mounts.len(), 6);
        assert_eq!(mounts[1].device, "0:30");
        assert_eq!(mounts[1].root, Path::new("/"));
        assert_eq!(mounts[2].id, 41);
        assert_eq!(mounts[2].point, Path::new("/ws/a b\nc\\"));
        assert_eq!(unescape(b"\\9\\04"), b"\\9\\04");
    }
}
