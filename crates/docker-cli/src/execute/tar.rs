//! Reads and writes tar archives, as far as archives of images need it: ustar headers, PAX sizes and GNU long names.
//! Source: POSIX.1-2017, pax, "ustar Interchange Format"; <https://www.gnu.org/software/tar/manual/html_node/Standard.html>.

use std::io::{self, Error, ErrorKind, Read, Write};

const BLOCK: usize = 512;
/// The most bytes of a description inside an archive, such as `manifest.json`.
const SMALL: u64 = 16 << 20;

/// The kind of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Other,
}

/// One member of an archive. Its content follows in the reader.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The bytes of the content.
    pub(super) size: u64,
    /// All header blocks of the member, with extended headers before it.
    pub(super) header: Vec<u8>,
}

fn invalid(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("it is not a tar archive: {what}"),
    )
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// Reads the next member, up to its content. Returns `None` at the end of the archive.
///
/// # Errors
/// As read(2); `InvalidData` for a header with a wrong checksum or size.
pub(super) fn next(from: &mut dyn Read) -> io::Result<Option<Member>> {
    let (mut header, mut long_name, mut long_size) = (Vec::new(), None, None);
    loop {
        let mut block = [0; BLOCK];
        if !fill(from, &mut block)? || block.iter().all(|byte| *byte == 0) {
            return if header.is_empty() {
                Ok(None)
            } else {
                Err(invalid("it ends within a header"))
            };
        }
        check(&block)?;
        header.extend(block);
        let size = number(&block[124..136])?;
        let extension = block[156];
        if !matches!(extension, b'x' | b'g' | b'L' | b'K') {
            let kind = match extension {
                b'0' | 0 => Kind::File,
                b'5' => Kind::Directory,
                _ => Kind::Other,
            };
            return Ok(Some(Member {
                name: long_name.unwrap_or_else(|| name(&block)),
                kind,
                size: long_size.unwrap_or(size),
                header,
            }));
        }
        let content = small(from, size)?;
        header.extend(&content);
        header.resize(header.len().next_multiple_of(BLOCK), 0);
        match extension {
            b'L' => long_name = Some(text(&content)),
            b'x' => {
                long_name = pax(&content, "path").or(long_name);
                long_size = pax(&content, "size")
                    .and_then(|size| size.parse().ok())
                    .or(long_size);
            }
            _ => {}
        }
    }
}

/// Fills a block. Returns `false` if the archive ends before it.
fn fill(from: &mut dyn Read, block: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(invalid("it ends within a block")),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn check(block: &[u8; BLOCK]) -> io::Result<()> {
    let blank = |(at, byte): (usize, &u8)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    };
    let sum: u64 = block.iter().enumerate().map(blank).sum();
    if number(&block[148..156])? == sum {
        Ok(())
    } else {
        Err(invalid("a header has a wrong checksum"))
    }
}

/// Reads an octal number, or GNU's binary number.
fn number(field: &[u8]) -> io::Result<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let bytes = field.iter().skip(field.len().saturating_sub(8));
        return Ok(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let digits = text(field);
    let digits = digits.trim();
    match digits {
        "" => Ok(0),
        digits => u64::from_str_radix(digits, 8).map_err(|_| invalid("a header has no number")),
    }
}

fn text(field: &[u8]) -> String {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn name(block: &[u8; BLOCK]) -> String {
    let name = text(&block[..100]);
    match text(&block[345..500]) {
        prefix if prefix.is_empty() || !block[257..].starts_with(b"ustar") => name,
        prefix => format!("{prefix}/{name}"),
    }
}

/// Returns a value of an extended header: lines of the form `LENGTH KEY=VALUE`.
fn pax(content: &[u8], key: &str) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let mut values = text.lines().filter_map(|line| {
        let (_, pair) = line.split_once(' ')?;
        pair.strip_prefix(key)?.strip_prefix('=')
    });
    values.next_back().map(str::to_owned)
}

/// Reads a short content and its padding.
///
/// # Errors
/// As read(2); `InvalidData` if it is longer than 16 MiB.
pub(super) fn small(from: &mut dyn Read, size: u64) -> io::Result<Vec<u8>> {
    if size > SMALL {
        return Err(invalid("a description is longer than 16 MiB"));
    }
    let mut content = Vec::new();
    from.take(size).read_to_end(&mut content)?;
    if content.len() as u64 != size {
        return Err(invalid("it ends within a member"));
    }
    io::copy(&mut from.take(padding(size)), &mut io::sink())?;
    Ok(content)
}

/// Copies a content without its padding, and skips the padding.
pub(super) fn content(from: &mut dyn Read, size: u64, to: &mut dyn Write) -> io::Result<()> {
    if io::copy(&mut from.take(size), to)? != size {
        return Err(invalid("it ends within a member"));
    }
    io::copy(&mut from.take(padding(size)), &mut io::sink())?;
    Ok(())
}

/// Copies a member as it is.
pub(super) fn copy(member: &Member, from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(&member.header)?;
    content(from, member.size, to)?;
    to.write_all(&vec![0; usize::try_from(padding(member.size)).unwrap_or(0)])
}

/// Writes a file of mode 0644 of root, from 1970.
pub(super) fn write(name: &str, content: &[u8], to: &mut dyn Write) -> io::Result<()> {
    let mut block = [0; BLOCK];
    block[..name.len().min(99)].copy_from_slice(&name.as_bytes()[..name.len().min(99)]);
    for (at, text) in [
        (100, "0000644\0".to_owned()),
        (108, "0000000\0".to_owned()),
        (116, "0000000\0".to_owned()),
        (124, format!("{:011o}\0", content.len())),
        (136, "00000000000\0".to_owned()),
        (148, "        ".to_owned()),
        (156, "0".to_owned()),
        (257, "ustar\x0000".to_owned()),
    ] {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    to.write_all(&block)?;
    to.write_all(content)?;
    let padding = padding(content.len() as u64);
    to.write_all(&vec![0; usize::try_from(padding).unwrap_or(0)])
}

/// Writes the end of an archive.
pub(super) fn finish(to: &mut dyn Write) -> io::Result<()> {
    to.write_all(&[0; 2 * BLOCK])?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(archive: &[u8]) -> io::Result<Vec<(String, Kind, u64)>> {
        let (mut from, mut all) = (archive, Vec::new());
        while let Some(member) = next(&mut from)? {
            content(&mut from, member.size, &mut io::sink())?;
            all.push((member.name, member.kind, member.size));
        }
        Ok(all)
    }

    #[test]
    fn what_is_written_is_read_and_copied() {
        let mut archive = Vec::new();
        write("manifest.json", b"[]", &mut archive).unwrap();
        write("a/b", &[7; 513], &mut archive).unwrap();
        finish(&mut archive).unwrap();
        assert_eq!(archive.len(), 512 + 512 + 512 + 1024 + 1024);
        let file = |name: &str, size| (name.to_owned(), Kind::File, size);
        assert_eq!(
            names(&archive).unwrap(),
            [file("manifest.json", 2), file("a/b", 513)]
        );
        let (mut from, mut copied) = (archive.as_slice(), Vec::new());
        while let Some(member) = next(&mut from).unwrap() {
            copy(&member, &mut from, &mut copied).unwrap();
        }
        finish(&mut copied).unwrap();
        assert_eq!(copied, archive);
    }

    /// GNU tar writes the long names in two forms.
    #[test]
    fn archives_of_gnu_tar_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
        std::fs::create_dir(directory.path().join("d".repeat(90))).unwrap();
        std::fs::write(directory.path().join(&long), "content").unwrap();
        for format in ["gnu", "pax", "ustar"] {
            let mut command = std::process::Command::new("tar");
            let name = if format == "ustar" {
                "d".repeat(90)
            } else {
                long.clone()
            };
            let no_recursion = "--no-recursion";
            command
                .arg(format!("--format={format}"))
                .args([no_recursion, "-cf", "-", &name]);
            let output = command.current_dir(directory.path()).output().unwrap();
            assert!(output.status.success());
            let found = names(&output.stdout).unwrap();
            assert_eq!(found[0].0.trim_end_matches('/'), name, "{format}");
        }
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        assert!(names(b"").unwrap().is_empty());
        let mut cut = Vec::new();
        write("a", &[1; 600], &mut cut).unwrap();
        cut.truncate(900);
        for wrong in [&[b'x'; 512][..], &[b'x'; 100], &cut] {
            assert_eq!(names(wrong).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
