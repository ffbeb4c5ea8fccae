//! The job's directories on the ephemeral volume, and the supervisor's private runtime directory.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::config::Workspace;
use linux::files::private_file;
use linux::process::Identity;

/// A directory or file could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A directory of the job could not be made.
    #[error(
        "cannot make {}: {source}; mount a volume at {} that the uid {uid} may write (in a pod: fsGroup; with podman: a volume with :U)",
        path.display(), volume.display()
    )]
    Job {
        /// The directory.
        path: PathBuf,
        /// The workspace.
        volume: PathBuf,
        /// The uid of this process.
        uid: u32,
        /// The reason.
        source: std::io::Error,
    },
    /// The runtime directory, or a file in it, could not be made.
    #[error(
        "cannot make {}: {source}; mount a memory volume at {} that the uid {uid} may write, or set runtime_directory",
        path.display(), volume.display()
    )]
    RuntimeDir {
        /// The directory or file.
        path: PathBuf,
        /// The runtime directory.
        volume: PathBuf,
        /// The uid of this process.
        uid: u32,
        /// The reason.
        source: std::io::Error,
    },
}

/// Makes HOME, TMPDIR and the working directory on the volume, for this user alone.
///
/// # Errors
/// [`WorkspaceError::Job`] with the directory.
pub(crate) fn prepare(workspace: &Workspace) -> Result<(), WorkspaceError> {
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

/// Directories beneath HOME in which programs of a job keep their credentials.
const CREDENTIALS: [&str; 8] = [
    ".docker", ".ssh", ".aws", ".azure", ".config", ".gnupg", ".kube", ".m2",
];

/// Returns the directories to wipe, most sensitive first: credentials and tokens, then sources, then scratch, caches and
/// layers.
pub(crate) fn wiped(workspace: &Workspace, runtime_directory: &Path) -> Vec<PathBuf> {
    let home = workspace.home();
    let mut paths = vec![runtime_directory.to_owned()];
    paths.extend(CREDENTIALS.iter().map(|name| home.join(name)));
    paths.push(workspace.work());
    paths.push(workspace.temporary());
    paths.extend(workspace.also_wipe.iter().cloned());
    paths.push(home);
    paths.push(workspace.path.clone());
    paths
}

/// The runtime directory: the supervisor's private files, on a memory volume that no other user can read.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeDir {
    root: PathBuf,
}

impl RuntimeDir {
    /// Returns the runtime directory at `root`. Makes nothing yet.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Returns its own path.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of an entry, whether or not it exists.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes a directory in it, mode 0700, and returns its path.
    ///
    /// # Errors
    /// [`WorkspaceError::RuntimeDir`] with the directory.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, WorkspaceError> {
        let path = self.path(name);
        let made = make_directory(&self.root).and_then(|()| make_directory(&path));
        made.map_err(|source| self.error(&path, source))?;
        Ok(path)
    }

    /// Writes a file in it, mode 0600, and returns its path. Replaces a file that an earlier run left.
    ///
    /// # Errors
    /// [`WorkspaceError::RuntimeDir`] with the file.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf, WorkspaceError> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            make_directory(parent).map_err(|source| self.error(parent, source))?;
        }
        private_file(&path, 0o600)
            .and_then(|mut file| file.write_all(content))
            .map_err(|source| self.error(&path, source))?;
        Ok(path)
    }

    /// Makes a symlink in it and returns its path.
    ///
    /// # Errors
    /// [`WorkspaceError::RuntimeDir`] with the link.
    pub(crate) fn link(&self, name: &str, target: &str) -> Result<PathBuf, WorkspaceError> {
        let path = self.path(name);
        let made = make_directory(&self.root)
            .and_then(|()| remove_if_present(&path))
            .and_then(|()| std::os::unix::fs::symlink(target, &path));
        made.map_err(|source| self.error(&path, source))?;
        Ok(path)
    }

    fn error(&self, path: &Path, source: std::io::Error) -> WorkspaceError {
        WorkspaceError::RuntimeDir {
            path: path.to_owned(),
            volume: self.root.clone(),
            uid: Identity::filesystem().uid,
            source,
        }
    }
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    match set_permissions(path, Permissions::from_mode(0o700)) {
        // A mount point of root is fine too if our group may write to it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => check_writable(path),
        other => other,
    }
}

fn remove_if_present(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn check_writable(path: &Path) -> std::io::Result<()> {
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_files_are_private_and_never_write_through() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        std::fs::write(&outside, "untouched").unwrap();
        let runtime = RuntimeDir::new(&root.path().join("run"));
        runtime.directory("containers").unwrap();
        std::os::unix::fs::symlink(&outside, root.path().join("run/containers/auth.json")).unwrap();

        let file = runtime.file("containers/auth.json", b"{}").unwrap();

        assert_eq!(std::fs::read_to_string(outside).unwrap(), "untouched");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(&root.path().join("run")), 0o700);
    }

    #[test]
    fn error_names_path_and_remedy() {
        let workspace = Workspace {
            path: PathBuf::from("/proc/nowhere"),
            also_wipe: Vec::new(),
        };
        let text = prepare(&workspace).unwrap_err().to_string();
        assert!(
            text.contains("/proc/nowhere/work") && text.contains("fsGroup"),
            "{text}"
        );
    }

    #[test]
    fn wipe_order_is_credentials_sources_caches() {
        let workspace = Workspace {
            path: PathBuf::from("/workspace"),
            also_wipe: vec!["/dev/shm".into()],
        };
        let order = wiped(&workspace, Path::new("/run/supervisor"));
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
