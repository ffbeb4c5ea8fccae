//! Reads the staged directory, as Kubernetes lays it out: one file for each key, symlinks through `..data`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::store::{Secret, Store};
use crate::config::Secrets;
use crate::storage::in_memory;
use crate::workspace::WorkspaceError;
use linux::process::Identity;

/// The largest value in bytes. Kubernetes allows 1 MiB for a whole Secret; tokens are much smaller.
const LIMIT: usize = 64 * 1024;

/// A secret cannot be used. No message contains a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The directory is not readable.
    #[error("secrets directory {}: {source}; mount the Secret there, readable for the uid {uid}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The uid of this process.
        uid: u32,
        /// The reason.
        source: std::io::Error,
    },
    /// A required key has no file.
    #[error("secret {key} is missing: {} does not exist; add the key to the Secret, or remove it from secrets.required", path.display())]
    Missing {
        /// The key.
        key: String,
        /// The expected path of its file.
        path: PathBuf,
    },
    /// A file is not readable.
    #[error("secret {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file is not usable as a secret.
    #[error("secret {}: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The fault, without the value.
        problem: &'static str,
    },
    /// `.dockerconfigjson` is not a docker configuration.
    #[error(
        "secret .dockerconfigjson is not a docker configuration (line {line}, column {column}); expected {{\"auths\": {{\"HOST\": …}}}}"
    )]
    NotDockerConfig {
        /// Line of the first fault.
        line: usize,
        /// Column of the first fault.
        column: usize,
    },
    /// A file in the runtime directory could not be made.
    #[error(transparent)]
    RuntimeDir(WorkspaceError),
    /// The pipe for the values could not be made.
    #[error(
        "cannot pass {size} bytes of secrets through a pipe: {source}; the limit is /proc/sys/fs/pipe-max-size"
    )]
    Pipe {
        /// The size of all values in bytes.
        size: usize,
        /// The reason.
        source: std::io::Error,
    },
}

/// Reads every key. Then removes the staged files if they are in memory.
///
/// # Errors
/// [`SecretsError`] with the file. Then no file is removed.
pub(crate) fn read(settings: &Secrets) -> Result<Store, SecretsError> {
    let (store, files) = read_all(settings)?;
    if !files.is_empty() {
        unstage(&settings.directory, &files);
    }
    Ok(store)
}

/// Reads every key and removes no file, for callers that only check the values.
///
/// # Errors
/// As [`read`].
pub(crate) fn peek(settings: &Secrets) -> Result<Store, SecretsError> {
    Ok(read_all(settings)?.0)
}

fn read_all(settings: &Secrets) -> Result<(Store, Vec<PathBuf>), SecretsError> {
    let directory = &settings.directory;
    let files = match list(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(source) => {
            return Err(SecretsError::Directory {
                path: directory.clone(),
                uid: Identity::filesystem().uid,
                source,
            });
        }
    };
    let mut values = BTreeMap::new();
    for path in &files {
        // `list` returns only names that are UTF-8.
        let key = path.file_name().unwrap_or_default().to_string_lossy();
        values.insert(key.into_owned(), read_file(path)?);
    }
    let named = settings.environment.values();
    for key in settings.required.iter().chain(named) {
        if !values.contains_key(key) {
            let path = directory.join(key);
            let key = key.clone();
            return Err(SecretsError::Missing { key, path });
        }
    }
    Ok((Store { values }, files))
}

/// Lists the files of all keys, sorted. Names that start with `..` are the kubelet's own.
fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name.as_bytes().starts_with(b"..") {
            continue;
        }
        if name.to_str().is_none() {
            warn!(name = %name.to_string_lossy(), "ignored a secret: its key is not UTF-8");
            continue;
        }
        files.push(directory.join(name));
    }
    files.sort();
    Ok(files)
}

pub(super) fn read_file(path: &Path) -> Result<Secret, SecretsError> {
    let unreadable = |source| SecretsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let unusable = |problem| SecretsError::Unusable {
        path: path.to_owned(),
        problem,
    };
    // open(2) of a fifo would wait for a writer.
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(unusable("is not a regular file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    // Allocates the whole buffer at once, because a growing one would leave copies of the secret in memory.
    let size = usize::try_from(found.len()).map_or(LIMIT, |size| size.min(LIMIT));
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 2));
    file.take(size as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > LIMIT {
        return Err(unusable("is over 64 KiB"));
    }
    if bytes.len() > size {
        return Err(unusable("grew while it was read"));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(unusable("is empty"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable("is not UTF-8"))?;
    Ok(Secret::new(text.to_owned()))
}

/// Removes the staged files. Staged copies are always in memory; any other directory belongs to the user.
fn unstage(directory: &Path, files: &[PathBuf]) {
    if !in_memory(directory) {
        warn!(directory = %directory.display(), "the files of secrets stay, and the job can read them: they are not on a memory volume");
        return;
    }
    for path in files {
        if let Err(error) = std::fs::remove_file(path) {
            warn!(file = %path.display(), %error, "the file of a secret stays, and the job can read it; let an init container stage the Secret");
        } else {
            debug!(file = %path.display(), "staged secret removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn settings(directory: &Path, required: &[&str]) -> Secrets {
        Secrets {
            directory: directory.to_owned(),
            required: required.iter().map(ToString::to_string).collect(),
            environment: BTreeMap::new(),
        }
    }

    fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        directory
    }

    #[test]
    fn symlinks_are_followed_and_one_newline_is_dropped() {
        let mount = directory(&[]);
        let data = mount.path().join("..2026_01_01");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("token"), "hunter2\n\n").unwrap();
        symlink("..2026_01_01", mount.path().join("..data")).unwrap();
        symlink("..data/token", mount.path().join("token")).unwrap();

        let store = read(&settings(mount.path(), &["token"])).unwrap();

        assert_eq!(store.get("token").unwrap().expose(), "hunter2\n");
        assert!(store.values.keys().eq(["token"]));
        assert!(!format!("{store:?}").contains("hunter2"));
    }

    #[test]
    fn error_names_the_file_and_never_its_content() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"\xffhunter2", "is not UTF-8"),
            (&[b'x'; LIMIT + 1], "is over 64 KiB"),
        ];
        for (content, problem) in cases {
            let mount = directory(&[("token", content)]);
            let text = read(&settings(mount.path(), &[])).unwrap_err().to_string();
            assert!(text.contains("/token") && text.contains(problem), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("xxx"), "{text}");
        }
    }

    #[test]
    fn missing_key_is_named_with_its_remedy() {
        let mount = directory(&[("other", b"x")]);
        let text = read(&settings(mount.path(), &["token"]))
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("secret token is missing") && text.contains("secrets.required"),
            "{text}"
        );
        let absent = mount.path().join("absent");
        assert!(read(&settings(&absent, &[])).unwrap().values.is_empty());
        assert!(read(&settings(&absent, &["token"])).is_err());
    }

    #[test]
    fn fifo_is_refused_without_waiting() {
        let mount = directory(&[]);
        let fifo = mount.path().join("token");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let text = read(&settings(mount.path(), &[])).unwrap_err().to_string();
        assert!(text.contains("not a regular file"), "{text}");
    }
}
