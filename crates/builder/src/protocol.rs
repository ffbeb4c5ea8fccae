//! The protocol between client and builder: frames of a kind, a length and a payload.
//!
//! Every length is checked before the payload is read. So a peer costs at most one frame of memory.

mod bounded;

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result, Write};

use serde::{Deserialize, Serialize};

use super::auth_entry::AuthEntry;
use super::rejected::Rejected;

/// Builder and client must have the same major version.
pub(crate) const MAJOR: u32 = 1;
/// Each addition to the protocol increases it.
pub(crate) const MINOR: u32 = 2;

/// The longest payload of a data frame, in bytes.
pub(crate) const CHUNK: usize = 64 * 1024;
/// The longest greeting, in bytes. The kernel's limit for arguments is of this order.
pub(crate) const GREETING: usize = 4 * 1024 * 1024;
/// The most input that a client may send before the builder requests more, in bytes.
pub(crate) const WINDOW: u32 = 256 * 1024;

/// The kind of a frame. A number never gets a second meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Client: its greeting, as JSON.
    Hello = 1,
    /// Client: standard input.
    Input = 2,
    /// Client: the end of standard input.
    InputEnd = 3,
    /// Client: a signal, one byte.
    Signal = 4,
    /// Client: the terminal's rows and columns, two bytes each.
    Resize = 5,
    /// Client: a request for the builder's facts, instead of a greeting. It has no payload, and may come again.
    Ask = 6,
    /// Builder: standard output.
    Output = 16,
    /// Builder: standard error.
    Error = 17,
    /// Builder: a message of its own for the user.
    Notice = 18,
    /// Builder: the number of further bytes of input that it takes, four bytes.
    Wanted = 19,
    /// Builder: the exit code, one byte. The last frame.
    Exit = 20,
    /// Builder: its facts, as JSON.
    Facts = 21,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Hello,
            Self::Input,
            Self::InputEnd,
            Self::Signal,
            Self::Resize,
            Self::Ask,
            Self::Output,
            Self::Error,
            Self::Notice,
            Self::Wanted,
            Self::Exit,
            Self::Facts,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Returns the longest payload, in bytes.
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
    /// Buildah's command line without the program's name. Its length is bounded.
    #[serde(deserialize_with = "bounded::list")]
    pub arguments: Vec<String>,
    /// The client's working directory, of at most PATH_MAX bytes: it is copied for each path of the command line.
    #[serde(deserialize_with = "bounded::path")]
    pub directory: String,
    /// The variables of its environment that the command line names.
    #[serde(deserialize_with = "bounded::map")]
    pub environment: BTreeMap<String, String>,
    /// The job's own credentials for the registries of the command line, by registry or repository.
    #[serde(default, deserialize_with = "bounded::map")]
    pub auths: BTreeMap<String, AuthEntry>,
    /// The size of its terminal, if standard output is one.
    #[serde(default)]
    pub terminal: Option<Size>,
}

/// The part of a greeting that every version has.
#[derive(Deserialize)]
struct Version {
    version: (u32, u32),
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

impl Size {
    /// Returns the payload of a [`Kind::Resize`] frame.
    #[must_use]
    pub(crate) fn bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.rows.to_be_bytes(), self.columns.to_be_bytes());
        [a, b, c, d]
    }

    /// Reads the payload of a [`Kind::Resize`] frame.
    #[must_use]
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let &[a, b, c, d] = payload else { return None };
        Some(Self {
            rows: u16::from_be_bytes([a, b]),
            columns: u16::from_be_bytes([c, d]),
        })
    }
}

/// Writes one frame. The caller must let no other thread write meanwhile.
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

/// Reads one frame into `payload`. Returns `None` if the peer closed the connection between two frames.
///
/// # Errors
/// As read(2); `InvalidData` for an invalid frame, `UnexpectedEof` if the connection closes within a frame.
pub(crate) fn read(from: &mut impl Read, payload: &mut Vec<u8>) -> Result<Option<Kind>> {
    let mut number = [0];
    if from.read(&mut number)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let kind = Kind::from_number(number[0])
        .ok_or_else(|| bad(format!("no frame has number {}", number[0])))?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > kind.limit() {
        return Err(bad(format!("{length} bytes are too many for {kind:?}")));
    }
    payload.clear();
    // Memory grows with the bytes that arrive, not with the announced length.
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
    /// Reads a frame's payload.
    ///
    /// # Errors
    /// [`Rejected`] for another version or an invalid greeting.
    pub(crate) fn read(payload: &[u8]) -> std::result::Result<Self, Rejected> {
        let Version { version } =
            serde_json::from_slice(payload).map_err(|_| Rejected::NotAClient)?;
        if version.0 != MAJOR {
            return Err(Rejected::Version {
                client: version,
                builder: (MAJOR, MINOR),
            });
        }
        serde_json::from_slice(payload).map_err(Rejected::Greeting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_written_frames() {
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
    fn rejects_malformed_frames_without_using_memory() {
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
    fn rejects_another_major_version() {
        let text = Hello::read(br#"{"version":[2,5],"something":"else"}"#)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("2.5") && text.contains("one release"),
            "{text}"
        );
        assert!(Hello::read(b"GET / HTTP/1.1").is_err());
    }

    #[test]
    fn reads_written_terminal_sizes() {
        let size = Size {
            rows: 24,
            columns: 300,
        };
        assert_eq!(Size::read(&size.bytes()), Some(size));
        assert_eq!(Size::read(&[1]), None);
    }
}
