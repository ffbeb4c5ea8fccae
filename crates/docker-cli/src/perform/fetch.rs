//! Fetches a Git repository as a build context, as the job and with the job's git.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::git::Source;

/// Why a repository was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
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

    fn source(directory: &Path, reference: Option<&str>) -> Source {
        let context = "https://h/r.git";
        let mut source = Source::read(context).unwrap();
        source.url = format!("file://{}", directory.display());
        source.reference = reference.map(str::to_owned);
        source
    }

    #[test]
    fn a_commit_a_branch_and_the_head_are_fetched_without_git_itself() {
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
    fn another_commit_than_asked_for_and_one_that_is_not_there_are_errors() {
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

    /// git itself says what it would send.
    #[test]
    fn the_token_goes_to_its_own_host_alone() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "hunter2").unwrap();
        let mut source = Source::read("https://git.example/o/r.git").unwrap();
        source.token = Some(token);
        let ask = |host: &str| {
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
            ask("git.example").contains("username=x-access-token\npassword=hunter2\n"),
            "{}",
            ask("git.example")
        );
        assert!(!ask("other.example").contains("hunter2"));
    }
}
