//! The messages between a child in a new user namespace and its parent, which maps the child's ids.
//!
//! Each message is one line. The child sends `ready` and waits, the parent maps the ids and sends `go`.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::errno::RawErrno;
use super::poll::{self, Interest};

const READY: &str = "ready\n";
const GO: &str = "go\n";
/// No line is longer, in bytes.
const MAX_LINE: usize = 4096;

/// One side of the exchange. It reads byte by byte, so that data after a message stay in the pipe or socket.
#[derive(Debug)]
pub struct Handshake<R, W> {
    from: R,
    to: W,
}

impl<R: AsFd, W: AsFd> Handshake<R, W> {
    /// Returns the side that reads `from` and writes `to`. Both may be the same socket.
    #[must_use]
    pub fn new(from: R, to: W) -> Self {
        Self { from, to }
    }

    /// Sends `line`, which ends with a newline.
    ///
    /// # Errors
    /// As write(2).
    pub fn send(&self, line: &str) -> Result<()> {
        let mut left = line.as_bytes();
        while !left.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.to, left))?;
            left = &left[written..];
        }
        Ok(())
    }

    /// The child's side: says that its namespace is there.
    ///
    /// # Errors
    /// As write(2).
    pub(crate) fn send_ready(&self) -> Result<()> {
        self.send(READY)
    }

    /// The child's side: waits until the parent lets it go on.
    ///
    /// # Errors
    /// `UnexpectedEof` if the parent has gone; else as read(2).
    pub fn wait_for_go(&self) -> Result<()> {
        match self.read_line(None)?.as_str() {
            GO => Ok(()),
            "" => Err(ErrorKind::UnexpectedEof.into()),
            other => Err(Error::other(format!("expected `go`, found {other:?}"))),
        }
    }

    /// The parent's side: lets the child go on.
    ///
    /// # Errors
    /// As write(2).
    pub fn send_go(&self) -> Result<()> {
        self.send(GO)
    }

    /// Reads one line with its newline, without a time limit if there is no `end`.
    ///
    /// A line without a newline is the last one, and so is an empty one, or the line is longer than 4096 bytes.
    ///
    /// # Errors
    /// `TimedOut` at `end`; else as poll(2) and read(2).
    pub fn read_line(&self, end: Option<Instant>) -> Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") && line.len() < MAX_LINE {
            if let Some(end) = end {
                poll::wait_until(&self.from, Interest::Read, end)?;
            }
            if rustix::io::retry_on_intr(|| rustix::io::read(&self.from, &mut byte))? == 0 {
                break;
            }
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// Returns whether a child's line is its `ready`.
#[must_use]
pub fn is_ready(line: &str) -> bool {
    line == READY
}

/// The result of a probe, which its child prints on stdout as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeResult {
    /// The operation works.
    Works,
    /// The kernel refused a call.
    Refused {
        /// The system call or the program, with its arguments.
        call: String,
        /// The number of the error, errno(3); 0 if there is no number.
        errno: i32,
    },
}

impl ProbeResult {
    /// Returns the result for a refused call.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a number, passed on by Result::map_err"
    )]
    pub fn refused(call: impl Into<String>, errno: impl RawErrno) -> Self {
        Self::Refused {
            call: call.into(),
            errno: errno.raw_errno(),
        }
    }
}

/// Makes the kernel kill this process when its parent ends, prctl(2) `PR_SET_PDEATHSIG`.
///
/// Call it again after each change of credentials, which clears the setting.
///
/// # Errors
/// As prctl(2).
pub fn die_with_parent() -> std::result::Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn handshake_leaves_data_after_a_message_unread() {
        let (parent, child) = UnixStream::pair().unwrap();
        let parent = Handshake::new(&parent, &parent);
        let child = Handshake::new(&child, &child);
        child.send_ready().unwrap();
        assert!(is_ready(&parent.read_line(None).unwrap()));
        parent.send_go().unwrap();
        parent.send("next\n").unwrap();
        child.wait_for_go().unwrap();
        assert_eq!(child.read_line(None).unwrap(), "next\n");
        let end = Some(Instant::now());
        let late = child.read_line(end).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }
}
