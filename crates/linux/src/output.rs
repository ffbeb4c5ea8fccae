//! Writing to a descriptor that others hold too, and that may never take anything again.
//!
//! A job can make the shared stdout non-blocking (Node.js does), stop the terminal's output, or leave a
//! reader that sleeps. PID 1 waits for none of them longer than it can afford.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::ready::{self, Want};

/// What poll(2) calls writable takes so much without blocking, `PIPE_BUF` in pipe(7).
const CHUNK: usize = 4096;

/// Writes everything, or gives up when nothing more is taken for as long as `patience`.
///
/// # Errors
/// `TimedOut`, else as write(2).
pub fn write_all(to: &impl AsFd, bytes: &[u8], patience: Duration) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        ready::wait_until(to, Want::Write, Instant::now() + patience)?;
        let chunk = &left[..left.len().min(CHUNK)];
        match nix::unistd::write(to, chunk) {
            Ok(written) => left = &left[written..],
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, read};
    use std::io::ErrorKind;

    #[test]
    fn a_reader_that_sleeps_is_waited_for_only_so_long() {
        let (_reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let text = vec![b'x'; 1 << 20];
        let stuck = write_all(&writer, &text, Duration::from_millis(20));
        assert_eq!(stuck.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_pipe_that_somebody_made_non_blocking_still_gets_it_all() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        let text = vec![b'x'; 1 << 20];
        let slow = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            let mut total = 0;
            loop {
                std::thread::sleep(Duration::from_millis(1));
                match read(&reader, &mut buffer) {
                    Ok(0) => return total,
                    Ok(count) => total += count,
                    Err(errno) => assert_eq!(errno, Errno::EAGAIN),
                }
            }
        });
        write_all(&writer, &text, Duration::from_secs(30)).unwrap();
        drop(writer);
        assert_eq!(slow.join().unwrap(), text.len());
    }
}
