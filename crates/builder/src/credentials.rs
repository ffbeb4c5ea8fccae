//! Credentials for registries: the builder's own, and those of the job's logins.
//!
//! A pull or a push gets the one entry that it needs. A build gets no entry of the builder but that of its cache.
//! Source: containers-auth.json(5).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::auth_entry::AuthEntry;
use super::settings::Storage;
use dockerfile::Reference;

/// The largest authfile of the job, in bytes.
const LIMIT: usize = 256 * 1024;

/// Entries by registry, or by registry and repository.
#[derive(Default, Clone, Serialize, Deserialize)]
struct Auths {
    #[serde(default)]
    auths: BTreeMap<String, Value>,
}

/// All credentials of a builder.
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

/// The content of an authfile. It is overwritten when it is dropped.
pub(crate) type Authfile = Zeroizing<Vec<u8>>;

/// The owner of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The builder.
    Builder,
    /// The job.
    Job,
}

/// An authfile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthfileError {
    /// It is too large.
    #[error("the job's credentials take more than {} KiB", LIMIT / 1024)]
    TooLarge,
    /// It is not JSON of that form.
    #[error("buildah left an invalid authfile")]
    Invalid,
}

impl Credentials {
    /// Reads the builder's credentials from the text of a `.dockerconfigjson`.
    ///
    /// # Errors
    /// Line and column of the first error, from 1. The content is never shown.
    pub fn of_builder(text: &str) -> Result<Self, (usize, usize)> {
        let mut own: Auths =
            serde_json::from_str(text).map_err(|error| (error.line(), error.column()))?;
        own.auths = own
            .auths
            .into_iter()
            .map(|(key, value)| (normalize_key(&key), value))
            .collect();
        Ok(Self {
            own,
            job: Mutex::default(),
        })
    }

    /// Returns the credentials of one command. The job's own entries for it come before those of its logins, and after the
    /// builder's.
    #[must_use]
    pub(crate) fn for_command(&self, entries: &BTreeMap<String, AuthEntry>) -> Self {
        let mut job = self.with_job(|job| job.clone());
        for (key, entry) in entries {
            let value = serde_json::to_value(entry).unwrap_or_default();
            job.auths.insert(normalize_key(key), value);
        }
        Self {
            own: self.own.clone(),
            job: Mutex::new(job),
        }
    }

    /// Returns the number of the builder's entries.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.own.auths.len()
    }

    /// Returns the owner of the entry for a pull or a push of `reference`. The builder's comes before the job's.
    #[must_use]
    pub(crate) fn owner(&self, reference: &Reference) -> Option<Owner> {
        if self.own.find(reference).is_some() {
            return Some(Owner::Builder);
        }
        self.with_job(|job| job.find(reference).map(|_| Owner::Job))
    }

    /// Whether a build may hold the credentials for its cache. With fuse-overlayfs, an image's name in a base image can make
    /// Buildah run a program of the job. The build's policy.json cannot prevent that, because the name has the builder's storage.
    #[must_use]
    pub(crate) fn may_be_in_builds(&self, storage: &Storage, cache: &Reference) -> bool {
        !storage.mount_program || self.owner(cache) != Some(Owner::Builder)
    }

    /// Returns an authfile with the entry of each reference, and no other entry.
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

    /// Returns the authfile of a build: the job's entries, and those of these references, its cache. A repository's name is
    /// the most specific key. So no entry of the job precedes one of these, and these open no other repository.
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

    /// Returns an authfile with the job's entries.
    #[must_use]
    pub(crate) fn of_job(&self) -> Authfile {
        self.with_job(|job| job.file())
    }

    /// Adopts the changes that `buildah login` or `logout` made to `before`, an authfile of [`Credentials::of_job`]. Changes of
    /// a concurrent login are kept.
    ///
    /// # Errors
    /// [`AuthfileError`] if `file` is invalid or too large.
    pub(crate) fn change_job(&self, before: &[u8], file: &[u8]) -> Result<(), AuthfileError> {
        if file.len() > LIMIT {
            return Err(AuthfileError::TooLarge);
        }
        let before = Auths::read(before)?.auths;
        let mut after = Auths::read(file)?.auths;
        self.with_job(|job| {
            let gone = |key: &String| before.contains_key(key) && !after.contains_key(key);
            let mut changed = job.clone();
            changed.auths.retain(|key, _| !gone(key));
            after.retain(|key, value| before.get(key) != Some(value));
            changed.auths.append(&mut after);
            // A larger file would also refuse every later change, even a logout.
            if changed.file().len() > LIMIT {
                return Err(AuthfileError::TooLarge);
            }
            *job = changed;
            Ok(())
        })
    }

    fn with_job<T>(&self, work: impl FnOnce(&mut Auths) -> T) -> T {
        work(&mut self.job.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns an authfile with `creds` (`USER[:PASSWORD]`) for the registry of one reference.
#[must_use]
pub(crate) fn authfile_with(reference: &Reference, creds: &str) -> Authfile {
    let mut auths = Auths::default();
    auths.auths.insert(reference.registry(), entry(creds));
    auths.file()
}

fn entry(creds: &str) -> Value {
    let colon = if creds.contains(':') { "" } else { ":" };
    let creds = Zeroizing::new(format!("{creds}{colon}"));
    serde_json::json!({ "auth": STANDARD.encode(creds.as_bytes()) })
}

/// Returns a copy of an authfile with `creds` (`USER[:PASSWORD]`) for these repositories as well.
///
/// # Errors
/// [`AuthfileError::Invalid`].
pub(crate) fn add_entry(
    file: &Authfile,
    references: &[&Reference],
    creds: &str,
) -> Result<Authfile, AuthfileError> {
    let mut auths = Auths::read(file)?;
    for reference in references {
        auths.auths.insert(reference.full(), entry(creds));
    }
    Ok(auths.file())
}

impl Auths {
    fn read(file: &[u8]) -> Result<Self, AuthfileError> {
        serde_json::from_slice(file).map_err(|_| AuthfileError::Invalid)
    }

    /// Finds the most specific entry: `host/a/b`, then `host/a`, then `host`.
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
        // Serializing maps of texts cannot fail.
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Shortens a key to a registry or repository. Docker writes some keys as URLs: `https://index.docker.io/v1/`.
fn normalize_key(key: &str) -> String {
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
    fn gives_the_most_specific_entry_of_a_repository() {
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

    /// Changes an authfile as `buildah login` does.
    fn login(file: &Authfile, key: &str) -> Vec<u8> {
        let mut auths = Auths::read(file).unwrap();
        let entry = serde_json::json!({ "auth": "am9i" });
        auths.auths.insert(key.to_owned(), entry);
        auths.file().to_vec()
    }

    #[test]
    fn builders_entries_precede_the_jobs() {
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
        // In a build, beside the job's logins, the entry of the cache is the builder's and opens no other repository.
        let build = credentials.for_build(&[reference("registry.example/team/app")]);
        let build = Auths::read(&build).unwrap().auths;
        assert_eq!(build["registry.example/team/app"]["auth"], "dGVhbQ==");
        assert_eq!(build["other.example"]["auth"], "am9i");
        assert_eq!(build.len(), 2);
    }

    #[test]
    fn entries_of_a_command_last_no_longer_than_it() {
        let credentials = Credentials::of_builder(BUILDER).unwrap();
        let before = credentials.of_job();
        let after = login(&before, "other.example");
        credentials.change_job(&before, &after).unwrap();
        let entry = |auth: &str| AuthEntry {
            auth: auth.to_owned(),
            identity_token: None,
        };
        let keys = [
            "https://other.example/v2/",
            "registry.example/team/app",
            "third.example",
        ];
        let entries = keys.map(|key| (key.to_owned(), entry("bmV3")));
        let command = credentials.for_command(&entries.into());
        let chosen = |text: &str| file(&command.for_references(&[reference(text)]));
        for name in ["other.example/a", "third.example/a"] {
            assert!(chosen(name).contains("bmV3"), "{name}");
        }
        assert!(chosen("registry.example/team/app").contains("dGVhbQ=="));
        assert_eq!(credentials.of_job().to_vec(), after);
        assert!(!format!("{:?}", entry("bmV3")).contains("bmV3"));
    }

    #[test]
    fn keeps_concurrent_logins() {
        let credentials = Credentials::default();
        let before = credentials.of_job();
        let files = ["a.example", "b.example"].map(|key| login(&before, key));
        for after in &files {
            credentials.change_job(&before, after).unwrap();
        }
        let both = credentials.of_job();
        assert!(file(&both).contains("a.example") && file(&both).contains("b.example"));
        // A logout removes the entry that it names.
        credentials.change_job(&both, &files[0]).unwrap();
        assert_eq!(credentials.of_job().to_vec(), files[0]);
        assert!(credentials.change_job(&both, b"nonsense").is_err());
        let long = vec![b' '; LIMIT + 1];
        assert!(credentials.change_job(&both, &long).is_err());
        // Two concurrent logins can be too large together. The job can still log out.
        let long = ["c", "d"].map(|key| login(&before, &key.repeat(LIMIT / 2)));
        credentials.change_job(&before, &long[0]).unwrap();
        let kept = credentials.of_job();
        assert!(credentials.change_job(&before, &long[1]).is_err());
        assert_eq!(credentials.of_job(), kept);
        credentials.change_job(&kept, &files[0]).unwrap();
    }

    #[test]
    fn creds_are_for_one_registry() {
        let text = file(&authfile_with(&reference("a.example/b"), "user:password"));
        assert_eq!(
            text,
            r#"{"auths":{"a.example":{"auth":"dXNlcjpwYXNzd29yZA=="}}}"#
        );
    }
}
