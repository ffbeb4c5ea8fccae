//! The digests that registries have given to images: of pushes and pulls of this job.
//!
//! Buildah stores another digest for an image that it built, because a push compresses its layers. So the client keeps the digest
//! of each push and each `docker pull` in a file of the job. An image without an entry has no digest, as with Docker before a push.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::reference::{self, familiar};

/// One digest of an image in one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The image's ID, 64 hexadecimal digits.
    id: String,
    /// The repository as Docker prints it.
    repository: String,
    /// `sha256:` and 64 hexadecimal digits.
    digest: String,
}

/// The known digests, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Digests(Vec<Entry>);

/// The image whose digest is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// It was pulled. The captured outputs are: first, all images before the pull; last but one, ID and digest of
    /// `buildah inspect`; last, the image in `buildah images --json`.
    Pulled {
        /// The complete name.
        name: String,
    },
    /// It was pushed. Its ID is in the output of `buildah images --json`.
    Pushed {
        /// The complete name.
        name: String,
        /// The file with the digest.
        digest: PathBuf,
    },
    /// It was built and pushed.
    Built {
        /// The complete name.
        name: String,
        /// The file with the ID.
        iid: PathBuf,
        /// The file with the digest.
        digest: PathBuf,
    },
}

impl Remembered {
    /// Returns the ID, the name and the digest, as far as they are known.
    fn entry(&self, captured: &[String]) -> Option<Entry> {
        let last = captured.last().map_or("", String::as_str);
        let images: Value = serde_json::from_str(last).unwrap_or_default();
        let listed = |key: &str| images[0][key].as_str().map(str::to_owned);
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let (name, id, digest) = match self {
            Self::Pulled { name } => {
                let (id, digest) = pulled(captured, listed("digest"))?;
                (name, Some(id), Some(digest))
            }
            Self::Pushed { name, digest } => (name, listed("id"), read(digest)),
            Self::Built { name, iid, digest } => (name, read(iid), read(digest)),
        };
        let digest = digest?.trim().to_owned();
        Some(Entry {
            id: hexadecimal(&id?)?.to_owned(),
            repository: familiar(reference::repository(name)).to_owned(),
            digest: format!("sha256:{}", hexadecimal(&digest)?),
        })
    }
}

/// Returns ID and digest of an image after its pull. `listed` is the digest of a list that the name meant, if the image is
/// new. Buildah keeps the digest that an older image had, which may be no registry's. Then the image's own manifest counts.
fn pulled(captured: &[String], listed: Option<String>) -> Option<(String, String)> {
    let before = captured.first()?;
    let inspected = captured.get(captured.len().checked_sub(2)?)?;
    let (id, own) = inspected.trim().split_once(' ')?;
    let digest = if before.contains(hexadecimal(id)?) {
        own.to_owned()
    } else {
        listed?
    };
    Some((id.to_owned(), digest))
}

/// Returns the 64 digits of an ID or a digest, without `sha256:`.
fn hexadecimal(text: &str) -> Option<&str> {
    let digits = text.trim();
    let digits = digits.strip_prefix("sha256:").unwrap_or(digits);
    let valid = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then_some(digits)
}

/// Returns the file in the job's home directory. Without a home directory, digests stay unknown.
pub(super) fn file(home: Option<&str>) -> Option<PathBuf> {
    let home = home.filter(|home| home.starts_with('/'))?;
    Some(Path::new(home).join(".docker/ci-cd-agents-digests"))
}

impl Digests {
    /// Reads the file. A line with another form is left out.
    pub(super) fn read(file: Option<&Path>) -> Self {
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        let text = text.unwrap_or_default();
        Self(text.lines().filter_map(entry).collect())
    }

    /// Returns `REPOSITORY@DIGEST` for each digest of an image.
    pub(super) fn of_image(&self, id: &str) -> Vec<String> {
        let id = hexadecimal(id);
        let mut all = Vec::new();
        for entry in self.0.iter().filter(|entry| Some(entry.id.as_str()) == id) {
            let text = format!("{}@{}", entry.repository, entry.digest);
            if !all.contains(&text) {
                all.push(text);
            }
        }
        all
    }

    /// Returns the newest digest of an image in a repository.
    pub(super) fn in_repository(&self, id: &str, repository: &str) -> Option<&str> {
        let id = hexadecimal(id);
        let found = self
            .0
            .iter()
            .rev()
            .find(|entry| Some(entry.id.as_str()) == id && entry.repository == repository);
        found.map(|entry| entry.digest.as_str())
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let (id, repository, digest) = (words.next()?, words.next()?, words.next()?);
    Some(Entry {
        id: hexadecimal(id)?.to_owned(),
        repository: repository.to_owned(),
        digest: format!("sha256:{}", hexadecimal(digest)?),
    })
}

/// Adds a line to the file. One short write of O_APPEND keeps the lines of several clients apart.
///
/// # Errors
/// As open(2) and write(2).
pub(super) fn remember(file: &Path, image: &Remembered, captured: &[String]) -> io::Result<()> {
    let Some(Entry {
        id,
        repository,
        digest,
    }) = image.entry(captured)
    else {
        return Ok(());
    };
    if let Some(directory) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(file)?;
    file.write_all(format!("{id} {repository} {digest}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(letter: &str) -> String {
        letter.repeat(64)
    }

    #[test]
    fn a_digest_is_known_for_its_image_and_repository() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path().to_str()).unwrap();
        assert_eq!(Digests::read(Some(&file)), Digests::default());
        let digest = directory.path().join("digest");
        std::fs::write(&digest, format!("sha256:{}\n", digits("d"))).unwrap();
        let listed = format!(
            r#"[{{"id":"sha256:{}","digest":"sha256:{}"}}]"#,
            digits("a"),
            digits("e")
        );
        let pushed = Remembered::Pushed {
            name: "ghcr.io/o/app:1".to_owned(),
            digest: digest.clone(),
        };
        for _ in 0..2 {
            remember(&file, &pushed, std::slice::from_ref(&listed)).unwrap();
        }
        let pulled = Remembered::Pulled {
            name: "docker.io/library/app:1".to_owned(),
        };
        let inspected = format!("{} sha256:{}\n", digits("a"), digits("f"));
        // The image is new, and the name may mean a list.
        let captured = [
            "[]".to_owned(),
            String::new(),
            inspected.clone(),
            listed.clone(),
        ];
        remember(&file, &pulled, &captured).unwrap();
        // The image was there before, with a digest of its own.
        let other = Remembered::Pulled {
            name: "other:1".to_owned(),
        };
        let captured = [listed.clone(), String::new(), inspected, listed];
        remember(&file, &other, &captured).unwrap();
        let known = Digests::read(Some(&file));
        let (d, e) = (digits("d"), digits("e"));
        assert_eq!(
            known.of_image(&format!("sha256:{}", digits("a"))),
            [
                format!("ghcr.io/o/app@sha256:{d}"),
                format!("app@sha256:{e}"),
                format!("other@sha256:{}", digits("f")),
            ]
        );
        let a = digits("a");
        assert_eq!(
            known.in_repository(&a, "app"),
            Some(format!("sha256:{e}").as_str())
        );
        assert_eq!(known.in_repository(&a, "third"), None);
        assert!(known.of_image(&digits("b")).is_empty());
    }

    #[test]
    fn what_is_no_digest_is_not_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("digests");
        let digest = directory.path().join("digest");
        std::fs::write(&digest, "").unwrap();
        let built = Remembered::Built {
            name: "a".to_owned(),
            iid: digest.clone(),
            digest,
        };
        remember(&file, &built, &[]).unwrap();
        assert!(!file.exists());
        std::fs::write(&file, "x y z\n\n").unwrap();
        assert_eq!(Digests::read(Some(&file)), Digests::default());
        assert!(super::file(None).is_none() && super::file(Some("relative")).is_none());
    }
}
