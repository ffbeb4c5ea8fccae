//! Passes a secret to a program that needs a file: through a pipe, which can be read only once.

use std::io::Write;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use zeroize::Zeroizing;

use super::read::SecretsError;

/// The read end of a pipe that contains the whole secret. The first reader gets all of it, a later reader nothing.
#[derive(Debug)]
pub(crate) struct SecretPipe(pub(crate) OwnedFd);

/// Fills a pipe with `content` and closes its write end.
///
/// # Errors
/// [`SecretsError::Pipe`] if `content` is larger than a pipe may be (`/proc/sys/fs/pipe-max-size`).
pub(crate) fn pipe_secret(content: &Zeroizing<Vec<u8>>) -> Result<SecretPipe, SecretsError> {
    let size = content.len();
    let failed = |source: std::io::Error| SecretsError::Pipe { size, source };
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed(errno.into()))?;
    if size > 64 * 1024 {
        let wanted = i32::try_from(size).unwrap_or(i32::MAX);
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(wanted)).map_err(|errno| failed(errno.into()))?;
    }
    std::fs::File::from(writer)
        .write_all(content)
        .map_err(failed)?;
    Ok(SecretPipe(reader))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn pipe_is_read_once_and_then_empty() {
        let content = Zeroizing::new(vec![b'x'; 200_000]);
        let mut reader = std::fs::File::from(pipe_secret(&content).unwrap().0);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), 200_000);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
}
