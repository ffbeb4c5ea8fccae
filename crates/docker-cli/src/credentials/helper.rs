//! Runs credential helpers, with the job's own rights. Source: <https://github.com/docker/docker-credential-helpers>.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::entry::{Entry, server};

/// The longest that a helper may take. One that asks a cloud's API needs a few seconds.
const TIME: Duration = Duration::from_secs(60);
/// The most that a helper may print, in bytes.
const OUTPUT: u64 = 64 * 1024;
/// What helpers print if they have no entry.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Why a credential helper gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// It is no program in PATH, or it did not start.
    #[error(
        "{program}: {source}; the job's configuration names this credential helper for {registry}: install it, or remove it from the configuration"
    )]
    Start {
        /// The program.
        program: String,
        /// The registry.
        registry: String,
        /// The system's error.
        source: io::Error,
    },
    /// It failed.
    #[error("{program} has no credentials for {registry}: {reason}")]
    Failed {
        /// The program.
        program: String,
        /// The registry.
        registry: String,
        /// What it printed.
        reason: String,
    },
}

/// A credential helper.
pub(super) struct Helper {
    program: String,
    limit: Duration,
}

impl Helper {
    pub(super) fn new(name: &str, directory: Option<&str>) -> Self {
        let program = format!("docker-credential-{name}");
        Self {
            program: directory.map_or(program.clone(), |directory| {
                format!("{directory}/{program}")
            }),
            limit: TIME,
        }
    }

    /// Returns the entry for a registry, if the helper has one.
    ///
    /// # Errors
    /// [`HelperError`].
    pub(super) fn get(&self, registry: &str) -> Result<Option<Entry>, HelperError> {
        let (success, output) = self.run("get", registry, server(registry))?;
        if !success {
            if output.contains(NOT_FOUND) {
                return Ok(None);
            }
            return Err(self.failed(registry, output.trim()));
        }
        // The answer contains the secret, so an error does not show it.
        let answer: Value = serde_json::from_str(&output).unwrap_or_default();
        match (answer["Username"].as_str(), answer["Secret"].as_str()) {
            (Some(user), Some(secret)) if !(user.is_empty() && secret.is_empty()) => {
                Ok(Some(Entry::new(user, secret)))
            }
            (Some(_), Some(_)) => Ok(None),
            _ => Err(self.failed(registry, "its answer has no Username and Secret")),
        }
    }

    /// Stores a password.
    ///
    /// # Errors
    /// [`HelperError`].
    pub(super) fn store(
        &self,
        registry: &str,
        user: &str,
        secret: &str,
    ) -> Result<(), HelperError> {
        let entry = json!({"ServerURL": server(registry), "Username": user, "Secret": secret});
        match self.run("store", registry, &entry.to_string())? {
            (true, _) => Ok(()),
            (false, output) => Err(self.failed(registry, output.trim())),
        }
    }

    /// Removes an entry. Returns whether there was one.
    ///
    /// # Errors
    /// [`HelperError`].
    pub(super) fn erase(&self, registry: &str) -> Result<bool, HelperError> {
        Ok(self.run("erase", registry, server(registry))?.0)
    }

    fn failed(&self, registry: &str, reason: &str) -> HelperError {
        HelperError::Failed {
            program: self.program.clone(),
            registry: registry.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// Runs the helper. Returns whether it succeeded, and its standard output.
    fn run(&self, verb: &str, registry: &str, input: &str) -> Result<(bool, String), HelperError> {
        let start = |source| HelperError::Start {
            program: self.program.clone(),
            registry: registry.to_owned(),
            source,
        };
        let mut child = Command::new(&self.program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(start)?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may end without reading. The input is shorter than a pipe's buffer.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.stdout.take();
        let (sender, answer) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(output) = output {
                let _ = output.take(OUTPUT).read_to_end(&mut text);
            }
            let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
        });
        let Some(status) = wait(&mut child, self.limit).map_err(start)? else {
            let _ = child.kill();
            let _ = child.wait();
            let reason = format!("it has not ended after {} seconds", self.limit.as_secs());
            return Err(self.failed(registry, &reason));
        };
        if status.code().is_none() {
            return Err(self.failed(registry, "a signal ended it"));
        }
        // A process that it left may hold its standard output open.
        let output = answer.recv_timeout(self.limit).unwrap_or_default();
        Ok((status.success(), output))
    }
}

/// Waits for the end of a child. Returns `None` after the limit.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() >= limit {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with_script(directory: &tempfile::TempDir, script: &str) -> Helper {
        let path = directory.path().join("docker-credential-t");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        Helper::new("t", directory.path().to_str())
    }

    #[test]
    fn a_helper_that_fails_is_named_and_its_answer_is_not() {
        let directory = tempfile::tempdir().unwrap();
        for (script, expected) in [
            ("echo token expired; exit 1", "r.example: token expired"),
            ("echo hunter2", "its answer has no Username and Secret"),
            ("exec yes hunter2", "a signal ended it"),
        ] {
            let error = with_script(&directory, script)
                .get("r.example")
                .unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(expected) && !text.contains("hunter2"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_helper_that_hangs_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mut helper = with_script(&directory, "exec sleep 86397");
        helper.limit = Duration::ZERO;
        let text = helper.get("r.example").unwrap_err().to_string();
        assert!(text.contains("it has not ended after 0 seconds"), "{text}");
    }

    #[test]
    fn a_helper_stores_and_erases() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kept");
        let script = format!("cat >>{}; echo \" $1\" >>{0}", file.display());
        let helper = with_script(&directory, &script);
        helper.store("docker.io", "u", "p").unwrap();
        assert!(helper.erase("r.example").unwrap());
        let kept = std::fs::read_to_string(file).unwrap();
        let stored =
            r#"{"Secret":"p","ServerURL":"https://index.docker.io/v1/","Username":"u"} store"#;
        assert_eq!(kept, format!("{stored}\nr.example erase\n"));
    }
}
