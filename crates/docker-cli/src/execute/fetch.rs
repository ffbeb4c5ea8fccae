//! Fetches a Git repository as build context, with the job's own git.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::git::GitSource;

/// Why a repository was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// git did not start.
    #[error("git: {0}; the context is a Git repository, which the job fetches itself")]
    Start(#[source] io::Error),
    /// git failed. It has printed its own error.
    #[error("git {step} of {url} failed; give context: . to build the job's own checkout")]
    Failed {
        /// The command of git.
        step: &'static str,
        /// The repository.
        url: String,
    },
    /// The reference points to another commit than `checksum`.
    #[error("{url}: expected commit {expected}, found {found}")]
    Checksum {
        /// The repository.
        url: String,
        /// The requested commit.
        expected: String,
        /// The fetched commit.
        found: String,
    },
    /// The directory `.git` could not be removed.
    #[error("{}: {source}", path.display())]
    File {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// A credential helper that reads the token from its file. So no command line and no environment contains the token.
const HELPER: &str = "!f() { test \"$1\" = get || exit 0; echo username=x-access-token; printf 'password='; cat -- \"$CI_CD_AGENTS_GIT_TOKEN\"; echo; }; f";

/// Fetches one commit without its history. Without `keep_git`, the directory then contains only the files.
pub(super) fn fetch(source: &GitSource, to: &Path) -> Result<(), FetchError> {
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
        // The address of a submodule may be relative to the repository's.
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
    source: &'a GitSource,
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

    /// Runs git. `git init` creates the directory, and the other commands run in it.
    fn run(&self, step: &'static str, arguments: &[&str], makes: bool) -> Result<(), FetchError> {
        let mut command = self.command(arguments);
        if makes {
            command.arg(self.to);
        } else {
            command.current_dir(self.to);
        }
        // Standard output belongs to the image's ID.
        let status = command
            .stdout(Stdio::null())
            .status()
            .map_err(FetchError::Start)?;
        if status.success() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn git(directory: &Path, arguments: &[&str]) {
        let identity = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "init.defaultBranch=main",
        ];
        let mut command = Command::new("git");
        let status = command
            .args(identity)
            .args(arguments)
            .current_dir(directory)
            .status();
        assert!(status.unwrap().success(), "{arguments:?}");
    }

    /// A repository with two commits; the first has the file `old`.
    fn repository(directory: &Path) -> String {
        git(directory, &["init", "--quiet"]);
        git(
            directory,
            &["config", "uploadpack.allowAnySHA1InWant", "true"],
        );
        for name in ["old", "new"] {
            std::fs::write(directory.join(name), name).unwrap();
            git(directory, &["add", name]);
            git(directory, &["commit", "--quiet", "-m", name]);
        }
        git(directory, &["branch", "side", "HEAD~"]);
        let output = Command::new("git")
            .args(["rev-parse", "side"])
            .current_dir(directory)
            .output();
        String::from_utf8(output.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    }

    fn source(directory: &Path, reference: Option<&str>) -> GitSource {
        let context = "https://h/r.git";
        let mut source = GitSource::parse(context).unwrap();
        source.url = format!("file://{}", directory.display());
        source.reference = reference.map(str::to_owned);
        source
    }

    #[test]
    fn commits_branches_and_head_are_fetched_without_dot_git() {
        let from = tempfile::tempdir().unwrap();
        let old = repository(from.path());
        for (reference, has_new) in [
            (None, true),
            (Some("side"), false),
            (Some("refs/heads/main"), true),
            (Some(old.as_str()), false),
        ] {
            let to = tempfile::tempdir().unwrap();
            let to = to.path().join("git");
            fetch(&source(from.path(), reference), &to).unwrap();
            assert!(to.join("old").exists() && !to.join(".git").exists());
            assert_eq!(to.join("new").exists(), has_new, "{reference:?}");
        }
    }

    #[test]
    fn a_wrong_commit_and_a_missing_commit_are_errors() {
        let from = tempfile::tempdir().unwrap();
        repository(from.path());
        let to = tempfile::tempdir().unwrap();
        let mut wrong = source(from.path(), Some("main"));
        wrong.checksum = Some("0123456789".to_owned());
        let text = fetch(&wrong, &to.path().join("a")).unwrap_err().to_string();
        assert!(text.contains("expected commit 0123456789"), "{text}");
        let missing = source(from.path(), Some("nope"));
        let text = fetch(&missing, &to.path().join("b"))
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("git fetch of file://"), "{text}");
    }

    /// `git credential fill` prints the credentials that git would send.
    #[test]
    fn the_token_goes_only_to_its_own_host() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "hunter2").unwrap();
        let mut source = GitSource::parse("https://git.example/o/r.git").unwrap();
        source.token = Some(token);
        let credentials = |host: &str| {
            use std::io::Write;
            let git = Git {
                source: &source,
                to: directory.path(),
            };
            let mut command = git.command(&["credential", "fill"]);
            command
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_ASKPASS", "false");
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            write!(input, "protocol=https\nhost={host}\n\n").unwrap();
            drop(input);
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
        };
        assert!(
            credentials("git.example").contains("username=x-access-token\npassword=hunter2\n"),
            "{}",
            credentials("git.example")
        );
        assert!(!credentials("other.example").contains("hunter2"));
    }
}
