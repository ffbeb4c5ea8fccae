//! Writes the job's own logins where other clients find them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use super::config::Config;
use super::entry::{Entry, normal_key, server};
use super::helper::HelperError;
use super::places::Places;

/// Why a login was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file has another form.
    #[error("{}: expected a JSON object; correct or remove the file", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The credential helper failed.
    #[error(transparent)]
    Helper(#[from] HelperError),
}

impl Places {
    /// Keeps a login: in the registry's credential helper, or in the file. Without a home directory there is no file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn store(&self, registry: &str, user: &str, secret: &str) -> Result<(), StoreError> {
        let Some(file) = self.own() else {
            return Ok(());
        };
        change(file, |object| {
            let config = Config::parse(&Value::from(object.clone()).to_string());
            let config = config.unwrap_or_default();
            let entry = match config.helper(registry) {
                Some(helper) => {
                    helper.store(registry, user, secret)?;
                    json!({})
                }
                None => json!({ "auth": Entry::new(user, secret).auth }),
            };
            remove(object, registry);
            if !config.is_named(registry) {
                let auths = object.entry("auths").or_insert_with(|| json!({}));
                auths[server(registry)] = entry;
            }
            Ok(true)
        })
        .map(drop)
    }

    /// Removes a login. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn erase(&self, registry: &str) -> Result<bool, StoreError> {
        let Some(file) = self.own().filter(|file| file.exists()) else {
            return Ok(false);
        };
        change(file, |object| {
            let config = Config::parse(&Value::from(object.clone()).to_string());
            let helper = config.unwrap_or_default().helper(registry);
            let erased = helper.map(|helper| helper.erase(registry)).transpose()?;
            Ok(remove(object, registry) || erased == Some(true))
        })
    }

    /// Removes all logins of the file. Credential helpers keep theirs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn erase_all(&self) -> Result<(), StoreError> {
        let Some(file) = self.own().filter(|file| file.exists()) else {
            return Ok(());
        };
        change(file, |object| Ok(object.remove("auths").is_some())).map(drop)
    }
}

/// Removes the entries of a registry. Returns whether there was one. Entries of its repositories stay.
fn remove(object: &mut Map<String, Value>, registry: &str) -> bool {
    let Some(auths) = object.get_mut("auths").and_then(Value::as_object_mut) else {
        return false;
    };
    let before = auths.len();
    auths.retain(|key, _| normal_key(key) != registry);
    auths.len() < before
}

/// Changes the object in a file. The file is replaced in one step, and only its owner may read it.
fn change(
    file: &Path,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let error = |source| StoreError::File {
        path: file.to_owned(),
        source,
    };
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(error)?;
    // Two logins at once would lose one of them. The lock ends with this descriptor. Not every file system has locks.
    let lock = File::open(directory).map_err(error)?;
    let _ = lock.lock();
    // Docker follows a link too: the directory may hold only links.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(error(source)),
    };
    let form = || StoreError::Form { path: file.clone() };
    let mut object = match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => object,
        _ if text.trim().is_empty() => Map::new(),
        _ => return Err(form()),
    };
    if object.get("auths").is_some_and(|auths| !auths.is_object()) {
        return Err(form());
    }
    let before = object.clone();
    let changed = edit(&mut object)?;
    if object != before {
        replace(&file, &object).map_err(error)?;
    }
    Ok(changed)
}

fn replace(file: &Path, object: &Map<String, Value>) -> io::Result<()> {
    let mut text = Vec::new();
    let form = PrettyFormatter::with_indent(b"\t");
    object.serialize(&mut Serializer::with_formatter(&mut text, form))?;
    text.push(b'\n');
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!("{name}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options
        .open(&new)
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::places::First;
    use super::*;

    fn places(home: &Path, first: First) -> Places {
        let home = home.display().to_string();
        Places::new(first, None, &|name| (name == "HOME").then(|| home.clone()))
    }

    fn read(file: &Path) -> Value {
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    }

    #[test]
    fn a_login_is_written_as_docker_writes_it() {
        let home = tempfile::tempdir().unwrap();
        let places = places(home.path(), First::Docker);
        let file = home.path().join(".docker/config.json");
        places.store("r.example", "u", "p").unwrap();
        let text =
            "{\n\t\"auths\": {\n\t\t\"r.example\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}\n";
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        places.store("docker.io", "u", "q").unwrap();
        places.store("docker.io", "u", "p").unwrap();
        assert_eq!(
            read(&file)["auths"]["https://index.docker.io/v1/"]["auth"],
            "dTpw"
        );
        assert!(places.erase("docker.io").unwrap() && !places.erase("docker.io").unwrap());
        assert!(places.erase("r.example").unwrap());
        assert_eq!(read(&file), json!({"auths": {}}));
    }

    #[test]
    fn foreign_keys_modes_and_links_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let places = places(home.path(), First::Docker);
        let (file, target) = (
            home.path().join(".docker/config.json"),
            home.path().join("real"),
        );
        fs::create_dir(file.parent().unwrap()).unwrap();
        let text = r#"{"proxies":{"x":1},"auths":{"a.example":{"auth":"eA=="},"https://r.example/v2/":{"auth":"eA=="}}}"#;
        fs::write(&target, text).unwrap();
        std::os::unix::fs::symlink(&target, &file).unwrap();
        places.store("r.example", "u", "p").unwrap();
        let kept = read(&target);
        assert_eq!(
            (&kept["proxies"]["x"], &kept["auths"]["a.example"]["auth"]),
            (&json!(1), &json!("eA=="))
        );
        assert_eq!(kept["auths"].as_object().unwrap().len(), 2);
        assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
        assert_eq!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for broken in ["[]", "x", r#"{"auths":[]}"#] {
            fs::write(&target, broken).unwrap();
            assert!(places.store("r.example", "u", "p").is_err());
            assert_eq!(fs::read_to_string(&target).unwrap(), broken);
        }
    }

    #[test]
    fn podman_has_a_file_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let places = places(home.path(), First::Podman);
        places.store("r.example", "u", "p").unwrap();
        let file = home.path().join(".config/containers/auth.json");
        assert_eq!(read(&file)["auths"]["r.example"]["auth"], "dTpw");
        assert!(!home.path().join(".docker").exists());
    }

    #[test]
    fn a_missing_helper_keeps_no_password() {
        let home = tempfile::tempdir().unwrap();
        let places = places(home.path(), First::Docker);
        let file = home.path().join(".docker/config.json");
        fs::create_dir(file.parent().unwrap()).unwrap();
        let text = r#"{"credsStore":"is-not-there"}"#;
        fs::write(&file, text).unwrap();
        let error = places.store("r.example", "u", "p").unwrap_err().to_string();
        assert!(error.contains("docker-credential-is-not-there"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}
