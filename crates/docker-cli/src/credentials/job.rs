//! The credentials of a job for one command.

use std::collections::BTreeMap;

use super::config::Config;
use super::entry::Entries;
use super::helper::HelperError;
use super::places::{First, Places};
use super::registries;

/// The job's credentials. Each helper runs at most once for a registry.
pub struct JobCredentials {
    places: Places,
    known: BTreeMap<String, Entries>,
}

impl JobCredentials {
    /// Returns the credentials of a job that runs `buildah`.
    #[must_use]
    pub fn of_buildah() -> Self {
        Self::new(Places::new(First::Podman, None, &|name| {
            std::env::var(name).ok()
        }))
    }

    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            known: BTreeMap::new(),
        }
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Returns the entries for the registries that a command line of Buildah uses.
    ///
    /// # Errors
    /// [`HelperError`] if the helper of one of these registries fails.
    pub fn for_command(&mut self, arguments: &[String]) -> Result<Entries, HelperError> {
        let mut all = Entries::new();
        let registries = registries::of_command(arguments);
        if registries.is_empty() {
            return Ok(all);
        }
        let configs = self.places.read();
        for registry in registries {
            if let Some(entries) = self.known.get(&registry) {
                all.extend(entries.clone());
                continue;
            }
            let entries = find(&configs, &registry)?;
            all.extend(entries.clone());
            self.known.insert(registry, entries);
        }
        Ok(all)
    }
}

/// Returns the entries of the first place that has any for a registry.
fn find(configs: &[Config], registry: &str) -> Result<Entries, HelperError> {
    for config in configs {
        let entries = config.entries(registry)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
    Ok(Entries::new())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::super::entry::Entry;
    use super::*;

    struct Job(tempfile::TempDir);

    impl Job {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn entries(
            &self,
            first: First,
            variables: &[(&str, &str)],
            line: &str,
        ) -> Result<String, HelperError> {
            let home = self.0.path().display().to_string();
            let variable = |wanted: &str| {
                let mut found = variables.iter().filter(|(name, _)| *name == wanted);
                let found = found.next().map(|(_, value)| value.replace("HOME", &home));
                found.or_else(|| (wanted == "HOME").then(|| home.clone()))
            };
            let places = Places::new(first, None, &variable);
            let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let entries = JobCredentials::new(places).for_command(&line)?;
            let shown = entries.iter().map(|(key, entry)| {
                let auth = STANDARD.decode(&entry.auth).unwrap();
                let auth = String::from_utf8(auth).unwrap();
                format!(
                    "{key}={auth}{}",
                    entry.identity_token.as_deref().unwrap_or("")
                )
            });
            Ok(shown.collect::<Vec<_>>().join(" "))
        }

        fn docker(&self, line: &str) -> String {
            self.entries(First::Docker, &[], line).unwrap()
        }
    }

    fn auths(registry: &str, user: &str) -> String {
        let auth = STANDARD.encode(format!("{user}:p"));
        format!(r#"{{"auths":{{"{registry}":{{"auth":"{auth}"}}}}}}"#)
    }

    #[test]
    fn only_the_registries_of_a_command_are_handed_over() {
        let job = Job::new();
        job.write(
            ".docker/config.json",
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aDpw"},"ghcr.io":{"username":"g","password":"q"},
                "ghcr.io/o/app":{"auth":"czpw"},"other.example":{"identitytoken":"t"},"empty.example":{}}}"#,
        );
        assert_eq!(
            job.docker("push a ghcr.io/o/app:1"),
            "ghcr.io=g:q ghcr.io/o/app=s:p"
        );
        assert_eq!(
            job.docker("pull docker://docker.io/library/alpine:1"),
            "docker.io=h:p"
        );
        assert_eq!(
            job.docker("registry manifest other.example/a"),
            "other.example=<token>:t"
        );
        for line in [
            "images",
            "tag ghcr.io/o/a b",
            "pull empty.example/a",
            "pull third.example/a",
        ] {
            assert_eq!(job.docker(line), "", "{line}");
        }
    }

    #[test]
    fn the_places_of_other_clients_are_read_in_their_order() {
        let job = Job::new();
        let line = "pull r.example/a";
        job.write(
            ".config/containers/auth.json",
            &auths("r.example", "home-podman"),
        );
        assert_eq!(job.docker(line), "r.example=home-podman:p");
        job.write(".docker/config.json", &auths("r.example", "home-docker"));
        job.write("d/config.json", &auths("r.example", "docker"));
        job.write("run/containers/auth.json", &auths("r.example", "runtime"));
        job.write("file", &auths("r.example", "file"));
        let variable = auths("r.example", "variable");
        let (docker, podman) = (First::Docker, First::Podman);
        for (first, variables, user) in [
            (docker, &[][..], "home-docker"),
            (podman, &[], "home-podman"),
            (podman, &[("XDG_RUNTIME_DIR", "HOME/run")], "runtime"),
            (
                docker,
                &[
                    ("DOCKER_CONFIG", "HOME/d"),
                    ("REGISTRY_AUTH_FILE", "HOME/file"),
                ],
                "docker",
            ),
            (
                podman,
                &[
                    ("DOCKER_CONFIG", "HOME/d"),
                    ("REGISTRY_AUTH_FILE", "HOME/file"),
                ],
                "file",
            ),
            (docker, &[("DOCKER_AUTH_CONFIG", &variable)], "variable"),
        ] {
            let found = job.entries(first, variables, line).unwrap();
            assert_eq!(found, format!("r.example={user}:p"));
        }
    }

    fn helper(job: &Job, script: &str) -> String {
        job.write(
            "bin/docker-credential-test",
            &format!("#!/bin/sh\n{script}\n"),
        );
        let path = job.0.path().join("bin/docker-credential-test");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.parent().unwrap().display().to_string()
    }

    #[test]
    fn helpers_answer_for_their_registries() {
        let job = Job::new();
        let directory = helper(
            &job,
            r#"read -r server; case $server in no.example) echo "credentials not found in native keychain"; exit 1;; esac; echo "{\"ServerURL\":\"$server\",\"Username\":\"$1\",\"Secret\":\"$server\"}""#,
        );
        let program = format!("{directory}/docker-credential-test");
        let config = |text: &str| Config::parse(text).unwrap().with_programs(&directory);
        let one = config(r#"{"credHelpers":{"r.example":"test"}}"#);
        let found = |config: &Config, registry: &str| config.entries(registry).unwrap();
        let entry = Entry::new("get", "r.example");
        assert_eq!(
            found(&one, "r.example"),
            Entries::from([("r.example".to_owned(), entry)])
        );
        assert!(found(&one, "other.example").is_empty());
        let all = config(r#"{"credsStore":"test","auths":{"no.example":{"auth":"YTpi"}}}"#);
        let hub = Entry::new("get", "https://index.docker.io/v1/");
        assert_eq!(found(&all, "docker.io")["docker.io"], hub);
        assert_eq!(found(&all, "no.example")["no.example"].auth, "YTpi");
        std::fs::remove_file(program).unwrap();
        let error = one.entries("r.example").unwrap_err().to_string();
        assert!(
            error.contains("docker-credential-test") && error.contains("r.example"),
            "{error}"
        );
    }

    #[test]
    fn a_broken_configuration_has_no_entries() {
        let job = Job::new();
        for text in [
            "",
            "x",
            "[]",
            r#"{"auths":[]}"#,
            r#"{"auths":{"r.example":7}}"#,
        ] {
            job.write(".docker/config.json", text);
            assert_eq!(job.docker("pull r.example/a"), "");
        }
    }
}
