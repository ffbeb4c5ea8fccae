//! `docker buildx imagetools inspect`: what the registry has, to the byte, and never a list in Buildah's storage.
//!
//! Buildah prints a list with white space of its own. The digest says which white space the registry's bytes have.

use serde_json::{Value, json};

use super::super::digests::Digests;
use super::super::output::OutputError;
use super::super::plan::{Command, RegistryForm, RegistryInspect, Stdout};
use super::super::reference::{self, familiar};
use super::super::template::Template;
use super::json_bytes::exact;
use super::{ExecuteError, Executor};

/// A manifest or a list of a registry.
struct Found {
    /// The registry's bytes, if the digest is known. Otherwise as Buildah prints them.
    bytes: String,
    digest: Option<String>,
}

impl Executor<'_> {
    /// Returns an exit code if the registry's manifest is not known.
    pub(super) fn inspect_registry(
        &mut self,
        asked: &RegistryInspect,
    ) -> Result<Option<u8>, ExecuteError> {
        let local = Command::new(["manifest", "exists", &asked.name], Stdout::Dropped);
        let found = match self.run(&local)?.code {
            0 => self.pushed_list(asked)?,
            _ => self.pulled(asked)?,
        };
        let Some(found) = found else {
            return Ok(Some(1));
        };
        if found.digest.is_none() {
            let _ = writeln!(
                self.stderr,
                "{}: the digest is not known, and the white space is Buildah's",
                asked.name
            );
        }
        let text = render(&found, &asked.name, &asked.form)?;
        self.print(text.as_bytes())?;
        Ok(None)
    }

    /// Returns a list that this job has built, as it was pushed. Buildah would print the one in its storage.
    fn pushed_list(&mut self, asked: &RegistryInspect) -> Result<Option<Found>, ExecuteError> {
        let listed = self.listed(&asked.name)?;
        let repository = reference::repository(&asked.name);
        let digests = Digests::read(self.digests.as_deref());
        let id = listed["id"].as_str().unwrap_or_default();
        let Some(digest) = digests
            .in_repository(id, familiar(repository))
            .map(str::to_owned)
        else {
            let _ = writeln!(
                self.stderr,
                "{}: this list is in Buildah's storage, and this job has not pushed it",
                asked.name
            );
            return Ok(None);
        };
        let name = format!("{repository}@{digest}");
        let printed = self.captured_text(&inspect(&name, asked))?;
        Ok(printed.map(|printed| known(printed, &[digest])))
    }

    /// Returns what the registry has. A pull brings its digest. The storage is afterwards as it was.
    fn pulled(&mut self, asked: &RegistryInspect) -> Result<Option<Found>, ExecuteError> {
        let before = self.listed(&asked.name)?;
        let mut pull = vec![
            "pull".to_owned(),
            "--quiet".into(),
            "--policy=always".into(),
        ];
        pull.extend(asked.tls.clone());
        pull.push(format!("docker://{}", asked.name));
        let code = self.run(&Command::new(pull, Stdout::Dropped))?.code;
        let candidates = self.candidates(asked, code == 0)?;
        let list = self.captured_text(&inspect(&asked.name, asked))?;
        let image = [
            "inspect",
            "--type=image",
            "--format={{.Manifest}}",
            &asked.name,
        ];
        let image = Command::new(image, Stdout::Captured);
        let printed = match (&list, code) {
            (Some(_), _) => list,
            (None, 0) => self.captured_text(&image)?,
            // Buildah prints the registry's reason.
            (None, _) => {
                let reason = inspect(&asked.name, asked);
                let reason = Command {
                    stdout: Stdout::Captured,
                    ..reason
                };
                self.run(&reason)?;
                return Ok(None);
            }
        };
        if code == 0 {
            let id = before["id"].as_str().unwrap_or_default();
            let restore = match id {
                "" => vec!["rmi", &asked.name],
                id => vec!["tag", id, &asked.name],
            };
            self.run(&Command::new(restore, Stdout::Dropped))?;
        }
        Ok(printed.map(|printed| known(printed, &candidates)))
    }

    /// Returns the digests that the name may have: those of the image that a pull has brought, and of this job's pushes.
    fn candidates(
        &mut self,
        asked: &RegistryInspect,
        pulled: bool,
    ) -> Result<Vec<String>, ExecuteError> {
        let mut all = Vec::new();
        if pulled {
            let listed = self.listed(&asked.name)?;
            all.extend(listed["digest"].as_str().map(str::to_owned));
            let own = [
                "inspect",
                "--type=image",
                "--format={{.FromImageDigest}}",
                &asked.name,
            ];
            let own = self.captured_text(&Command::new(own, Stdout::Captured))?;
            all.extend(own.map(|own| own.trim().to_owned()));
        }
        let repository = familiar(reference::repository(&asked.name));
        let known = Digests::read(self.digests.as_deref());
        all.extend(known.of_repository(repository).map(str::to_owned));
        Ok(all)
    }

    /// Returns the image of Buildah's storage with this name, or null.
    fn listed(&mut self, name: &str) -> Result<Value, ExecuteError> {
        let filter = format!("--filter=reference={name}");
        let list = ["images", "--json", "--no-trunc", &filter];
        let text = self.captured_text(&Command::new(list, Stdout::Captured))?;
        let images: Value = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
        let has_name = |image: &&Value| {
            let names = image["names"].as_array();
            names.is_some_and(|names| names.iter().any(|other| other == name))
        };
        let found = images
            .as_array()
            .and_then(|images| images.iter().find(has_name));
        Ok(found.cloned().unwrap_or_default())
    }

    /// Returns the standard output of a command that succeeds.
    fn captured_text(&mut self, command: &Command) -> Result<Option<String>, ExecuteError> {
        let exited = self.run(command)?;
        let text = String::from_utf8_lossy(&exited.stdout).into_owned();
        Ok((exited.code == 0).then_some(text))
    }
}

/// Returns `buildah manifest inspect`. It fails silently for a single image.
fn inspect(name: &str, asked: &RegistryInspect) -> Command {
    let line = ["manifest".to_owned(), "inspect".to_owned()].into_iter();
    let line = line.chain(asked.tls.clone()).chain([name.to_owned()]);
    Command::new(line, Stdout::CapturedQuietly)
}

/// Returns the registry's bytes if one of the digests proves them.
fn known(printed: String, digests: &[String]) -> Found {
    let proven = digests.iter().find_map(|digest| {
        let bytes = exact(&printed, digest)?;
        Some(Found {
            bytes,
            digest: Some(digest.clone()),
        })
    });
    proven.unwrap_or(Found {
        bytes: printed,
        digest: None,
    })
}

fn render(found: &Found, name: &str, form: &RegistryForm) -> Result<String, ExecuteError> {
    let manifest: Value = serde_json::from_str(&found.bytes).map_err(OutputError::from)?;
    let object = object(found, name, &manifest);
    Ok(match form {
        RegistryForm::Raw => found.bytes.clone(),
        RegistryForm::Format(format) => {
            let template = Template::parse(format).map_err(OutputError::from)?;
            template.render(&object).map_err(OutputError::from)? + "\n"
        }
        RegistryForm::Text => text(&object),
    })
}

/// Returns the values of buildx's templates: `.Name` and `.Manifest`.
fn object(found: &Found, name: &str, manifest: &Value) -> Value {
    let mut descriptor = json!({
        "schemaVersion": manifest["schemaVersion"], "mediaType": manifest["mediaType"],
        "digest": found.digest, "size": found.bytes.len(),
    });
    for key in ["manifests", "annotations"] {
        if !manifest[key].is_null() {
            descriptor[key] = manifest[key].clone();
        }
    }
    json!({"Name": name, "Manifest": descriptor})
}

/// Returns buildx's text. Source: <https://github.com/docker/buildx/blob/master/util/imagetools/printers.go>.
fn text(object: &Value) -> String {
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, manifest) = (string(&object["Name"]), &object["Manifest"]);
    let mut text = format!(
        "Name:      {name}\nMediaType: {}\nDigest:    {}\n",
        string(&manifest["mediaType"]),
        manifest["digest"].as_str().unwrap_or("<unknown>")
    );
    let entries = manifest["manifests"].as_array();
    if entries.is_some() {
        text += "           \nManifests: \n";
    }
    for (index, entry) in entries.into_iter().flatten().enumerate() {
        let repository = reference::repository(&name);
        let platform = &entry["platform"];
        let parts = ["os", "architecture", "variant"].map(|part| string(&platform[part]));
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        if index > 0 {
            text += "               \n";
        }
        text += &format!(
            "  Name:        {repository}@{}\n  MediaType:   {}\n  Platform:    {}\n",
            string(&entry["digest"]),
            string(&entry["mediaType"]),
            parts.join("/")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::json_bytes::{sha256, white_space};
    use super::super::tests::docker;
    use super::*;

    const INDENTED: &str = "{\n    \"schemaVersion\": 2,\n    \"mediaType\": \"m\",\n    \"manifests\": [\n        {\n            \"digest\": \"sha256:ab\",\n            \"platform\": {\n                \"architecture\": \"arm64\",\n                \"os\": \"linux\"\n            }\n        }\n    ],\n    \"a\": \"{ \\\"b\\\": [ ] }\",\n    \"c\": {},\n    \"d\": []\n}\n";

    #[test]
    fn a_list_of_a_registry_is_shown_to_the_byte() {
        let home = tempfile::tempdir().unwrap();
        let compact = white_space(INDENTED, None);
        let digest = format!("sha256:{}", sha256(compact.as_bytes()).unwrap());
        let listed =
            format!(r#"[{{"id":"sha256:ef","names":["r.example/l:1"],"digest":"{digest}"}}]"#);
        let answers = [
            ("manifest exists", 1, ""),
            ("images", 0, listed.as_str()),
            ("manifest inspect", 0, INDENTED),
        ];
        let show = |flags: &[&str]| {
            let line = [
                &["buildx", "imagetools", "inspect"],
                flags,
                &["r.example/l:1"],
            ]
            .concat();
            docker(home.path(), &line, &answers, &|_| {})
        };
        assert_eq!(show(&["--raw"]).stdout, compact);
        assert_eq!(
            show(&["--format", "{{.Manifest.Digest}} {{.Name}}"]).stdout,
            format!("{digest} r.example/l:1\n")
        );
        let json: Value =
            serde_json::from_str(&show(&["--format", "{{json .Manifest}}"]).stdout).unwrap();
        assert_eq!(
            (&json["digest"], &json["manifests"][0]["digest"]),
            (&json!(digest), &json!("sha256:ab"))
        );
        let platforms =
            "{{range .Manifest.Manifests}}{{.Platform.OS}}/{{.Platform.Architecture}}{{end}}";
        assert_eq!(show(&["--format", platforms]).stdout, "linux/arm64\n");
        assert_eq!(
            show(&[]).stdout,
            format!(
                "Name:      r.example/l:1\nMediaType: m\nDigest:    {digest}\n           \nManifests: \n  \
                Name:        r.example/l@sha256:ab\n  MediaType:   \n  Platform:    linux/arm64\n"
            )
        );
        // The user's own image keeps its name.
        assert!(
            show(&[])
                .lines
                .contains(&"tag sha256:ef r.example/l:1".to_owned())
        );
    }

    #[test]
    fn a_list_in_the_storage_is_not_shown() {
        let home = tempfile::tempdir().unwrap();
        let answers = [(
            "images",
            0,
            r#"[{"id":"sha256:ef","names":["r.example/l:1"]}]"#,
        )];
        let line = ["buildx", "imagetools", "inspect", "r.example/l:1"];
        let done = docker(home.path(), &line, &answers, &|_| {});
        assert_eq!((done.code, done.stdout.as_str()), (1, ""));
        assert!(
            done.stderr.contains("this job has not pushed it"),
            "{}",
            done.stderr
        );
    }
}
