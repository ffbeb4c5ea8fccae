//! Fetches a Git repository as a build context, as the job and with the job's git.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::git::Source;

/// Why a repository was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// git could not be started.
    #[error("git: {0}; the context is a Git repository, which the job fetches itself")]
    Start(#[source] io::Error),
    /// git said no.
    #[error("git {step} of {url} failed; give context: . to build the job's own checkout")]
    Failed {
        /// Which of its commands.
        step: &'static str,
        /// Which repository.
        url: String,
    },
    /// Another commit than was asked for.
    #[error("{url}: expected commit {expected}, found {found}")]
    Checksum {
        /// Which repository.
        url: String,
        /// What was asked for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file that could not be removed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Reads the token from its file, so that it stands on no command line and in no environment.
const HELPER: &str = "!f() { test \"$1\" = get || exit 0; echo username=x-access-token; printf 'password='; cat -- \"$CI_CD_AGENTS_GIT_TOKEN\"; echo; }; f";

/// One commit, no history; afterwards the directory holds the files alone.
pub(super) fn fetch(source: &Source, to: &Path) -> Result<(), FetchError> {
    let git = Git { source, to };
    let reference = source.reference.as_deref().unwrap_or("HEAD");
    git.run("init", &["init", "--quiet", "--"], true)?;
    git.run(
        "fetch",
        &[
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--",
            &source.url,
            reference,
        ],
        false,
    )?;
    git.run(
        "checkout",
        &["checkout", "--quiet", "--detach", "FETCH_HEAD"],
        false,
    )?;
    if let Some(expected) = &source.checksum {
        let found = git.head()?;
        if !found.starts_with(expected) {
            return Err(FetchError::Checksum {
                url: source.url.clone(),
                expected: expected.clone(),
                found,
            });
        }
    }
    if source.submodules && to.join(".gitmodules").exists() {
        // Addresses of submodules are relative to that of the repository.
        git.run(
            "remote add",
            &["remote", "add", "--", "origin", &source.url],
            false,
        )?;
        git.run(
            "submodule update",
            &[
                "submodule",
                "--quiet",
                "update",
                "--init",
                "--recursive",
                "--depth=1",
            ],
            false,
        )?;
    }
    if !source.keep_git {
        let path = to.join(".git");
        std::fs::remove_dir_all(&path).map_err(|source| FetchError::File { path, source })?;
    }
    Ok(())
}

struct Git<'a> {
    source: &'a Source,
    to: &'a Path,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        if let Some(token) = &self.source.token {
            let key = format!("credential.https://{}.helper", self.source.host());
            command
                .args(["-c", &format!("{key}="), "-c", &format!("{key}={HELPER}")])
                .env("CI_CD_AGENTS_GIT_TOKEN", token);
        }
        command
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .stdin(Stdio::null());
        command
    }

    /// `git init` makes the directory, the others work in it.
    fn run(&self, step: &'static str, arguments: &[&str], makes: bool) -> Result<(), FetchError> {
        let mut command = self.command(arguments);
        if makes {
            command.arg(self.to);
        } else {
            command.current_dir(self.to);
        }
        // A job's standard output is for the image's ID.
        let ended = command
            .stdout(Stdio::null())
            .status()
            .map_err(FetchError::Start)?;
        if ended.success() {
            return Ok(());
        }
        Err(FetchError::Failed {
            step,
            url: self.source.url.clone(),
        })
    }

    fn head(&self) -> Result<String, FetchError> {
        let mut command = self.command(&["rev-parse", "HEAD"]);
        let output = command
            .current_dir(self.to)
            .output()
            .map_err(FetchError::Start)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
