//! A real PID namespace with the supervisor as its PID 1, driven from outside as an engine would.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::unistd::chown;
use tempfile::TempDir;

const UID: u32 = 1000;
const DROP: &str =
    "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all";

/// A supervisor that is not yet started, and the directory of its files.
pub struct Fixture {
    /// Holds `workspace`, `run`, `report.json` and, if a test makes it, `secrets`.
    pub directory: TempDir,
    supervisor: &'static str,
    flavor: &'static str,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    pid_1: bool,
    prelude: String,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    stdin: Option<Stdio>,
    identity: &'static str,
}

impl Fixture {
    /// Returns the program `supervisor` as PID 1 and uid 1000 without capabilities, as in a pod.
    #[must_use]
    pub fn new(supervisor: &'static str) -> Self {
        assert!(
            nix::unistd::getuid().is_root(),
            "these tests make PID namespaces and change users: run them as root"
        );
        let directory = tempfile::tempdir().unwrap();
        let fixture = Self {
            directory,
            supervisor,
            flavor: "exec",
            flags: Vec::new(),
            environment: Vec::new(),
            pid_1: true,
            prelude: String::new(),
            stdout: None,
            stderr: None,
            stdin: None,
            identity: DROP,
        };
        fixture.owned_directory("workspace");
        fixture.owned_directory("run");
        fs::write(fixture.path("supervisor"), "").unwrap();
        fs::set_permissions(
            fixture.directory.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        fixture
    }

    /// Returns the path of a file in the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sets a flavor other than `exec`. It takes no command.
    #[must_use]
    pub fn flavor(mut self, flavor: &'static str) -> Self {
        self.flavor = flavor;
        self
    }

    /// Creates a directory that uid 1000 owns.
    pub fn owned_directory(&self, name: &str) {
        fs::create_dir(self.path(name)).unwrap();
        let id = Some(UID);
        chown(&self.path(name), id.map(Into::into), id.map(Into::into)).unwrap();
    }

    /// Appends flags of `supervisor run`.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// Sets a variable of the supervisor's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a setting by its key, as `GRACE`. A later value wins.
    #[must_use]
    pub fn setting(self, key: &str, value: &str) -> Self {
        self.env(&format!("SUPERVISOR_{key}"), value)
    }

    /// Writes a staged secret. The directory `secrets` must exist.
    pub fn secret(&self, key: &str, value: &str) {
        let path = self.path("secrets").join(key);
        fs::write(&path, value).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        fs::set_permissions(&path, mode).unwrap();
    }

    /// Runs the supervisor under another init: a shell that stays PID 1 and passes the exit status on.
    #[must_use]
    pub fn not_pid_1(mut self) -> Self {
        self.pid_1 = false;
        self
    }

    /// Sets shell commands that run before the supervisor starts, in the same process.
    #[must_use]
    pub fn prelude(mut self, commands: &str) -> Self {
        self.prelude = commands.to_owned();
        self
    }

    /// Replaces the pipe on stdout.
    #[must_use]
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = Some(stdout);
        self
    }

    /// Replaces the pipe on stderr.
    #[must_use]
    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = Some(stderr);
        self
    }

    /// Runs the supervisor as root with every capability.
    #[must_use]
    pub fn root(mut self) -> Self {
        self.identity = "";
        self
    }

    /// Replaces /dev/null on stdin.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.stdin = Some(stdin);
        self
    }

    /// Returns the command line from `unshare` on, with its stdin, stdout and stderr.
    pub(crate) fn command(&mut self, job: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        let supervisor = self.path("supervisor");
        // The bind mount ends with the namespace; the binary's own place may be closed to uid 1000.
        let start = if self.pid_1 { "exec" } else { "" };
        let end = if self.pid_1 { "" } else { "; exit $?" };
        let script = format!(
            "mount --bind '{}' \"$1\"; {}\n{start} {} \"$@\"{end}",
            self.supervisor, self.prelude, self.identity
        );
        command.args(["bash", "-c", &script, "bash"]);
        command
            .arg(supervisor)
            .args(["run", "--flavor", self.flavor]);
        command.args(["--no-preflight", "--storage-driver", "none"]);
        command.arg("--workspace").arg(self.path("workspace"));
        command.arg("--report-file").arg(self.path("report.json"));
        command.args(["--log-format", "json"]).args(&self.flags);
        if !job.is_empty() {
            command.arg("--").args(job);
        }
        command
            .stdin(self.stdin.take().unwrap_or_else(Stdio::null))
            .stdout(self.stdout.take().unwrap_or_else(Stdio::piped))
            .stderr(self.stderr.take().unwrap_or_else(Stdio::piped))
            .env("SUPERVISOR_RUNTIME_DIRECTORY", self.path("run"))
            .env("SUPERVISOR_SECRETS__DIRECTORY", self.path("secrets"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
