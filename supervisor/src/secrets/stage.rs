//! Stages secrets: an init container copies keys of a Secret to a memory volume. Only that container mounts the Secret.
//!
//! It reads and checks all keys before it writes the first one. If a write fails, it removes the files that it wrote.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::read::{SecretsError, read_file};
use super::registries;
use super::store::{DOCKER_CONFIG, Secret};
use crate::storage::in_memory;
use linux::files::private_file;

/// The keys to copy, their source and their target.
#[derive(Debug, Clone)]
pub struct Request {
    /// The mount point of the Secret.
    pub from: PathBuf,
    /// The memory volume.
    pub to: PathBuf,
    /// Keys that the Secret must have.
    pub required: Vec<String>,
    /// Keys to copy if the Secret has them.
    pub optional: Vec<String>,
}

/// No key was staged.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A key is missing or unusable.
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// A key could name a file outside the directory, or a hidden one.
    #[error("invalid Secret key {key:?}: use letters, digits, `-`, `_`, `.`, and no leading `..`")]
    Key {
        /// The key from the command line.
        key: String,
    },
    /// The target is on a disk.
    #[error("{} is not in memory; mount an emptyDir with `medium: Memory` there", to.display())]
    NotInMemory {
        /// The target.
        to: PathBuf,
    },
    /// The value of a key would be refused later.
    #[error("secret {}: {problem}; make a new one: kubectl create secret generic NAME --from-file=KEY=FILE --dry-run=client -o yaml | kubectl apply -f -", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The fault, without the value.
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

/// Copies the keys with mode 0400 and returns their number. `refused` takes a key and its value. It returns the reason
/// if the value would be refused later.
///
/// # Errors
/// [`StageError`] with the key and the remedy. Then no file of this request is left.
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
        validate(key)?;
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
                // The last one may not exist.
                let _ = std::fs::remove_file(written);
            }
            let path = path.clone();
            return Err(StageError::Write { path, source });
        }
    }
    Ok(secrets.len())
}

/// Applies the rules of `IsConfigMapKey` in k8s.io/apimachinery, pkg/util/validation.
fn validate(key: &str) -> Result<(), StageError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let valid = !key.is_empty() && key.len() <= 253 && key.bytes().all(allowed) && key != ".";
    if valid && !key.starts_with("..") {
        return Ok(());
    }
    Err(StageError::Key {
        key: key.to_owned(),
    })
}

fn write(path: &Path, secret: &Secret) -> std::io::Result<()> {
    let mut file = private_file(path, 0o400)?;
    file.write_all(secret.expose().as_bytes())?;
    // The reader drops one newline. A value that ends with a newline keeps its own.
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Fixture {
        from: tempfile::TempDir,
        to: tempfile::TempDir,
    }

    /// The target is in memory, as it must be.
    fn fixture(files: &[(&str, &str)]) -> Fixture {
        let from = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(from.path().join(name), content).unwrap();
        }
        let to = tempfile::tempdir_in("/dev/shm").unwrap();
        Fixture { from, to }
    }

    impl Fixture {
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
    fn named_keys_are_copied_for_the_owner_alone() {
        let fixture = fixture(&[("token", "hunter2\n"), ("other", "x"), ("extra", "y")]);
        assert_eq!(fixture.stage(&["token"], &["extra", "absent"]).unwrap(), 2);
        assert_eq!(fixture.staged(), ["extra", "token"]);
        let token = fixture.to.path().join("token");
        assert_eq!(std::fs::read_to_string(&token).unwrap(), "hunter2\n");
        let mode = std::fs::metadata(&token).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o400);
        // A restarted init container stages again.
        assert_eq!(fixture.stage(&["token"], &[]).unwrap(), 1);
    }

    #[test]
    fn one_bad_key_stages_nothing() {
        let fixture = fixture(&[
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
            (["token", "../token"], "invalid Secret key \"../token\""),
        ] {
            let text = fixture.stage(&keys, &[]).unwrap_err().to_string();
            assert!(text.contains(named) && !text.contains("hunter2"), "{text}");
            assert!(fixture.staged().is_empty());
        }
    }

    #[test]
    fn written_files_are_removed_if_a_later_one_fails() {
        let fixture = fixture(&[("a", "1"), ("b", "2")]);
        std::fs::create_dir(fixture.to.path().join("b")).unwrap();
        let text = fixture.stage(&["a", "b"], &[]).unwrap_err().to_string();
        assert!(
            text.contains("cannot write") && text.contains("/b"),
            "{text}"
        );
        assert_eq!(fixture.staged(), ["b"]);
    }

    #[test]
    fn target_on_disk_is_refused() {
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
