//! Credentials for registries: the builder's own, and what the job logged in with.
//!
//! A process of Buildah is given the one entry that it needs, never all, and a build none of the builder's.
//! Source: containers-auth.json(5).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::settings::Storage;
use dockerfile::Reference;

/// The most that an authfile written by `buildah login` may have, in bytes.
const LIMIT: usize = 256 * 1024;

/// Entries by registry, or by registry and path.
#[derive(Default, Clone, Serialize, Deserialize)]
struct Auths {
    #[serde(default)]
    auths: BTreeMap<String, Value>,
}

/// All credentials.
#[derive(Default)]
pub struct Credentials {
    own: Auths,
    job: Mutex<Auths>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The content of an authfile.
pub(crate) type Authfile = Zeroizing<Vec<u8>>;

/// Whose entry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The builder's.
    Builder,
    /// The job's.
    Job,
}

impl Credentials {
    /// The builder's, from a `.dockerconfigjson`.
    ///
    /// # Errors
    /// Line and column of the first fault; the content is never shown.
    pub fn of_builder(text: &str) -> Result<Self, (usize, usize)> {
        let mut own: Auths =
            serde_json::from_str(text).map_err(|error| (error.line(), error.column()))?;
        own.auths = own
            .auths
            .into_iter()
            .map(|(key, value)| (plain(&key), value))
            .collect();
        Ok(Self {
            own,
            job: Mutex::default(),
        })
    }

    /// For how many registries the builder has any.
    #[must_use]
    pub fn count(&self) -> usize {
        self.own.auths.len()
    }

    /// Whose credentials a pull or a push of `reference` takes: the builder's before the job's.
    #[must_use]
    pub(crate) fn owner(&self, reference: &Reference) -> Option<Owner> {
        if self.own.find(reference).is_some() {
            return Some(Owner::Builder);
        }
        self.with_job(|job| job.find(reference).map(|_| Owner::Job))
    }

    /// Whether a build may hold the credentials for this, its cache. With fuse-overlayfs, an image's name out of a base image
    /// can have Buildah run a program of the job, and its policy cannot tell: the storage that it names is the builder's.
    #[must_use]
    pub(crate) fn may_be_in_builds(&self, storage: &Storage, cache: &Reference) -> bool {
        !storage.mount_program || self.owner(cache) != Some(Owner::Builder)
    }

    /// An authfile with the entry of each reference, and with no other.
    #[must_use]
    pub(crate) fn for_references(&self, references: &[Reference]) -> Authfile {
        let mut chosen = Auths::default();
        for reference in references {
            let entry = self.own.find(reference).cloned();
            let entry = entry.or_else(|| self.with_job(|job| job.find(reference).cloned()));
            chosen
                .auths
                .extend(entry.map(|entry| (reference.full(), entry)));
        }
        chosen.file()
    }

    /// What a build may have: the job's own, and the entries of these references, its cache. No key is more specific than
    /// the name of a repository: none of the job's stands before one of these, nor do these open another repository.
    #[must_use]
    pub(crate) fn for_build(&self, references: &[Reference]) -> Authfile {
        let mut chosen = self.with_job(|job| job.clone());
        for reference in references {
            let entry = self.own.find(reference).cloned();
            chosen
                .auths
                .extend(entry.map(|entry| (reference.full(), entry)));
        }
        chosen.file()
    }

    /// An authfile with what the job logged in with.
    #[must_use]
    pub fn of_job(&self) -> Authfile {
        self.with_job(|job| job.file())
    }

    /// Takes over what `buildah login` or `logout` changed in `before`, which [`Credentials::of_job`] gave; another one may
    /// have ended meanwhile.
    ///
    /// # Errors
    /// A sentence where it is no authfile.
    pub(crate) fn change_job(&self, before: &[u8], file: &[u8]) -> Result<(), String> {
        if file.len() > LIMIT {
            return Err(too_much());
        }
        let before = Auths::read(before)?.auths;
        let mut after = Auths::read(file)?.auths;
        self.with_job(|job| {
            let gone = |key: &String| before.contains_key(key) && !after.contains_key(key);
            let mut changed = job.clone();
            changed.auths.retain(|key, _| !gone(key));
            after.retain(|key, value| before.get(key) != Some(value));
            changed.auths.append(&mut after);
            // Else nothing would fit any more, not even a logout.
            if changed.file().len() > LIMIT {
                return Err(too_much());
            }
            *job = changed;
            Ok(())
        })
    }

    fn with_job<T>(&self, work: impl FnOnce(&mut Auths) -> T) -> T {
        work(&mut self.job.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn too_much() -> String {
    format!("the job's credentials take more than {} KiB", LIMIT / 1024)
}

/// An authfile with one user name and password, for one reference alone.
#[must_use]
pub(crate) fn given(reference: &Reference, creds: &str) -> Authfile {
    let mut auths = Auths::default();
    auths.auths.insert(reference.registry(), entry(creds));
    auths.file()
}

fn entry(creds: &str) -> Value {
    let creds = Zeroizing::new(match creds.contains(':') {
        true => creds.to_owned(),
        false => format!("{creds}:"),
    });
    serde_json::json!({ "auth": STANDARD.encode(creds.as_bytes()) })
}

/// The same authfile with one user name and password for these repositories as well.
///
/// # Errors
/// A sentence where it is no authfile.
pub(crate) fn with_given(
    file: &Authfile,
    references: &[&Reference],
    creds: &str,
) -> Result<Authfile, String> {
    let mut auths = Auths::read(file)?;
    for reference in references {
        auths.auths.insert(reference.full(), entry(creds));
    }
    Ok(auths.file())
}

impl Auths {
    fn read(file: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(file).map_err(|_| "buildah left no authfile behind".to_owned())
    }

    /// The most specific entry: `host/a/b`, then `host/a`, then `host`.
    fn find(&self, reference: &Reference) -> Option<&Value> {
        let full = reference.full();
        let mut key = full.as_str();
        loop {
            if let Some(value) = self.auths.get(key) {
                return Some(value);
            }
            key = &key[..key.rfind('/')?];
        }
    }

    fn file(&self) -> Authfile {
        // Texts and maps of them cannot fail to serialize.
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Docker writes some keys as URLs: `https://index.docker.io/v1/`.
fn plain(key: &str) -> String {
    let key = key
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let key = key
        .trim_end_matches('/')
        .trim_end_matches("/v1")
        .trim_end_matches("/v2");
    match key.split_once('/') {
        None if matches!(key, "index.docker.io" | "registry-1.docker.io") => "docker.io".to_owned(),
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILDER: &str = r#"{"auths":{"registry.example":{"auth":"d2lkZQ=="},"registry.example/team":{"auth":"dGVhbQ=="},"https://index.docker.io/v1/":{"auth":"aHVi"}}}"#;

    fn reference(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    fn file(bytes: &Authfile) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn one_entry_is_given_for_one_repository_and_the_most_specific() {
        let credentials = Credentials::of_builder(BUILDER).unwrap();
        let chosen = |text: &str| file(&credentials.for_references(&[reference(text)]));
        assert_eq!(
            chosen("registry.example/team/app"),
            r#"{"auths":{"registry.example/team/app":{"auth":"dGVhbQ=="}}}"#
        );
        assert_eq!(
            chosen("registry.example/teams/app"),
            r#"{"auths":{"registry.example/teams/app":{"auth":"d2lkZQ=="}}}"#
        );
        assert_eq!(
            chosen("alpine"),
            r#"{"auths":{"docker.io/library/alpine":{"auth":"aHVi"}}}"#
        );
        assert_eq!(chosen("other.example/app"), r#"{"auths":{}}"#);
        assert!(!format!("{credentials:?}").contains("aHVi"));
    }

    /// As `buildah login` does to an authfile.
    fn login(file: &Authfile, key: &str) -> Vec<u8> {
        let mut auths = Auths::read(file).unwrap();
        let entry = serde_json::json!({ "auth": "am9i" });
        auths.auths.insert(key.to_owned(), entry);
        auths.file().to_vec()
    }

    #[test]
    fn the_jobs_own_never_stand_before_the_builders() {
        let credentials = Credentials::of_builder(BUILDER).unwrap();
        for key in ["registry.example/team/app", "other.example"] {
            let before = credentials.of_job();
            let after = login(&before, key);
            credentials.change_job(&before, &after).unwrap();
        }
        let owner = |text: &str| credentials.owner(&reference(text));
        assert_eq!(owner("registry.example/team/app"), Some(Owner::Builder));
        assert_eq!(owner("other.example/app"), Some(Owner::Job));
        assert_eq!(owner("third.example/app"), None);
        assert!(!file(&credentials.of_job()).contains("dGVhbQ=="));
        // In a build, where the job's logins are too, the key of the cache is the builder's, and opens nothing else.
        let build = credentials.for_build(&[reference("registry.example/team/app")]);
        let build = Auths::read(&build).unwrap().auths;
        assert_eq!(build["registry.example/team/app"]["auth"], "dGVhbQ==");
        assert_eq!(build["other.example"]["auth"], "am9i");
        assert_eq!(build.len(), 2);
    }

    #[test]
    fn logins_at_once_are_all_kept() {
        let credentials = Credentials::default();
        let before = credentials.of_job();
        let files = ["a.example", "b.example"].map(|key| login(&before, key));
        for after in &files {
            credentials.change_job(&before, after).unwrap();
        }
        let both = credentials.of_job();
        assert!(file(&both).contains("a.example") && file(&both).contains("b.example"));
        // A logout takes away what it names.
        credentials.change_job(&both, &files[0]).unwrap();
        assert_eq!(credentials.of_job().to_vec(), files[0]);
        assert!(credentials.change_job(&both, b"nonsense").is_err());
        let long = vec![b' '; LIMIT + 1];
        assert!(credentials.change_job(&both, &long).is_err());
        // Two at once may be too much together, and the job can still log out.
        let long = ["c", "d"].map(|key| login(&before, &key.repeat(LIMIT / 2)));
        credentials.change_job(&before, &long[0]).unwrap();
        let kept = credentials.of_job();
        assert!(credentials.change_job(&before, &long[1]).is_err());
        assert_eq!(credentials.of_job(), kept);
        credentials.change_job(&kept, &files[0]).unwrap();
    }

    #[test]
    fn credentials_on_a_command_line_are_for_one_registry() {
        let text = file(&given(&reference("a.example/b"), "user:password"));
        assert_eq!(
            text,
            r#"{"auths":{"a.example":{"auth":"dXNlcjpwYXNzd29yZA=="}}}"#
        );
    }
}
