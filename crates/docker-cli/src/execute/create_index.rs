//! Carries out `docker buildx imagetools create`, through the builder's registry client.

use std::fs;
use std::path::PathBuf;

use secret::Secret;
use serde_json::{Value, json};

use super::super::create_index::{Combined, IndexError, Member, Source, combine, parse_source};
use super::super::manifest_json::platform;
use super::super::plan::{Command, CreateIndex, Stdin, Stdout};
use super::super::reference;
use super::json_bytes::{sha256, white_space};
use super::{ExecuteError, Executor, file_error};

/// The exit code of a command that failed, or a value.
pub(super) type Answer<T> = Result<T, u8>;

impl Executor<'_> {
    /// Returns the exit code of the first command that failed.
    pub(super) fn create_index(
        &mut self,
        create: &CreateIndex,
    ) -> Result<Option<u8>, ExecuteError> {
        let mut texts = create.sources.clone();
        for file in &create.files {
            texts.push(fs::read_to_string(file).map_err(file_error(file))?);
        }
        let mut sources = Vec::new();
        for text in texts {
            match self.source(&text, create)? {
                Ok(source) => sources.push(source),
                Err(code) => return Ok(Some(code)),
            }
        }
        let combined = combine(&sources, &create.annotations, create.prefer_index)?;
        let (bytes, digest) = match &combined {
            Combined::Same => (sources[0].bytes.clone(), sources[0].digest().to_owned()),
            Combined::List { bytes, .. } => {
                let bytes = white_space(bytes, Some(2));
                let digest = digest(&bytes)?;
                (bytes, digest)
            }
        };
        if create.dry_run {
            self.print(format!("{bytes}\n").as_bytes())?;
            return Ok(None);
        }
        for tag in &create.tags {
            let code = match &combined {
                Combined::Same => self.same(&sources[0], tag)?,
                Combined::List { members, .. } => self.list(&bytes, members, tag)?,
            };
            if code != 0 {
                return Ok(Some(code));
            }
            let _ = writeln!(self.stderr, "pushed {tag}@{digest}");
        }
        if let Some(path) = &create.metadata {
            write_metadata(path, &digest, create)?;
        }
        Ok(None)
    }

    /// Fetches a source. An image without a platform gets that of its config.
    fn source(&mut self, text: &str, create: &CreateIndex) -> Result<Answer<Source>, ExecuteError> {
        let (name, given) = parse_source(text)?;
        let target = create.tags.first().map_or("", String::as_str);
        let name = in_repository_of(target, &name);
        let bytes = match self.registry_text("manifest", &name)? {
            Ok(bytes) => bytes,
            Err(code) => return Ok(Err(code)),
        };
        let found = digest(&bytes)?;
        if name
            .split_once('@')
            .is_some_and(|(_, digest)| digest != found)
        {
            return Err(IndexError::OtherDigest { name, found }.into());
        }
        let repository = reference::repository(&name).to_owned();
        let mut source = Source::new(&name, &repository, &bytes, &found)?;
        for key in ["annotations", "platform"] {
            if !given[key].is_null() {
                source.descriptor[key] = given[key].clone();
            }
        }
        if !source.is_list() && source.descriptor["platform"].is_null() {
            match self.registry_text("config", &format!("{repository}@{found}"))? {
                Ok(config) => {
                    let config: Value = serde_json::from_str(&config).unwrap_or_default();
                    source.descriptor["platform"] = platform(&config);
                }
                Err(code) => return Ok(Err(code)),
            }
        }
        Ok(Ok(source))
    }

    /// Gives a source another name, with the same bytes. Returns the exit code.
    fn same(&mut self, source: &Source, tag: &str) -> Result<u8, ExecuteError> {
        if source.is_list() && source.repository == reference::repository(tag) {
            return self.push_index(&source.bytes, tag);
        }
        let from = format!("{}@{}", source.repository, source.digest());
        self.copy(&from, tag)
    }

    /// Pushes a list. Before it, the manifests that other repositories have are copied. Returns the exit code.
    fn list(&mut self, bytes: &str, members: &[Member], tag: &str) -> Result<u8, ExecuteError> {
        let repository = reference::repository(tag);
        for member in members {
            if member.repository == repository {
                continue;
            }
            let digest = member.descriptor["digest"].as_str().unwrap_or_default();
            let from = format!("{}@{digest}", member.repository);
            let code = self.copy(&from, &format!("{repository}@{digest}"))?;
            if code != 0 {
                return Ok(code);
            }
        }
        self.push_index(bytes, tag)
    }

    fn push_index(&mut self, bytes: &str, tag: &str) -> Result<u8, ExecuteError> {
        let mut line = vec!["registry".to_owned(), "index".to_owned()];
        line.extend(reference::plain_http([tag]));
        line.push(tag.to_owned());
        let command = Command {
            stdin: Stdin::Secret(Secret::new(bytes)),
            ..Command::new(line, Stdout::Captured)
        };
        Ok(self.run(&command)?.code)
    }

    fn copy(&mut self, from: &str, to: &str) -> Result<u8, ExecuteError> {
        let mut line = vec!["registry".to_owned(), "copy".to_owned()];
        if reference::plain_http([from]).is_some() {
            line.push("--src-tls-verify=false".to_owned());
        }
        line.extend(reference::plain_http([to]));
        line.extend([from.to_owned(), to.to_owned()]);
        Ok(self.run(&Command::new(line, Stdout::Captured))?.code)
    }

    /// Returns a manifest or a config of a registry, to the byte. The builder prints the reason of a failure.
    pub(super) fn registry_text(
        &mut self,
        what: &str,
        name: &str,
    ) -> Result<Answer<String>, ExecuteError> {
        let tls = reference::plain_http([name]);
        self.registry_text_with(what, name, tls.as_deref())
    }

    pub(super) fn registry_text_with(
        &mut self,
        what: &str,
        name: &str,
        tls: Option<&str>,
    ) -> Result<Answer<String>, ExecuteError> {
        let mut line = vec!["registry".to_owned(), what.to_owned()];
        line.extend(tls.map(str::to_owned));
        line.push(name.to_owned());
        let exited = self.run(&Command::new(line, Stdout::Captured))?;
        match exited.code {
            0 => {}
            // skopeo ends with 2 if the registry has no such manifest. Docker ends with 1.
            2 => return Ok(Err(1)),
            code => return Ok(Err(code)),
        }
        Ok(match String::from_utf8(exited.stdout) {
            Ok(text) => Ok(text),
            Err(_) => return Err(IndexError::NoImage(name.to_owned()).into()),
        })
    }
}

/// Returns `sha256:` and the digits.
pub(super) fn digest(bytes: &str) -> Result<String, ExecuteError> {
    let digest = sha256(bytes.as_bytes());
    let digest = digest.map_err(file_error(&PathBuf::from("sha256sum")))?;
    Ok(format!("sha256:{digest}"))
}

/// Completes a name. A digest alone is one in the target's repository. A name with both tag and digest keeps the digest.
fn in_repository_of(target: &str, name: &str) -> String {
    match name.split_once('@') {
        Some((name, digest)) => {
            let full = reference::full(reference::repository(name));
            format!("{}@{digest}", reference::repository(&full))
        }
        None if name.starts_with("sha256:") => {
            format!("{}@{name}", reference::repository(target))
        }
        None => reference::full(name),
    }
}

fn write_metadata(path: &PathBuf, digest: &str, create: &CreateIndex) -> Result<(), ExecuteError> {
    let metadata = json!({
        "containerimage.digest": digest,
        "image.name": create.tags.join(","),
    });
    fs::write(path, format!("{metadata:#}\n")).map_err(file_error(path))
}

#[cfg(test)]
mod tests {
    use super::super::tests::docker;
    use super::*;

    const IMAGE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{}}"#;
    const LIST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"sha256:ab","mediaType":"application/vnd.oci.image.manifest.v1+json"}]}"#;
    const CONFIG: &str = r#"{"os":"linux","architecture":"arm64"}"#;

    fn create(arguments: &[&str], answers: &[(&str, u8, &str)]) -> super::super::tests::Done {
        let home = tempfile::tempdir().unwrap();
        let line = [&["buildx", "imagetools", "create"], arguments].concat();
        docker(home.path(), &line, answers, &|_| {})
    }

    #[test]
    fn a_retag_pushes_the_same_bytes() {
        let list = [("registry manifest", 0, LIST)];
        let done = create(&["-t", "ghcr.io/o/a:2", "ghcr.io/o/a:1"], &list);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(
            done.lines,
            [
                "registry manifest ghcr.io/o/a:1",
                "registry index ghcr.io/o/a:2"
            ]
        );
        let done = create(&["-t", "ghcr.io/o/b:2", "ghcr.io/o/a:1"], &list);
        let digest = digest(LIST).unwrap();
        assert_eq!(
            done.lines[1],
            format!("registry copy ghcr.io/o/a@{digest} ghcr.io/o/b:2")
        );
        assert!(
            done.stderr
                .contains(&format!("pushed ghcr.io/o/b:2@{digest}"))
        );
    }

    #[test]
    fn digests_become_a_list_in_the_repository_of_the_tag() {
        let digest = digest(IMAGE).unwrap();
        let name = format!("localhost:5000/a@{digest}");
        let answers = [
            ("registry manifest", 0, IMAGE),
            ("registry config", 0, CONFIG),
        ];
        for source in [
            name.as_str(),
            &digest,
            &format!("localhost:5000/a:1@{digest}"),
        ] {
            let done = create(&["-t", "localhost:5000/a:1", source], &answers);
            assert_eq!(done.code, 0, "{}", done.stderr);
            let http = "--tls-verify=false";
            let lines = [
                format!("registry manifest {http} {name}"),
                format!("registry config {http} {name}"),
                format!("registry index {http} localhost:5000/a:1"),
            ];
            assert_eq!(done.lines, lines);
        }
        let done = create(&["--dry-run", "-t", "localhost:5000/b:1", &name], &answers);
        let list: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(list["manifests"][0]["platform"]["architecture"], "arm64");
        assert_eq!(list["manifests"][0]["digest"], digest);
        assert!(
            !done
                .lines
                .iter()
                .any(|line| line.starts_with("registry index"))
        );
        let done = create(&["-t", "ghcr.io/o/b:1", &name], &answers);
        let copy = format!("registry copy --src-tls-verify=false {name} ghcr.io/o/b@{digest}");
        assert_eq!(done.lines[2], copy);
    }

    #[test]
    fn other_bytes_than_those_of_the_digest_are_refused() {
        let name = format!("ghcr.io/o/a@sha256:{}", "0".repeat(64));
        let done = create(
            &["-t", "ghcr.io/o/a:1", &name],
            &[("registry manifest", 0, LIST)],
        );
        assert!(
            done.code != 0 && done.stderr.contains("other bytes"),
            "{}",
            done.stderr
        );
        assert_eq!(done.lines.len(), 1);
    }

    #[test]
    fn the_first_failure_ends_the_command() {
        let denied = [("registry index", 1, ""), ("registry manifest", 0, LIST)];
        let done = create(
            &[
                "-t",
                "a.example/a:1",
                "-t",
                "a.example/a:2",
                "a.example/a:0",
            ],
            &denied,
        );
        assert_eq!((done.code, done.lines.len()), (1, 2));
    }
}
