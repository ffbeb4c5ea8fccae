//! A web site of plain files, for one test.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{root, runner_image, supervisor};
use tempfile::TempDir;

/// A directory that is served, and a lock file to write into.
pub(crate) struct Site {
    directory: TempDir,
    port: u16,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("site")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = directory.path().join("site");
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &site);
            }
        });
        let lock = root().join("images/versions.lock");
        fs::copy(lock, directory.path().join("versions.lock")).unwrap();
        Self { directory, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A place in the site; its directories are made.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        let file = self.directory.path().join("site").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        file
    }

    /// A directory that is not served.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn lock(&self) -> String {
        fs::read_to_string(self.directory.path().join("versions.lock")).unwrap()
    }

    /// One of our scripts, with this site in place of the vendors'.
    pub(crate) fn script(
        &self,
        script: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Output {
        let lock = self.directory.path().join("versions.lock");
        Command::new(root().join("scripts").join(script))
            .args(arguments)
            .env("CI_CD_AGENTS_BINARY", supervisor())
            .env("CI_CD_AGENTS_LOCK", lock)
            .env("RUNNER_IMAGE", runner_image())
            .env("GITHUB_API", self.url())
            .env("GITHUB_DOWNLOADS", self.url())
            .env("CIRCLECI_PACKAGES", self.url())
            .env("no_proxy", "127.0.0.1")
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }
}

fn serve(mut stream: TcpStream, site: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    match fs::read(site.join(path.trim_start_matches('/'))) {
        Ok(content) => {
            let length = content.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            )?;
            stream.write_all(&content)
        }
        Err(_) => write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    }
}

/// What a script said.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

/// Runs a shell script that must succeed.
pub(crate) fn shell(script: &str, arguments: &[&Path]) {
    let status = Command::new("bash")
        .args(["-euc", script, "bash"])
        .args(arguments)
        .status();
    assert!(status.unwrap().success(), "{script}");
}
