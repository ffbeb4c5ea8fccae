//! Staging: the one-way trip of a Secret's keys to a memory volume, by an init container that alone mounts the Secret.
//!
//! All keys are read and checked before the first is written, and what was written is taken back where one fails.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::read::read_file;
use super::{DOCKER_CONFIG, Secret, SecretsError, registries};
use crate::storage::in_memory;

/// What is to be copied, and where to.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the kubelet mounts the Secret.
    pub from: PathBuf,
    /// The memory volume.
    pub to: PathBuf,
    /// Keys that must be there.
    pub required: Vec<String>,
    /// Keys that are copied where they are there.
    pub optional: Vec<String>,
}

/// Why nothing was staged.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A key is missing or unusable.
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// A key that could lead out of the directory, or hide in it.
    #[error(
        "key {key:?} is no key of a Secret: those hold alphanumerics, `-`, `_` and `.`, and do not begin with two dots"
    )]
    Key {
        /// The key as it was given.
        key: String,
    },
    /// The target is on a disk.
    #[error("{} is not in memory; mount an emptyDir with `medium: Memory` there", to.display())]
    NotInMemory {
        /// The target.
        to: PathBuf,
    },
    /// A key whose value would be refused later.
    #[error("secret {}: {problem}; make a new one: kubectl create secret generic NAME --from-file=KEY=FILE --dry-run=client -o yaml | kubectl apply -f -", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its value.
        problem: String,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
}

/// Copies the keys, mode 0400, and returns how many there were. `refused` says what is wrong with the value of a key.
///
/// # Errors
/// [`StageError`] naming key and cure. Nothing of this request is left then.
pub fn stage(
    request: &Request,
    refused: impl Fn(&str, &str) -> Option<String>,
) -> Result<usize, StageError> {
    if !in_memory(&request.to) {
        let to = request.to.clone();
        return Err(StageError::NotInMemory { to });
    }
    let mut secrets = Vec::new();
    for key in request.required.iter().chain(&request.optional) {
        check(key)?;
        let path = request.from.join(key);
        if path.symlink_metadata().is_ok() {
            let secret = read_file(&path)?;
            if key == DOCKER_CONFIG {
                registries(&secret)?;
            }
            if let Some(problem) = refused(key, secret.expose()) {
                return Err(StageError::Refused { path, problem });
            }
            secrets.push((request.to.join(key), secret));
        } else if request.required.contains(key) {
            let key = key.clone();
            return Err(SecretsError::Missing { key, path }.into());
        }
    }
    for (number, (path, secret)) in secrets.iter().enumerate() {
        if let Err(source) = write(path, secret) {
            for (written, _) in &secrets[..=number] {
                // It may not have come to be.
                let _ = std::fs::remove_file(written);
            }
            let path = path.clone();
            return Err(StageError::Write { path, source });
        }
    }
    Ok(secrets.len())
}

/// As `IsConfigMapKey` in k8s.io/apimachinery, pkg/util/validation.
fn check(key: &str) -> Result<(), StageError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let valid = !key.is_empty() && key.len() <= 253 && key.bytes().all(allowed) && key != ".";
    if valid && !key.starts_with("..") {
        return Ok(());
    }
    Err(StageError::Key {
        key: key.to_owned(),
    })
}

/// A file that an earlier try of the init container left is replaced, never written through.
fn write(path: &Path, secret: &Secret) -> std::io::Result<()> {
    let mut file = linux::files::private_file(path, 0o400)?;
    file.write_all(secret.expose().as_bytes())?;
    // Reading drops one newline, and a value may end with one of its own.
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Scene {
        from: tempfile::TempDir,
        to: tempfile::TempDir,
    }

    /// The target lies in memory, as it has to.
    fn scene(files: &[(&str, &str)]) -> Scene {
        let from = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(from.path().join(name), content).unwrap();
        }
        let to = tempfile::tempdir_in("/dev/shm").unwrap();
        Scene { from, to }
    }

    impl Scene {
        fn stage(&self, required: &[&str], optional: &[&str]) -> Result<usize, StageError> {
            let owned = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
            let request = Request {
                from: self.from.path().to_owned(),
                to: self.to.path().to_owned(),
                required: owned(required),
                optional: owned(optional),
            };
            stage(&request, |_, value| {
                value.contains("over").then(|| "is over".to_owned())
            })
        }

        fn staged(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.to.path()).unwrap().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    #[test]
    fn only_the_keys_asked_for_are_copied_readable_for_the_owner_alone() {
        let scene = scene(&[("token", "hunter2\n"), ("other", "x"), ("extra", "y")]);
        assert_eq!(scene.stage(&["token"], &["extra", "absent"]).unwrap(), 2);
        assert_eq!(scene.staged(), ["extra", "token"]);
        let token = scene.to.path().join("token");
        assert_eq!(std::fs::read_to_string(&token).unwrap(), "hunter2\n");
        let mode = std::fs::metadata(&token).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o400);
        // Once more, as a restarted init container does.
        assert_eq!(scene.stage(&["token"], &[]).unwrap(), 1);
    }

    #[test]
    fn one_bad_key_and_nothing_is_staged() {
        let scene = scene(&[
            ("token", "hunter2"),
            ("empty", ""),
            ("late", "over"),
            (".dockerconfigjson", r#"{"auths": "hunter2"}"#),
        ]);
        for (keys, named) in [
            (["token", "late"], "/late: is over"),
            (
                ["token", ".dockerconfigjson"],
                "not a docker configuration (line 1, column",
            ),
            (["token", "empty"], "/empty: is empty"),
            (["token", "absent"], "secret absent is missing"),
            (["token", "../token"], "\"../token\" is no key"),
        ] {
            let text = scene.stage(&keys, &[]).unwrap_err().to_string();
            assert!(text.contains(named) && !text.contains("hunter2"), "{text}");
            assert!(scene.staged().is_empty());
        }
    }

    #[test]
    fn what_was_written_is_taken_back_when_a_later_file_fails() {
        let scene = scene(&[("a", "1"), ("b", "2")]);
        std::fs::create_dir(scene.to.path().join("b")).unwrap();
        let text = scene.stage(&["a", "b"], &[]).unwrap_err().to_string();
        assert!(
            text.contains("cannot write") && text.contains("/b"),
            "{text}"
        );
        assert_eq!(scene.staged(), ["b"]);
    }

    #[test]
    fn a_disk_is_refused() {
        let request = Request {
            from: "/nonexistent".into(),
            to: "/proc".into(),
            required: Vec::new(),
            optional: Vec::new(),
        };
        let text = stage(&request, |_, _| None);
        let text = text.unwrap_err().to_string();
        assert!(text.contains("medium: Memory"), "{text}");
    }
}
