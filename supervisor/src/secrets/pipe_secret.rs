//! Handing values to a program that wants a file: through a pipe, which can be read only once.

use std::io::Write;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use zeroize::Zeroizing;

use super::read::SecretsError;

/// The reading end of a pipe that holds everything already.
///
/// Whoever reads it first gets all, whoever comes later gets nothing.
#[derive(Debug)]
pub struct ReadOnce(pub OwnedFd);

/// Fills a pipe with `content` and closes its writing end.
///
/// # Errors
/// [`SecretsError::Handover`] where the pipe cannot hold it (`/proc/sys/fs/pipe-max-size`).
pub fn read_once(content: &Zeroizing<Vec<u8>>) -> Result<ReadOnce, SecretsError> {
    let size = content.len();
    let failed = |source: std::io::Error| SecretsError::Handover { size, source };
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed(errno.into()))?;
    if size > 64 * 1024 {
        let wanted = i32::try_from(size).unwrap_or(i32::MAX);
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(wanted)).map_err(|errno| failed(errno.into()))?;
    }
    std::fs::File::from(writer)
        .write_all(content)
        .map_err(failed)?;
    Ok(ReadOnce(reader))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_was_written_is_read_once() {
        let content = Zeroizing::new(vec![b'x'; 200_000]);
        let mut reader = std::fs::File::from(read_once(&content).unwrap().0);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), 200_000);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
}
