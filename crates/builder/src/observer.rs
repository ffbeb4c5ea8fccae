//! A connection to the builder that asks for its facts and sees its end. Nothing here blocks longer than it is allowed to.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::statvfs::FsFlags;
use nix::unistd::{AccessFlags, access};

use super::protocol::{CHUNK, Kind, read, write};
use linux::poll::{self, Interest};
use report::BuilderReport;

/// A frame's kind and length.
const HEADER: usize = 5;

/// A connection to a builder, which is open for as long as that runs.
#[derive(Debug)]
pub struct Observer {
    stream: UnixStream,
    received: Vec<u8>,
    /// The builder has answered before, so it knows the question.
    answered: bool,
    ended: bool,
}

impl Observer {
    /// Connects to the builder's socket, and asks for the first time. Does not wait.
    ///
    /// The job could put a socket of its own in the builder's place, even one on which a RUN step in the builder listens. With
    /// `trusted`, the socket has to be in a directory that this user cannot change, as on a read-only mount.
    ///
    /// # Errors
    /// As socket(2), connect(2) and write(2); `PermissionDenied` if it could be a socket of the job.
    pub fn connect(path: &Path, trusted: bool) -> io::Result<Self> {
        if trusted && is_writable(path.parent().unwrap_or(path)) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect_to(&socket, path)?;
        let mut observer = Self {
            stream: UnixStream::from(socket),
            received: Vec::new(),
            answered: false,
            ended: false,
        };
        observer.ask()?;
        Ok(observer)
    }

    fn ask(&mut self) -> io::Result<()> {
        write(&mut self.stream, Kind::Ask, &[])
    }

    /// Readable if the builder has answered or ended. Empty once it has ended.
    #[must_use]
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        (!self.ended).then(|| self.stream.as_fd())
    }

    /// Whether a builder that had answered has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.answered && self.ended
    }

    /// Reads what has arrived. Returns the last complete answer in it.
    pub fn look(&mut self) -> Option<BuilderReport> {
        let mut buffer = [0; 4096];
        // A peer that sends without end has its turn again later.
        for _ in 0..CHUNK / buffer.len() {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.received.extend_from_slice(&buffer[..count]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.ended = true,
            }
            break;
        }
        let facts = self.take_answer();
        self.answered |= facts.is_some();
        facts
    }

    /// Takes all complete frames off what was received, and reads the last one.
    fn take_answer(&mut self) -> Option<BuilderReport> {
        let mut facts = None;
        while let Some(&[_, a, b, c, d]) = self.received.first_chunk::<HEADER>() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            if length > CHUNK {
                self.ended = true;
            }
            if length > CHUNK || self.received.len() < HEADER + length {
                break;
            }
            let mut payload = Vec::new();
            let frame: Vec<u8> = self.received.drain(..HEADER + length).collect();
            match read(&mut frame.as_slice(), &mut payload) {
                Ok(Some(Kind::Facts)) => facts = serde_json::from_slice(&payload).ok(),
                // A builder that does not know the question refuses it.
                _ => self.ended = true,
            }
        }
        facts
    }

    /// Asks again, and waits for the answer until the time is over.
    pub fn facts(&mut self, timeout: Duration) -> Option<BuilderReport> {
        let end = Instant::now() + timeout;
        if self.answered && self.ask().is_err() {
            self.ended = true;
        }
        loop {
            if let Some(facts) = self.look() {
                return Some(facts);
            }
            if self.ended || Instant::now() >= end {
                return None;
            }
            poll::wait(&self.stream, Interest::Read, Some(end)).ok()?;
        }
    }
}

/// Whether this user can replace files in a directory, also after it has changed the directory's mode.
fn is_writable(directory: &Path) -> bool {
    let mount = nix::sys::statvfs::statvfs(directory);
    let read_only = mount.is_ok_and(|mount| mount.flags().contains(FsFlags::ST_RDONLY));
    let own = nix::unistd::geteuid().as_raw();
    let is_own = std::fs::metadata(directory).is_ok_and(|found| found.uid() == own);
    !read_only && (is_own || access(directory, AccessFlags::W_OK).is_ok())
}

fn connect_to(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    Ok(connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::{listener, session};
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(60);

    /// Connects an observer to a session of the fixture. The second value is the builder's end of the connection.
    fn observed(fixture: &Fixture) -> (Observer, UnixStream) {
        let listener = listener::listen(&fixture.builder.settings).unwrap();
        let observer = Observer::connect(&fixture.path("socket"), false).unwrap();
        listener.set_nonblocking(false).unwrap();
        let stream = listener.accept().unwrap().0;
        let end = stream.try_clone().unwrap();
        let builder = Arc::clone(&fixture.builder);
        std::thread::spawn(move || session::serve(stream, &builder));
        (observer, end)
    }

    #[test]
    fn each_answer_is_of_the_moment() {
        let fixture = Fixture::new();
        let (mut observer, _end) = observed(&fixture);
        assert_eq!(observer.facts(LONG).unwrap().builds, 0);
        fixture.write("Containerfile", "FROM scratch\n");
        fixture.serve("build --tag made .");
        let facts = observer.facts(LONG).unwrap();
        assert_eq!((facts.builds, facts.built[0].name.as_str()), (1, "made"));
        assert!(!observer.has_ended());
    }

    #[test]
    fn end_of_a_builder_that_had_answered_is_seen() {
        let fixture = Fixture::new();
        let (mut observer, end) = observed(&fixture);
        observer.facts(LONG).unwrap();
        end.shutdown(Shutdown::Both).unwrap();
        assert_eq!(observer.facts(LONG), None);
        assert!(observer.has_ended() && observer.events().is_none());
    }

    #[test]
    fn builder_that_does_not_know_the_question_has_not_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut observer = Observer::connect(&path, false).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        write(&mut peer, Kind::Notice, b"what?").unwrap();
        write(&mut peer, Kind::Exit, &[64]).unwrap();
        assert_eq!(observer.facts(LONG), None);
        assert!(!observer.has_ended());
    }

    #[test]
    fn answer_without_end_takes_little_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut observer = Observer::connect(&path, false).unwrap();
        let (peer, _) = listener.accept().unwrap();
        let flood = std::thread::spawn(move || while (&peer).write_all(&[21; 4096]).is_ok() {});
        assert_eq!(observer.facts(LONG), None);
        assert!(observer.received.len() <= CHUNK);
        drop(observer);
        flood.join().unwrap();
    }

    #[test]
    fn socket_that_the_job_could_replace_is_no_builder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(Observer::connect(&path, false).is_ok());
        for mode in [0o777, 0o555] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(directory.path(), mode).unwrap();
            let error = Observer::connect(&path, true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    }
}
