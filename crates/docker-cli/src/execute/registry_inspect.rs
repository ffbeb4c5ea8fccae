//! `docker buildx imagetools inspect`: what the registry has, to the byte, and never a list in Buildah's storage.
//!
//! Buildah prints a list with white space of its own. The digest says which white space the registry's bytes have.

use std::io::{self, Write};
use std::process::{Command as Process, Stdio};

use serde_json::{Value, json};

use super::super::digests::Digests;
use super::super::output::OutputError;
use super::super::plan::{Command, RegistryForm, RegistryInspect, Stdout};
use super::super::reference::{self, familiar};
use super::super::template::Template;
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
        Ok(printed.map(|printed| known(printed, Some(&digest))))
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
        let after = self.listed(&asked.name)?;
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
        let digest = after["digest"].as_str().filter(|_| code == 0);
        Ok(printed.map(|printed| known(printed, digest)))
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

/// Returns the registry's bytes if the digest proves them.
fn known(printed: String, digest: Option<&str>) -> Found {
    let proven = digest.and_then(|digest| exact(&printed, digest));
    proven.unwrap_or(Found {
        bytes: printed,
        digest: None,
    })
}

/// Returns the text with the white space that its digest proves.
fn exact(printed: &str, digest: &str) -> Option<Found> {
    let text = printed.trim_end();
    let compact = white_space(text, None);
    let mut forms = vec![text.to_owned(), compact];
    forms.extend([2, 3, 4].map(|indent| white_space(text, Some(indent))));
    let with_newline: Vec<String> = forms.iter().map(|form| format!("{form}\n")).collect();
    forms.extend(with_newline);
    let found = forms.into_iter().find(|form| {
        sha256(form.as_bytes()).is_ok_and(|found| digest == format!("sha256:{found}"))
    });
    found.map(|bytes| Found {
        bytes,
        digest: Some(digest.to_owned()),
    })
}

/// Writes JSON with other white space: compact, or with one line for each value, as Go's `json.Indent` does.
fn white_space(text: &str, indent: Option<usize>) -> String {
    let (mut written, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    let new_line = |written: &mut String, depth: usize| {
        if let Some(indent) = indent {
            written.push('\n');
            written.push_str(&" ".repeat(indent * depth));
        }
    };
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if quoted {
            written.push(letter);
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        match letter {
            letter if letter.is_ascii_whitespace() => {}
            '{' | '[' => {
                written.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => written.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut written, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut written, depth);
                written.push(letter);
            }
            ',' => {
                written.push(letter);
                new_line(&mut written, depth);
            }
            ':' => written.push_str(if indent.is_some() { ": " } else { ":" }),
            letter => {
                quoted = letter == '"';
                written.push(letter);
            }
        }
    }
    written
}

/// Returns the digest of bytes, by sha256sum(1).
fn sha256(bytes: &[u8]) -> io::Result<String> {
    let mut command = Process::new("sha256sum");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(bytes)?;
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
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
    use super::super::tests::docker;
    use super::*;

    const INDENTED: &str = "{\n    \"schemaVersion\": 2,\n    \"mediaType\": \"m\",\n    \"manifests\": [\n        {\n            \"digest\": \"sha256:ab\",\n            \"platform\": {\n                \"architecture\": \"arm64\",\n                \"os\": \"linux\"\n            }\n        }\n    ],\n    \"a\": \"{ \\\"b\\\": [ ] }\",\n    \"c\": {},\n    \"d\": []\n}\n";

    #[test]
    fn the_digest_proves_the_white_space() {
        let compact = white_space(INDENTED, None);
        assert!(
            compact.starts_with(r#"{"schemaVersion":2,"#)
                && compact.ends_with(r#""a":"{ \"b\": [ ] }","c":{},"d":[]}"#),
            "{compact}"
        );
        assert_eq!(white_space(&compact, Some(4)) + "\n", INDENTED);
        for bytes in [
            compact.clone(),
            white_space(INDENTED, Some(3)),
            format!("{compact}\n"),
        ] {
            let digest = format!("sha256:{}", sha256(bytes.as_bytes()).unwrap());
            assert_eq!(exact(INDENTED, &digest).unwrap().bytes, bytes);
        }
        assert!(exact(INDENTED, "sha256:00").is_none());
        assert_eq!(sha256(b"abc").unwrap()[..16], *"ba7816bf8f01cfea");
    }

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
