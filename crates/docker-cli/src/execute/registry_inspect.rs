//! `docker buildx imagetools inspect`: what the registry has, to the byte, and never a list in Buildah's storage.

use serde_json::{Map, Value, json};

use super::super::manifest_json::{media_type, platform_text};
use super::super::output::OutputError;
use super::super::plan::{RegistryForm, RegistryInspect};
use super::super::reference;
use super::super::template::Template;
use super::create_index::digest;
use super::{ExecuteError, Executor};

impl Executor<'_> {
    /// Returns an exit code if the registry has no such manifest.
    pub(super) fn inspect_registry(
        &mut self,
        asked: &RegistryInspect,
    ) -> Result<Option<u8>, ExecuteError> {
        let bytes = match self.registry_text("manifest", &asked.name)? {
            Ok(bytes) => bytes,
            Err(code) => return Ok(Some(code)),
        };
        if asked.form == RegistryForm::Raw {
            self.print(bytes.as_bytes())?;
            return Ok(None);
        }
        let mut object = object(&asked.name, &bytes)?;
        let text = match &asked.form {
            RegistryForm::Format(format) => {
                if format.contains(".Image") || format == "{{json .}}" {
                    object["Image"] = match self.configs(&asked.name, &bytes)? {
                        Ok(image) => image,
                        Err(code) => return Ok(Some(code)),
                    };
                }
                let template = Template::parse(format).map_err(OutputError::from)?;
                template.render(&object).map_err(OutputError::from)? + "\n"
            }
            _ => text(&object),
        };
        self.print(text.as_bytes())?;
        Ok(None)
    }

    /// Returns the config of an image, or those of a list by platform. Attestations have none.
    fn configs(&mut self, name: &str, bytes: &str) -> Result<Result<Value, u8>, ExecuteError> {
        let manifest: Value = serde_json::from_str(bytes).map_err(OutputError::from)?;
        let repository = reference::repository(name).to_owned();
        let mut config = |digest: &str| -> Result<Result<Value, u8>, ExecuteError> {
            let name = format!("{repository}@{digest}");
            Ok(match self.registry_text("config", &name)? {
                Ok(text) => Ok(serde_json::from_str(&text).map_err(OutputError::from)?),
                Err(code) => Err(code),
            })
        };
        let Some(entries) = manifest["manifests"].as_array() else {
            return config(&digest(bytes)?);
        };
        let mut all = Map::new();
        for entry in entries {
            let platform = platform_text(&entry["platform"]);
            if platform.is_empty() || platform.starts_with("unknown") {
                continue;
            }
            match config(entry["digest"].as_str().unwrap_or_default())? {
                Ok(config) => all.insert(platform, config),
                Err(code) => return Ok(Err(code)),
            };
        }
        Ok(Ok(all.into()))
    }
}

/// Returns the values of buildx's templates: `.Name` and `.Manifest`.
fn object(name: &str, bytes: &str) -> Result<Value, ExecuteError> {
    let manifest: Value = serde_json::from_str(bytes).map_err(OutputError::from)?;
    let mut descriptor = json!({
        "schemaVersion": manifest["schemaVersion"], "mediaType": media_type(&manifest),
        "digest": digest(bytes)?, "size": bytes.len(),
    });
    for key in ["manifests", "annotations"] {
        if !manifest[key].is_null() {
            descriptor[key] = manifest[key].clone();
        }
    }
    Ok(json!({"Name": name, "Manifest": descriptor}))
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
    use super::super::tests::docker;
    use super::*;

    const LIST: &str = "{ \"schemaVersion\": 2,\n \"mediaType\": \"application/vnd.oci.image.index.v1+json\",\"manifests\": [{\"digest\": \"sha256:ab\", \"mediaType\": \"m\", \"platform\": {\"architecture\": \"arm64\", \"os\": \"linux\"}}]}\n\n";

    #[test]
    fn a_list_of_a_registry_is_shown_to_the_byte() {
        let home = tempfile::tempdir().unwrap();
        let digest = digest(LIST).unwrap();
        let config = r#"{"architecture":"arm64"}"#;
        let answers = [
            ("registry manifest", 0, LIST),
            ("registry config", 0, config),
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
        assert_eq!(show(&["--raw"]).stdout, LIST);
        // The storage is neither asked nor changed.
        assert_eq!(show(&["--raw"]).lines, ["registry manifest r.example/l:1"]);
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
        let images = r#"{{(index .Image "linux/arm64").Architecture}}"#;
        let done = show(&["--format", images]);
        assert_eq!(done.stdout, "arm64\n", "{}", done.stderr);
        assert_eq!(
            show(&[]).stdout,
            format!(
                "Name:      r.example/l:1\nMediaType: application/vnd.oci.image.index.v1+json\nDigest:    {digest}\n           \nManifests: \n  \
                Name:        r.example/l@sha256:ab\n  MediaType:   m\n  Platform:    linux/arm64\n"
            )
        );
    }

    #[test]
    fn what_no_registry_has_is_not_shown() {
        let home = tempfile::tempdir().unwrap();
        let line = ["buildx", "imagetools", "inspect", "r.example/l:1"];
        for (code, expected) in [(2, 1), (1, 1), (137, 137)] {
            let answers = [("registry manifest", code, "x")];
            let done = docker(home.path(), &line, &answers, &|_| {});
            assert_eq!((done.code, done.stdout.as_str()), (expected, ""));
        }
    }
}
