//! `docker manifest inspect`: a local list, or what a registry has.

use serde_json::{Map, Value, json};

use super::super::manifest_json::{is_list, media_type, platform};
use super::super::output::OutputError;
use super::super::plan::{Command, Stdout};
use super::super::reference;
use super::create_index::digest;
use super::json_bytes::tabs;
use super::{ExecuteError, Executor, SIGNALLED};

impl Executor<'_> {
    /// Annotates the image of a list that has the digest of this name. Returns the exit code of a command that failed.
    pub(super) fn annotate(
        &mut self,
        command: &Command,
        image: &str,
    ) -> Result<Option<u8>, ExecuteError> {
        let digest = match image.split_once('@') {
            Some((_, digest)) => digest.to_owned(),
            None => match self.registry_text("manifest", image)? {
                Ok(bytes) => digest(&bytes)?,
                Err(code) => return Ok(Some(code)),
            },
        };
        let mut command = command.clone();
        command.arguments.push(digest);
        Ok(Some(self.run(&command)?.code).filter(|code| *code != 0))
    }

    /// Returns the exit code of a command that failed.
    pub(super) fn inspect_manifest(
        &mut self,
        name: &str,
        tls: Option<&str>,
        verbose: bool,
    ) -> Result<Option<u8>, ExecuteError> {
        if !verbose {
            let local = Command::new(["manifest", "exists", name], Stdout::Dropped);
            let code = self.run(&local)?.code;
            if code == 0 || code > SIGNALLED {
                let show = Command::new(["manifest", "inspect", name], Stdout::Inherited);
                return Ok(Some(self.run(&show)?.code).filter(|code| *code != 0));
            }
        }
        let bytes = match self.registry_text_with("manifest", name, tls)? {
            Ok(bytes) => bytes,
            Err(code) => return Ok(Some(code)),
        };
        let text = if verbose {
            match self.verbose(name, tls, &bytes)? {
                Ok(text) => text,
                Err(code) => return Ok(Some(code)),
            }
        } else {
            tabs(&bytes)
        };
        self.print(format!("{text}\n").as_bytes())?;
        Ok(None)
    }

    /// Returns Docker's descriptions: one for an image, or a list of them for a list.
    fn verbose(
        &mut self,
        name: &str,
        tls: Option<&str>,
        bytes: &str,
    ) -> Result<Result<String, u8>, ExecuteError> {
        let manifest: Value = serde_json::from_str(bytes).map_err(OutputError::from)?;
        if !manifest["manifests"].is_array() && !is_list(&manifest) {
            let repository = reference::repository(name);
            let image = format!("{repository}@{}", digest(bytes)?);
            let config = match self.registry_text_with("config", &image, tls)? {
                Ok(config) => serde_json::from_str(&config).map_err(OutputError::from)?,
                Err(code) => return Ok(Err(code)),
            };
            let described = describe(name, &manifest, bytes, &digest(bytes)?, &platform(&config));
            return Ok(Ok(tabs(&described.to_string())));
        }
        let mut all = Vec::new();
        for entry in manifest["manifests"].as_array().into_iter().flatten() {
            let own = entry["digest"].as_str().unwrap_or_default();
            let one = format!("{}@{own}", reference::repository(name));
            let bytes = match self.registry_text_with("manifest", &one, tls)? {
                Ok(bytes) => bytes,
                Err(code) => return Ok(Err(code)),
            };
            let manifest = serde_json::from_str(&bytes).map_err(OutputError::from)?;
            let shown = format!("{name}@{own}");
            all.push(describe(&shown, &manifest, &bytes, own, &entry["platform"]));
        }
        Ok(Ok(tabs(&Value::from(all).to_string())))
    }
}

/// Returns Docker's description of an image. Source: `ImageManifest` in
/// <https://github.com/docker/cli/blob/master/cli/manifest/types/types.go>.
fn describe(name: &str, manifest: &Value, bytes: &str, digest: &str, platform: &Value) -> Value {
    let kind = media_type(manifest).unwrap_or_default();
    let field = if kind.starts_with("application/vnd.oci.") {
        "OCIManifest"
    } else {
        "SchemaV2Manifest"
    };
    let mut described = Map::new();
    described.insert("Ref".to_owned(), name.into());
    described.insert(
        "Descriptor".to_owned(),
        json!({"mediaType": kind, "digest": digest, "size": bytes.len(), "platform": platform}),
    );
    described.insert(field.to_owned(), manifest.clone());
    described.into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::docker;
    use super::*;

    const IMAGE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"size":1},"layers":[]}"#;

    #[test]
    fn an_image_is_described_as_docker_does_it() {
        let home = tempfile::tempdir().unwrap();
        let config = r#"{"architecture":"arm64","os":"linux","config":{}}"#;
        let answers = [
            ("manifest exists", 1, ""),
            ("registry manifest", 0, IMAGE),
            ("registry config", 0, config),
        ];
        let show = |line: &[&str]| docker(home.path(), line, &answers, &|_| {});
        let plain = show(&["manifest", "inspect", "r.example/a:1"]);
        assert!(
            plain.stdout.starts_with("{\n\t\"schemaVersion\": 2,\n\t"),
            "{}",
            plain.stdout
        );
        let verbose = show(&["manifest", "inspect", "-v", "r.example/a:1"]);
        let described: Value = serde_json::from_str(&verbose.stdout).unwrap();
        assert_eq!(described["Ref"], "r.example/a:1");
        assert_eq!(described["Descriptor"]["digest"], digest(IMAGE).unwrap());
        assert_eq!(described["Descriptor"]["platform"]["architecture"], "arm64");
        assert_eq!(described["SchemaV2Manifest"]["config"]["size"], 1);
    }

    #[test]
    fn an_image_is_annotated_by_its_digest() {
        let home = tempfile::tempdir().unwrap();
        let answers = [("registry manifest", 0, IMAGE)];
        let digest = digest(IMAGE).unwrap();
        let name = format!("r.example/a@{digest}");
        for image in ["r.example/a:1", &name] {
            let line = ["manifest", "annotate", "--arch=arm", "l", image];
            let done = docker(home.path(), &line, &answers, &|_| {});
            let last = format!("manifest annotate --arch=arm l {digest}");
            assert_eq!(done.lines.last(), Some(&last));
        }
        let line = ["manifest", "annotate", "l", "r.example/a:1"];
        let done = docker(home.path(), &line, &[("registry manifest", 1, "")], &|_| {});
        assert_eq!((done.code, done.lines.len()), (1, 1));
    }

    #[test]
    fn a_list_is_described_image_by_image() {
        let home = tempfile::tempdir().unwrap();
        let list =
            r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:ab","platform":{"os":"linux"}}]}"#;
        let answers = [
            ("registry manifest r.example/a:1", 0, list),
            ("registry manifest r.example/a@sha256:ab", 0, IMAGE),
        ];
        let line = ["manifest", "inspect", "--verbose", "r.example/a:1"];
        let done = docker(home.path(), &line, &answers, &|_| {});
        let described: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(described[0]["Ref"], "r.example/a:1@sha256:ab");
        assert_eq!(described[0]["Descriptor"]["platform"]["os"], "linux");
    }
}
