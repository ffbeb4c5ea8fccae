//! Writes to a descriptor that other processes share and that may never accept data again.
//!
//! A job can make the shared stdout non-blocking (Node.js does), stop the terminal's output, or leave a reader that
//! sleeps. PID 1 waits for it only for a limited time.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::poll::{self, Interest};

/// A descriptor that poll(2) calls writable accepts this many bytes without blocking, `PIPE_BUF` in pipe(7).
const CHUNK: usize = 4096;

/// Writes all bytes. Gives up if nothing more is accepted for as long as `timeout`.
///
/// # Errors
/// `TimedOut`, else as write(2).
pub fn write_all(to: &impl AsFd, bytes: &[u8], timeout: Duration) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        poll::wait_until(to, Interest::Write, Instant::now() + timeout)?;
        let chunk = &left[..left.len().min(CHUNK)];
        match nix::unistd::write(to, chunk) {
            Ok(written) => left = &left[written..],
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Returns whether a character moves a terminal's cursor, or reorders or hides the text around it.
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    let invisible = matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    character.is_control() || invisible
}

/// Returns the text with such characters escaped, except for those in `kept`.
#[must_use]
pub fn escape_unprintable(text: &str, kept: &[char]) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) && !kept.contains(&character) {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, read};
    use std::io::ErrorKind;

    #[test]
    fn write_all_gives_up_on_a_sleeping_reader() {
        let (_reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let text = vec![b'x'; 1 << 20];
        let stuck = write_all(&writer, &text, Duration::from_millis(20));
        assert_eq!(stuck.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn write_all_completes_on_a_non_blocking_pipe() {
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

    #[test]
    fn escape_unprintable_keeps_only_the_given_characters() {
        let text = "ä\u{1b}[31m\n\u{202e}";
        assert_eq!(escape_unprintable(text, &[]), "ä\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(escape_unprintable(text, &['\n']), "ä\\u{1b}[31m\n\\u{202e}");
    }
}
