//! One run of `scripts/runme_local.sh`, under way and over.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;
use test_support::eventually_or;

use crate::{Image, podman, root, supervisor};

/// A job to run.
pub struct Job {
    arguments: Vec<String>,
    command: Vec<String>,
    directory: TempDir,
    name: String,
}

impl Job {
    /// The workflows of a repository.
    #[must_use]
    pub fn of(repository: &Path) -> Self {
        let job = Self::empty();
        job.arguments(&[&repository.to_string_lossy()])
    }

    /// A shell script under the flavor `exec`.
    #[must_use]
    pub fn shell(script: &str) -> Self {
        let mut job = Self::empty();
        job.command = ["bash", "-c", script].map(str::to_owned).into();
        job
    }

    fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let unique = directory.path().file_name().unwrap().to_string_lossy();
        let name = format!("test-{}", unique.trim_start_matches('.'));
        Self {
            arguments: Vec::new(),
            command: Vec::new(),
            directory,
            name,
        }
    }

    /// The name of its container and volume.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory with its secrets, if it has any.
    #[must_use]
    pub fn secrets(&self) -> Option<PathBuf> {
        Some(self.directory.path().join("secrets")).filter(|path| path.exists())
    }

    /// Further arguments of the script.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// In one container, where Buildah runs beside the job.
    #[must_use]
    pub fn single(self) -> Self {
        self.arguments(&["--shape", "single"])
    }

    /// A staged secret.
    #[must_use]
    pub fn secret(mut self, key: &str, value: &str) -> Self {
        let secrets = self.directory.path().join("secrets");
        if !secrets.exists() {
            std::fs::create_dir(&secrets).unwrap();
            self = self.arguments(&["--secrets", &secrets.to_string_lossy()]);
        }
        std::fs::write(secrets.join(key), value).unwrap();
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Running {
        let kept = |name: &str| {
            self.directory
                .path()
                .join(name)
                .to_string_lossy()
                .into_owned()
        };
        let mut command = Command::new(root().join("scripts/runme_local.sh"));
        command
            .args([
                "--name",
                &self.name,
                "--keep-report",
                &kept("report.json"),
                "--keep-images",
                &kept("images"),
            ])
            .args(&self.arguments)
            .env("CI_CD_AGENTS_BINARY", supervisor())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !self.command.is_empty() {
            command.arg("--").args(&self.command);
        }
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            follow(child.stdout.take().unwrap(), Arc::clone(&log)),
            follow(child.stderr.take().unwrap(), Arc::clone(&log)),
        ];
        Running {
            child,
            log,
            readers,
            directory: self.directory,
            name: self.name,
        }
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(self) -> Ended {
        self.start().wait()
    }
}

fn follow(from: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            log.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// A job under way.
pub struct Running {
    /// The script.
    pub child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    directory: TempDir,
    /// The container's and the volume's name.
    pub name: String,
}

impl Running {
    /// All that was printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until a text was printed.
    pub fn wait_for_text(&mut self, text: &str) {
        eventually_or(text, || self.log().contains(text), || self.log());
    }

    /// The script's end.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        for reader in self.readers {
            reader.join().unwrap();
        }
        let log = self.log.lock().unwrap().clone();
        Ended {
            status,
            log,
            directory: self.directory,
            name: self.name,
        }
    }
}

/// A job that is over.
pub struct Ended {
    /// How the script ended.
    pub status: ExitStatus,
    /// All that was printed, stdout and stderr.
    pub log: String,
    directory: TempDir,
    name: String,
}

impl Ended {
    /// The script's exit code.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The supervisor's report.
    #[must_use]
    pub fn report(&self) -> Value {
        self.read_report("report.json")
    }

    /// The builder's report.
    #[must_use]
    pub fn builder_report(&self) -> Value {
        self.read_report("report.json.builder")
    }

    fn read_report(&self, name: &str) -> Value {
        let file = File::open(self.directory.path().join(name));
        let file = file.unwrap_or_else(|error| panic!("no report: {error}\n{}", self.log));
        serde_json::from_reader(file).unwrap()
    }

    /// An image that the job pushed, fetched back from the registry.
    #[must_use]
    pub fn image(&self, name: &str) -> Image {
        let directory: PathBuf = self.directory.path().join("images").join(name);
        assert!(directory.exists(), "{name} was not pushed: {}", self.log);
        Image::new(directory)
    }

    /// Nothing of the job is left on this machine: no file, process, mount, container or volume.
    pub fn assert_nothing_is_left(&self) {
        assert!(self.log.contains("\nWorkspace: empty\n"), "{}", self.log);
        let name = &self.name;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(name.as_str()), "{mounts}");
        for list in [
            &[
                "ps",
                "--all",
                "--quiet",
                "--filter",
                &format!("name={name}"),
            ][..],
            &[
                "volume",
                "ls",
                "--quiet",
                "--filter",
                &format!("name={name}"),
            ],
        ] {
            let output = podman(list);
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(
                output.stdout.is_empty(),
                "{}",
                String::from_utf8_lossy(&output.stdout)
            );
        }
    }
}
