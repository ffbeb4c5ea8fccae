//! Reading the staged directory, as Kubernetes lays it out: one file a key, symlinks through `..data`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::{Secret, Store};
use crate::config::Config;
use crate::storage::in_memory;
use crate::workspace::WorkspaceError;
use linux::process::Identity;

/// The largest value, in bytes. Kubernetes allows 1 MiB for a whole Secret; no token is near this.
const LIMIT: usize = 64 * 1024;

/// Why a secret cannot be used. No text ever holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The directory is unreadable.
    #[error("secrets directory {}: {source}; mount the Secret there, readable for uid {uid}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Our own uid.
        uid: u32,
        /// The reason.
        source: std::io::Error,
    },
    /// A required key has no file.
    #[error("secret {key} is missing: there is no {}; add the key to the Secret, or take it out of secrets.required", path.display())]
    Missing {
        /// The key.
        key: String,
        /// Where its file should be.
        path: PathBuf,
    },
    /// A file is unreadable.
    #[error("secret {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file has no use as a secret.
    #[error("secret {}: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `.dockerconfigjson` is something else.
    #[error(
        "secret .dockerconfigjson is not a docker configuration (line {line}, column {column}); expected {{\"auths\": {{\"HOST\": …}}}}"
    )]
    NotDockerConfig {
        /// Line of the first fault.
        line: usize,
        /// Column of the first fault.
        column: usize,
    },
    /// A private file could not be made.
    #[error(transparent)]
    Private(WorkspaceError),
    /// The pipe that hands the values over could not be made.
    #[error("cannot hand over {size} bytes of secrets through a pipe: {source}")]
    Handover {
        /// Bytes in all.
        size: usize,
        /// The reason.
        source: std::io::Error,
    },
}

/// Reads every key, and removes the staged files where that is ours to do.
///
/// # Errors
/// [`SecretsError`] naming the file. Nothing is removed then.
pub fn read(config: &Config) -> Result<Store, SecretsError> {
    let (store, files) = gather(config)?;
    if !files.is_empty() {
        unstage(&config.secrets.directory, &files);
    }
    Ok(store)
}

/// Reads every key and removes nothing: for who only wants to know whether they are of use.
///
/// # Errors
/// As [`read`].
pub fn look(config: &Config) -> Result<Store, SecretsError> {
    Ok(gather(config)?.0)
}

fn gather(config: &Config) -> Result<(Store, Vec<PathBuf>), SecretsError> {
    let directory = &config.secrets.directory;
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
        // `list` returns names that are UTF-8 only.
        let key = path.file_name().unwrap_or_default().to_string_lossy();
        values.insert(key.into_owned(), read_file(path)?);
    }
    let named = config.secrets.environment.values();
    for key in config.secrets.required.iter().chain(named) {
        if !values.contains_key(key) {
            let path = directory.join(key);
            let key = key.clone();
            return Err(SecretsError::Missing { key, path });
        }
    }
    Ok((Store { values }, files))
}

/// The files of all keys, sorted. Names with `..` in front are the kubelet's own.
fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name.as_bytes().starts_with(b"..") {
            continue;
        }
        if name.to_str().is_none() {
            warn!(name = %name.to_string_lossy(), "a secret's key is not UTF-8: passed over");
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
    // Opening a fifo would wait for its writer.
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(unusable("is not a regular file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    // All space at once: growing would leave copies behind. More than is needed would be filled, and cleared, in vain.
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
    Ok(Secret(Zeroizing::new(text.to_owned())))
}

/// Removes the staged files. Only a memory volume holds staged copies: anything else is a user's own directory.
fn unstage(directory: &Path, files: &[PathBuf]) {
    if !in_memory(directory) {
        warn!(directory = %directory.display(), "secrets are not on a memory volume: their files stay, and the job can read them");
        return;
    }
    for path in files {
        if let Err(error) = std::fs::remove_file(path) {
            warn!(file = %path.display(), %error, "a secret's file stays, and the job can read it; let an init container stage the Secret");
        } else {
            debug!(file = %path.display(), "staged secret removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn config(directory: &Path, required: &[&str]) -> Config {
        let mut config = Config::default();
        config.secrets.directory = directory.to_owned();
        config.secrets.required = required.iter().map(ToString::to_string).collect();
        config
    }

    fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        directory
    }

    #[test]
    fn kubernetes_symlinks_are_followed_and_one_newline_is_dropped() {
        let mount = directory(&[]);
        let data = mount.path().join("..2026_01_01");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("token"), "hunter2\n\n").unwrap();
        symlink("..2026_01_01", mount.path().join("..data")).unwrap();
        symlink("..data/token", mount.path().join("token")).unwrap();

        let store = read(&config(mount.path(), &["token"])).unwrap();

        assert_eq!(store.get("token").unwrap().expose(), "hunter2\n");
        assert_eq!(store.keys().collect::<Vec<_>>(), ["token"]);
        assert!(!format!("{store:?}").contains("hunter2"));
    }

    #[test]
    fn each_fault_names_the_file_and_never_its_content() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"\xffhunter2", "is not UTF-8"),
            (&[b'x'; LIMIT + 1], "is over 64 KiB"),
        ];
        for (content, problem) in cases {
            let mount = directory(&[("token", content)]);
            let text = read(&config(mount.path(), &[])).unwrap_err().to_string();
            assert!(text.contains("/token") && text.contains(problem), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("xxx"), "{text}");
        }
    }

    #[test]
    fn a_missing_key_is_named_with_its_cure() {
        let mount = directory(&[("other", b"x")]);
        let text = read(&config(mount.path(), &["token"]))
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("secret token is missing") && text.contains("secrets.required"),
            "{text}"
        );
        let absent = mount.path().join("absent");
        assert!(read(&config(&absent, &[])).unwrap().keys().next().is_none());
        assert!(read(&config(&absent, &["token"])).is_err());
    }

    #[test]
    fn a_fifo_or_directory_is_refused_at_once() {
        let mount = directory(&[]);
        let fifo = mount.path().join("token");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let text = read(&config(mount.path(), &[])).unwrap_err().to_string();
        assert!(text.contains("not a regular file"), "{text}");
    }
}
