//! The ephemeral volume: the job's directories on it, and our own private one beside it.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use linux::files::private_file;
use linux::process::Identity;

/// Why a directory or file of ours could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A directory of the job could not be made.
    #[error(
        "cannot make {}: {source}; mount a volume at {} that uid {uid} may write (in a pod: fsGroup; by podman: a volume with :U)",
        path.display(), volume.display()
    )]
    Job {
        /// The directory.
        path: PathBuf,
        /// The workspace.
        volume: PathBuf,
        /// Our own uid.
        uid: u32,
        /// The reason.
        source: std::io::Error,
    },
    /// Our private directory, or a file in it, could not be made.
    #[error(
        "cannot make {}: {source}; mount a memory volume at {} that uid {uid} may write, or set runtime_directory",
        path.display(), volume.display()
    )]
    Private {
        /// The directory or file.
        path: PathBuf,
        /// The runtime directory.
        volume: PathBuf,
        /// Our own uid.
        uid: u32,
        /// The reason.
        source: std::io::Error,
    },
}

/// Makes HOME, TMPDIR and the working directory on the volume, for this user alone.
///
/// # Errors
/// [`WorkspaceError::Job`] naming the directory.
pub fn prepare(config: &Config) -> Result<(), WorkspaceError> {
    let workspace = &config.workspace;
    for path in [workspace.work(), workspace.home(), workspace.temporary()] {
        make_directory(&path).map_err(|source| WorkspaceError::Job {
            volume: workspace.path.clone(),
            uid: Identity::filesystem().uid,
            source,
            path,
        })?;
    }
    Ok(())
}

/// Where programs of a job keep their credentials, beneath HOME.
const CREDENTIALS: [&str; 8] = [
    ".docker", ".ssh", ".aws", ".azure", ".config", ".gnupg", ".kube", ".m2",
];

/// What is wiped, most sensitive first: credentials and tokens, then sources, then scratch, caches and layers.
#[must_use]
pub fn wiped(config: &Config) -> Vec<PathBuf> {
    let workspace = &config.workspace;
    let home = workspace.home();
    let mut paths = vec![config.runtime_directory.clone()];
    paths.extend(CREDENTIALS.iter().map(|name| home.join(name)));
    paths.push(workspace.work());
    paths.push(workspace.temporary());
    paths.extend(workspace.also_wipe.iter().cloned());
    paths.push(home);
    paths.push(workspace.path.clone());
    paths
}

/// Our own files, on a memory volume that no other user reads.
#[derive(Debug, Clone)]
pub struct Private {
    root: PathBuf,
}

impl Private {
    /// The private directory of this configuration; nothing is made yet.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            root: config.runtime_directory.clone(),
        }
    }

    /// A directory beneath it, mode 0700.
    ///
    /// # Errors
    /// [`WorkspaceError::Private`] naming the directory.
    pub fn directory(&self, name: &str) -> Result<PathBuf, WorkspaceError> {
        let path = self.root.join(name);
        let made = make_directory(&self.root).and_then(|()| make_directory(&path));
        made.map_err(|source| self.error(&path, source))?;
        Ok(path)
    }

    /// A file beneath it, mode 0600.
    ///
    /// # Errors
    /// [`WorkspaceError::Private`] naming the file.
    pub fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf, WorkspaceError> {
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            make_directory(parent).map_err(|source| self.error(parent, source))?;
        }
        write_new(&path, content).map_err(|source| self.error(&path, source))?;
        Ok(path)
    }

    /// A symlink beneath it.
    ///
    /// # Errors
    /// [`WorkspaceError::Private`] naming the link.
    pub fn link(&self, name: &str, target: &str) -> Result<PathBuf, WorkspaceError> {
        let path = self.root.join(name);
        let made = make_directory(&self.root)
            .and_then(|()| remove_if_present(&path))
            .and_then(|()| std::os::unix::fs::symlink(target, &path));
        made.map_err(|source| self.error(&path, source))?;
        Ok(path)
    }

    fn error(&self, path: &Path, source: std::io::Error) -> WorkspaceError {
        WorkspaceError::Private {
            path: path.to_owned(),
            volume: self.root.clone(),
            uid: Identity::filesystem().uid,
            source,
        }
    }
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made?;
    match set_permissions(path, Permissions::from_mode(0o700)) {
        // A mount point that belongs to root but is writable for our group is as good.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => writable(path),
        other => other,
    }
}

fn writable(path: &Path) -> std::io::Result<()> {
    nix::unistd::access(
        path,
        nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK,
    )
    .map_err(Into::into)
}

/// A file left by a run that was killed is replaced, never written through: it could be a symlink.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    private_file(path, 0o600)?.write_all(content)
}

fn remove_if_present(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_files_are_for_this_user_alone_and_replace_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        std::fs::write(&outside, "untouched").unwrap();
        let private = Private {
            root: root.path().join("run"),
        };
        private.directory("containers").unwrap();
        std::os::unix::fs::symlink(&outside, root.path().join("run/containers/auth.json")).unwrap();

        let file = private.file("containers/auth.json", b"{}").unwrap();

        assert_eq!(std::fs::read_to_string(outside).unwrap(), "untouched");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(&root.path().join("run")), 0o700);
    }

    #[test]
    fn an_error_names_path_and_cure() {
        let mut config = Config::default();
        config.workspace.path = PathBuf::from("/proc/nowhere");
        let text = prepare(&config).unwrap_err().to_string();
        assert!(
            text.contains("/proc/nowhere/work") && text.contains("fsGroup"),
            "{text}"
        );
    }

    #[test]
    fn credentials_are_wiped_before_sources_and_sources_before_caches() {
        let mut config = Config::default();
        config.workspace.also_wipe = vec!["/dev/shm".into()];
        let order = wiped(&config);
        let place = |path: &str| order.iter().position(|found| found == Path::new(path));
        let places = [
            "/run/supervisor",
            "/workspace/home/.docker",
            "/workspace/work",
            "/dev/shm",
            "/workspace/home",
            "/workspace",
        ]
        .map(|path| place(path).unwrap());
        assert!(places.is_sorted(), "{order:?}");
    }
}
