//! The machine runner's configuration: a file in memory with the token, which is removed after the runner has read it.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::Serialize;
use tracing::{debug, warn};
use zeroize::Zeroizing;

use crate::config::Circleci;
use crate::flavor::error::FlavorError;
use crate::flavor::name;
use crate::secrets::{Secret, SecretsError};
use crate::workspace::RuntimeDir;

/// CircleCI publishes no limit; this is GitHub's.
const NAME_LIMIT: usize = 64;

/// Its name in our private directory.
const FILE: &str = "circleci.yaml";

/// The file, until it was read.
pub(super) struct Configuration {
    path: PathBuf,
    /// Reports that the reader has closed the file. Dropped together with the file.
    reading: Option<Inotify>,
}

/// As the reference has it. JSON is YAML.
#[derive(Serialize)]
struct Yaml<'a> {
    api: Api<'a>,
    runner: Runner,
    logging: Logging,
}

#[derive(Serialize)]
struct Api<'a> {
    auth_token: &'a Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct Runner {
    name: String,
    mode: &'static str,
    working_directory: PathBuf,
    cleanup_working_directory: bool,
    command_prefix: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_run_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<String>,
    /// Since 3.1.13: older versions reject the key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enable_unsafe_retries: bool,
}

#[derive(Serialize)]
struct Logging {
    level: &'static str,
    format: &'static str,
    file: &'static str,
}

impl Configuration {
    /// Where it will be.
    pub(super) fn place(runtime: &RuntimeDir) -> PathBuf {
        runtime.path(FILE)
    }

    pub(super) fn write(runtime: &RuntimeDir, content: &[u8]) -> Result<Self, FlavorError> {
        let file = runtime.file(FILE, content);
        let path = file.map_err(SecretsError::from)?;
        let reading = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .and_then(|inotify| {
                inotify.add_watch(&path, AddWatchFlags::IN_CLOSE_NOWRITE)?;
                Ok(inotify)
            })
            .inspect_err(|errno| {
                warn!(%errno, "the runner's configuration stays until its end: inotify(7) refused");
            });
        Ok(Self {
            path,
            reading: reading.ok(),
        })
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.reading.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn remove_once_read(&mut self) {
        let was_read = |inotify: &Inotify| inotify.read_events().is_ok_and(|seen| !seen.is_empty());
        if self.reading.as_ref().is_some_and(was_read) {
            debug!("the runner has read its configuration");
            self.reading = None;
            self.remove();
        }
    }

    fn remove(&self) {
        // It may already be removed. Unlinking a file in memory frees it.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Returns the content of the file. `work` is the task's working directory.
pub(super) fn content(
    circleci: &Circleci,
    work: PathBuf,
    token: &Secret,
    command_prefix: Vec<String>,
) -> Zeroizing<Vec<u8>> {
    let yaml = Yaml {
        api: Api {
            auth_token: token,
            url: circleci.url.as_deref(),
        },
        runner: Runner {
            name: name::of(circleci.name.as_deref(), NAME_LIMIT),
            mode: "single-task",
            working_directory: work,
            cleanup_working_directory: true,
            command_prefix,
            max_run_time: circleci.max_run_time.map(seconds),
            idle_timeout: circleci.idle_timeout.map(seconds),
            enable_unsafe_retries: circleci.enable_unsafe_retries,
        },
        logging: Logging {
            level: "info",
            format: "text",
            file: "-",
        },
    };
    // Reserve all space at once: reallocation would leave copies of the token in memory.
    let mut content = Zeroizing::new(Vec::with_capacity(16 * 1024 + 6 * token.expose().len()));
    // Texts and numbers cannot fail to serialize.
    let _ = serde_json::to_writer(&mut *content, &yaml);
    content
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_key_is_the_references() {
        let circleci = Circleci {
            name: Some("pod 1".to_owned()),
            idle_timeout: Some(Duration::from_secs(90)),
            url: Some("https://circleci.example".to_owned()),
            ..Circleci::default()
        };
        let token = Secret::new("t0ken".to_owned());
        let work = PathBuf::from("/workspace/work");
        let written = content(&circleci, work, &token, vec!["prefix".to_owned()]);
        let read: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let expected = json!({
            "api": {"auth_token": "t0ken", "url": "https://circleci.example"},
            "runner": {
                "name": "pod-1",
                "mode": "single-task",
                "working_directory": "/workspace/work",
                "cleanup_working_directory": true,
                "command_prefix": ["prefix"],
                "idle_timeout": "90s",
            },
            "logging": {"level": "info", "format": "text", "file": "-"},
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn the_file_is_gone_when_it_was_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = RuntimeDir::new(directory.path());
        let mut configuration = Configuration::write(&runtime, b"t0ken").unwrap();
        configuration.remove_once_read();
        let text = std::fs::read_to_string(&configuration.path).unwrap();
        assert!(text.contains("t0ken"));
        configuration.remove_once_read();
        assert!(!configuration.path.exists());
        assert!(configuration.fd().is_none());
    }
}
