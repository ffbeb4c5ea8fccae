//! What client and builder say to each other: frames of a kind, a length and a payload.
//!
//! Every length is bounded before anything is read, so that a peer costs no more than one frame of memory.

mod bounded;

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result, Write};

use serde::{Deserialize, Serialize};

/// Builder and client of one major version understand each other.
pub(crate) const MAJOR: u32 = 1;
/// Counted up with each addition.
pub(crate) const MINOR: u32 = 0;

/// The most that a frame of data carries, in bytes.
pub(crate) const CHUNK: usize = 64 * 1024;
/// The most that the greeting takes: the kernel's own limit for arguments is of this order.
pub(crate) const GREETING: usize = 4 * 1024 * 1024;
/// How much input may be under way, in bytes.
pub(crate) const WINDOW: u32 = 256 * 1024;

/// What a frame is. Numbers are never given a second meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Client: who it is and what it wants, as JSON.
    Hello = 1,
    /// Client: standard input.
    Input = 2,
    /// Client: the end of standard input.
    InputEnd = 3,
    /// Client: a signal, one byte.
    Signal = 4,
    /// Client: the terminal's rows and columns, two bytes each.
    Resize = 5,
    /// Builder: standard output.
    Output = 16,
    /// Builder: standard error.
    Error = 17,
    /// Builder: a sentence of its own.
    Notice = 18,
    /// Builder: so many more bytes of input are taken, four bytes.
    Wanted = 19,
    /// Builder: the exit code, one byte. The last frame.
    Exit = 20,
}

impl Kind {
    fn of(number: u8) -> Option<Self> {
        let all = [
            Self::Hello,
            Self::Input,
            Self::InputEnd,
            Self::Signal,
            Self::Resize,
            Self::Output,
            Self::Error,
            Self::Notice,
            Self::Wanted,
            Self::Exit,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The longest payload.
    fn limit(self) -> usize {
        match self {
            Self::Hello => GREETING,
            _ => CHUNK,
        }
    }
}

/// The client's greeting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Major and minor version.
    pub version: (u32, u32),
    /// Buildah's command line, without the program's name; bounded.
    #[serde(deserialize_with = "bounded::list")]
    pub arguments: Vec<String>,
    /// The client's working directory.
    pub directory: String,
    /// Of its environment, what the command line names.
    #[serde(deserialize_with = "bounded::map")]
    pub environment: BTreeMap<String, String>,
    /// The size of its terminal, if standard output is one.
    #[serde(default)]
    pub terminal: Option<Size>,
}

/// The only part of a greeting that every version has.
#[derive(Deserialize)]
struct Version {
    version: (u32, u32),
}

/// A terminal's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

impl Size {
    /// As a frame has it.
    #[must_use]
    pub(crate) fn bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.rows.to_be_bytes(), self.columns.to_be_bytes());
        [a, b, c, d]
    }

    /// From a frame.
    #[must_use]
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let &[a, b, c, d] = payload else { return None };
        Some(Self {
            rows: u16::from_be_bytes([a, b]),
            columns: u16::from_be_bytes([c, d]),
        })
    }
}

/// Writes one frame. Nobody else may write between its parts.
///
/// # Errors
/// As write(2).
pub(crate) fn write(to: &mut impl Write, kind: Kind, payload: &[u8]) -> Result<()> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= kind.limit())
        .ok_or_else(|| bad(format!("{} bytes are too many for {kind:?}", payload.len())))?;
    let [a, b, c, d] = length.to_be_bytes();
    to.write_all(&[kind as u8, a, b, c, d])?;
    to.write_all(payload)
}

/// Reads one frame into `payload`; `None` where the peer has gone between two frames.
///
/// # Errors
/// As read(2); `InvalidData` for what is no frame, `UnexpectedEof` in the middle of one.
pub(crate) fn read(from: &mut impl Read, payload: &mut Vec<u8>) -> Result<Option<Kind>> {
    let mut number = [0];
    if from.read(&mut number)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let kind =
        Kind::of(number[0]).ok_or_else(|| bad(format!("no frame has number {}", number[0])))?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > kind.limit() {
        return Err(bad(format!("{length} bytes are too many for {kind:?}")));
    }
    payload.clear();
    // What was announced is not yet there: memory grows with what arrives.
    from.by_ref().take(length as u64).read_to_end(payload)?;
    if payload.len() < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(kind))
}

fn bad(problem: String) -> Error {
    Error::new(ErrorKind::InvalidData, problem)
}

impl Hello {
    /// From a frame's payload.
    ///
    /// # Errors
    /// A sentence for the user: another version, or no greeting at all.
    pub(crate) fn read(payload: &[u8]) -> std::result::Result<Self, String> {
        let spoken: Version = serde_json::from_slice(payload)
            .map_err(|_| "this is no greeting of a build client".to_owned())?;
        let (major, minor) = spoken.version;
        if major != MAJOR {
            return Err(format!(
                "the client speaks version {major}.{minor} of the build protocol and the builder {MAJOR}.{MINOR}: \
                 take the runner and the builder image of one release"
            ));
        }
        serde_json::from_slice(payload)
            .map_err(|error| format!("the greeting cannot be understood: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut wire = Vec::new();
        write(&mut wire, Kind::Output, b"one").unwrap();
        write(&mut wire, Kind::Exit, &[7]).unwrap();
        let (mut from, mut payload) = (wire.as_slice(), Vec::new());
        assert_eq!(read(&mut from, &mut payload).unwrap(), Some(Kind::Output));
        assert_eq!(payload, b"one");
        assert_eq!(read(&mut from, &mut payload).unwrap(), Some(Kind::Exit));
        assert_eq!(payload, [7]);
        assert_eq!(read(&mut from, &mut payload).unwrap(), None);
    }

    #[test]
    fn malformed_frames_are_errors_and_cost_no_memory() {
        let mut payload = Vec::new();
        for (wire, kind) in [
            (&[99, 0, 0, 0, 0][..], ErrorKind::InvalidData),
            (&[2, 255, 255, 255, 255][..], ErrorKind::InvalidData),
            (&[1, 0, 64, 0, 1][..], ErrorKind::InvalidData),
            (&[2, 0, 0, 1, 0, 1, 2][..], ErrorKind::UnexpectedEof),
            (&[2, 0][..], ErrorKind::UnexpectedEof),
        ] {
            let error = read(&mut &*wire, &mut payload).unwrap_err();
            assert_eq!(error.kind(), kind, "{wire:?}: {error}");
        }
        assert!(payload.capacity() < CHUNK);
    }

    #[test]
    fn another_major_version_gets_a_clear_sentence() {
        let text = Hello::read(br#"{"version":[2,5],"something":"else"}"#).unwrap_err();
        assert!(
            text.contains("2.5") && text.contains("one release"),
            "{text}"
        );
        assert!(Hello::read(b"GET / HTTP/1.1").is_err());
    }

    #[test]
    fn a_terminal_size_survives_the_wire() {
        let size = Size {
            rows: 24,
            columns: 300,
        };
        assert_eq!(Size::read(&size.bytes()), Some(size));
        assert_eq!(Size::read(&[1]), None);
    }
}
