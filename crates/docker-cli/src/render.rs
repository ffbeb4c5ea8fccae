//! Renders an [`Output`] from Buildah's output and from files that Buildah wrote.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::digests::Digests;
use super::docker_image::docker_image;
use super::image_table::rows;
use super::output::{Output, OutputError, render_objects};
use super::{cleanup, reference, system};

impl Output {
    /// Returns the text. `captured` has the standard output of each command since the last print, empty ones left out, and
    /// `known` has the digests of registries.
    pub(super) fn text(&self, captured: &[String], known: &Digests) -> Result<String, OutputError> {
        let last = captured.last().map_or("", String::as_str);
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => Ok(format!("{}\n", read(path)?)),
            Self::Pushed { tag, digest } => Ok(format!("{tag}: digest: {}\n", read(digest)?)),
            Self::Metadata { iid, digest, names } => metadata(iid, digest, names),
            Self::ImageId { name } => {
                let images: Value = serde_json::from_str(last)?;
                Ok(image_id(&images, name).to_owned())
            }
            Self::Images(table) => table.render(&rows(last, table, known)?),
            Self::Inspect { format } => inspect(format.as_deref(), captured, known),
            Self::History(table) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let now = now.map_or(0, |now| now.as_secs());
                table.render(&serde_json::from_str(last)?, now)
            }
            Self::Pruned(form) => form.render(captured),
            Self::Usage { format } => {
                let images = serde_json::from_str(last)?;
                cleanup::render_usage(&images, format.as_deref())
            }
            Self::Version { format } => {
                let version: Value = serde_json::from_str(last)?;
                system::render_version(&version, format.as_deref())
            }
            Self::Info { format } => {
                let info: Value = serde_json::from_str(last)?;
                system::render_info(
                    &info,
                    captured.first().map_or("", String::as_str),
                    format.as_deref(),
                )
            }
        }
    }
}

fn read(path: &Path) -> Result<String, OutputError> {
    let text = std::fs::read_to_string(path).map_err(|source| OutputError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim().to_owned())
}

/// Returns the keys that docker/build-push-action and scripts read. Without a push there is no digest.
fn metadata(
    iid: &Option<PathBuf>,
    digest: &Option<PathBuf>,
    names: &[String],
) -> Result<String, OutputError> {
    let mut keys = Map::new();
    if let Some(iid) = iid {
        keys.insert("containerimage.config.digest".into(), read(iid)?.into());
    }
    if let Some(digest) = digest {
        keys.insert("containerimage.digest".into(), read(digest)?.into());
    }
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(|name| reference::full(name)).collect();
        keys.insert("image.name".into(), names.join(",").into());
    }
    Ok(format!("{:#}\n", Value::Object(keys)))
}

fn image_id<'a>(images: &'a Value, name: &str) -> &'a str {
    let has_name = |image: &&Value| {
        let names = image["names"].as_array();
        names.is_some_and(|names| names.iter().any(|other| other == name))
    };
    let image = images.as_array().and_then(|all| all.iter().find(has_name));
    image
        .and_then(|image| image["id"].as_str())
        .unwrap_or_default()
}

/// Renders pairs of `buildah inspect` and `buildah images` as Docker's JSON.
fn inspect(
    format: Option<&str>,
    captured: &[String],
    known: &Digests,
) -> Result<String, OutputError> {
    let mut objects = Vec::new();
    for pair in captured.chunks(2) {
        let inspected: Value = serde_json::from_str(&pair[0])?;
        let listed: Value = serde_json::from_str(pair.get(1).map_or("[]", String::as_str))?;
        objects.push(docker_image(&inspected, &listed, known));
    }
    render_objects(format, &objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSPECTED: &str = r#"{"FromImageID":"ab","Manifest":"{\"layers\":[{\"size\":3},{\"size\":4}]}",
        "OCIv1":{"created":"2026-11-24T08:53:16Z","architecture":"amd64","os":"linux","rootfs":{"diff_ids":["sha256:cd"]}},
        "Docker":{"config":{"Env":["A=1"],"Labels":{"a":"b"},"Entrypoint":[],"OnBuild":[]}}}"#;
    const LISTED: &str =
        r#"[{"id":"sha256:ab","names":["localhost/app:v1","docker.io/library/app:v2"]}]"#;

    fn inspected(format: Option<&str>) -> String {
        let format = format.map(str::to_owned);
        let captured = [INSPECTED.to_owned(), LISTED.to_owned()];
        Output::Inspect { format }
            .text(&captured, &Digests::default())
            .unwrap()
    }

    #[test]
    fn an_image_is_described_with_dockers_fields() {
        assert_eq!(
            inspected(Some("{{.Id}} {{.Size}} {{.Os}}/{{.Architecture}}")),
            "sha256:ab 7 linux/amd64\n"
        );
        assert_eq!(inspected(Some("{{.RepoTags}}")), "[app:v1 app:v2]\n");
        assert_eq!(inspected(Some(r#"{{index .Config.Labels "a"}}"#)), "b\n");
        assert!(inspected(Some("json")).starts_with("[{"));
        for (template, expected) in [
            (
                "{{json .Config.Healthcheck}}{{json .Config.Shell}}",
                "nullnull\n",
            ),
            ("{{.Comment}}{{.Parent}}{{.DockerVersion}}.", ".\n"),
            (
                "{{.GraphDriver.Name}}{{.Metadata.LastTagTime}}",
                "0001-01-01T00:00:00Z\n",
            ),
            ("{{.VirtualSize}} {{.Config.Entrypoint}}", "7 []\n"),
            ("{{.Config.Labels.nothere}}", "<no value>\n"),
            ("{{.RepoDigests}} {{json .Config.OnBuild}}", "[] null\n"),
            (
                "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{end}}",
                "a=b\n",
            ),
        ] {
            assert_eq!(inspected(Some(template)), expected, "{template}");
        }
        let whole: Value = serde_json::from_str(&inspected(None)).unwrap();
        assert_eq!(whole[0]["RootFS"]["Layers"][0], "sha256:cd");
    }

    #[test]
    fn metadata_has_a_digest_only_after_a_push() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let iid = Some(file("iid", "sha256:ab\n"));
        let names = vec!["app".to_owned(), "ghcr.io/o/app:1".to_owned()];
        let digest = Some(file("digest", "sha256:cd"));
        let output = Output::Metadata {
            iid: iid.clone(),
            digest,
            names,
        };
        let keys: Value =
            serde_json::from_str(&output.text(&[], &Digests::default()).unwrap()).unwrap();
        assert_eq!(keys["containerimage.digest"], "sha256:cd");
        assert_eq!(keys["containerimage.config.digest"], "sha256:ab");
        assert_eq!(
            keys["image.name"],
            "docker.io/library/app:latest,ghcr.io/o/app:1"
        );
        let output = Output::Metadata {
            iid,
            digest: None,
            names: vec![],
        };
        assert_eq!(
            output.text(&[], &Digests::default()).unwrap(),
            "{\n  \"containerimage.config.digest\": \"sha256:ab\"\n}\n"
        );
    }

    #[test]
    fn an_image_id_is_found_by_the_name() {
        let images =
            r#"[{"id":"sha256:1","names":null},{"id":"sha256:2","names":["localhost/x:latest"]}]"#;
        let output = Output::ImageId {
            name: "localhost/x:latest".to_owned(),
        };
        assert_eq!(
            output
                .text(&[images.to_owned()], &Digests::default())
                .unwrap(),
            "sha256:2"
        );
    }
}
