//! A real PID namespace with the supervisor as its PID 1, driven from outside as an engine would.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, chown};
use serde_json::Value;
use tempfile::TempDir;
use test_support::eventually;

pub(crate) const SUPERVISOR: &str = env!("CARGO_BIN_EXE_supervisor");
const UID: u32 = 1000;
const DROP: &str =
    "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all";

/// What is started, and how.
pub(crate) struct Scene {
    pub(crate) directory: TempDir,
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

impl Scene {
    /// The supervisor as PID 1 and uid 1000 without capabilities, as in a pod.
    pub(crate) fn new() -> Self {
        assert!(
            nix::unistd::getuid().is_root(),
            "these tests make PID namespaces and change users: run them as root"
        );
        let directory = tempfile::tempdir().unwrap();
        let scene = Self {
            directory,
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
        scene.owned_directory("workspace");
        scene.owned_directory("run");
        fs::write(scene.path("supervisor"), "").unwrap();
        fs::set_permissions(
            scene.directory.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another flavor than `exec`, which then takes no command.
    #[allow(dead_code, reason = "for the runners' tests, which share this file")]
    pub(crate) fn flavor(mut self, flavor: &'static str) -> Self {
        self.flavor = flavor;
        self
    }

    pub(crate) fn owned_directory(&self, name: &str) {
        fs::create_dir(self.path(name)).unwrap();
        let id = Some(UID);
        chown(&self.path(name), id.map(Into::into), id.map(Into::into)).unwrap();
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A setting by its key, as `GRACE`; a later one wins.
    #[allow(dead_code, reason = "for the runners' tests")]
    pub(crate) fn setting(self, key: &str, value: &str) -> Self {
        self.env(&format!("SUPERVISOR_{key}"), value)
    }

    /// A staged secret; the directory `secrets` is there.
    #[allow(dead_code, reason = "for the runners' tests")]
    pub(crate) fn secret(&self, key: &str, value: &str) {
        let path = self.path("secrets").join(key);
        fs::write(&path, value).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        fs::set_permissions(&path, mode).unwrap();
    }

    /// Under another init: a shell that stays PID 1 and passes the exit status on.
    pub(crate) fn not_pid_1(mut self) -> Self {
        self.pid_1 = false;
        self
    }

    /// Shell commands before the supervisor starts, in the same process.
    pub(crate) fn prelude(mut self, commands: &str) -> Self {
        self.prelude = commands.to_owned();
        self
    }

    pub(crate) fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = Some(stdout);
        self
    }

    #[allow(dead_code, reason = "for the init's tests")]
    pub(crate) fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = Some(stderr);
        self
    }

    /// As root with every capability, for what holds there too.
    #[allow(dead_code, reason = "for the init's tests")]
    pub(crate) fn root(mut self) -> Self {
        self.identity = "";
        self
    }

    pub(crate) fn stdin(mut self, stdin: Stdio) -> Self {
        self.stdin = Some(stdin);
        self
    }

    /// The command line, from `unshare` on.
    fn command(&self, job: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        let supervisor = self.path("supervisor");
        // The bind mount ends with the namespace; the binary's own place may be closed to uid 1000.
        let start = if self.pid_1 { "exec" } else { "" };
        let end = if self.pid_1 { "" } else { "; exit $?" };
        let script = format!(
            "mount --bind '{SUPERVISOR}' \"$1\"; {}\n{start} {} \"$@\"{end}",
            self.prelude, self.identity
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
            .env("SUPERVISOR_RUNTIME_DIRECTORY", self.path("run"))
            .env("SUPERVISOR_SECRETS__DIRECTORY", self.path("secrets"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn start(mut self, job: &[&str]) -> Running {
        let mut command = self.command(job);
        command
            .stdin(self.stdin.take().unwrap_or_else(Stdio::null))
            .stdout(self.stdout.take().unwrap_or_else(Stdio::piped))
            .stderr(self.stderr.take().unwrap_or_else(Stdio::piped));
        let mut child = command.spawn().expect("unshare, of the package util-linux");
        let stdout = child.stdout.take().map(read_all::<ChildStdout>);
        let stderr = child.stderr.take().map(read_all::<ChildStderr>);
        Running {
            scene: self,
            child: Leashed(child),
            stdout,
            stderr,
        }
    }

    pub(crate) fn run(self, job: &[&str]) -> Ended {
        self.start(job).wait()
    }

    pub(crate) fn shell(self, script: &str) -> Ended {
        self.run(&["bash", "-c", script])
    }
}

fn read_all<R: Read + Send + 'static>(mut from: R) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut read = Vec::new();
        let _ = from.read_to_end(&mut read);
        String::from_utf8_lossy(&read).into_owned()
    })
}

/// A failed test leaves no namespace behind.
struct Leashed(Child);

impl Drop for Leashed {
    fn drop(&mut self) {
        if let Some(supervisor) = find_supervisor(Pid::from_raw(self.0.id() as i32)) {
            let _ = kill(supervisor, Signal::SIGKILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A scene under way.
pub(crate) struct Running {
    pub(crate) scene: Scene,
    child: Leashed,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    /// The supervisor's pid as this test sees it.
    pub(crate) fn supervisor(&self) -> Pid {
        let unshare = Pid::from_raw(self.child.0.id() as i32);
        eventually("the supervisor", || find_supervisor(unshare))
    }

    /// The runner's pid as this test sees it.
    pub(crate) fn runner(&self) -> Pid {
        let supervisor = self.supervisor();
        eventually("the runner", || children(supervisor).first().copied())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.supervisor(), signal).unwrap();
    }

    /// Waits until the job has made the file `name` in its working directory.
    pub(crate) fn wait_for_file(&self, name: &str) -> String {
        let path = self.scene.path("workspace/work").join(name);
        eventually(name, || fs::read_to_string(&path).ok())
    }

    /// Waits until a file of the scene's holds `text`.
    #[allow(dead_code, reason = "for the runners' tests")]
    pub(crate) fn wait_for_text(&self, file: &str, text: &str) {
        let read = || fs::read_to_string(self.scene.path(file)).unwrap_or_default();
        eventually(text, || read().contains(text));
    }

    /// Makes the file `end`, for jobs that stay until everything of theirs was seen: with them goes their workspace.
    #[allow(dead_code, reason = "for the init's tests")]
    pub(crate) fn let_end(&self) {
        fs::write(self.scene.path("workspace/work/end"), "").unwrap();
    }

    pub(crate) fn wait(mut self) -> Ended {
        let status = eventually("the end", || self.child.0.try_wait().unwrap());
        let text = |reader: Option<JoinHandle<String>>| {
            reader
                .map(|reader| reader.join().unwrap())
                .unwrap_or_default()
        };
        Ended {
            status,
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
            scene: self.scene,
        }
    }
}

/// A scene that is over.
pub(crate) struct Ended {
    pub(crate) scene: Scene,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// The report on stdout's last line.
    pub(crate) fn report(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{error}: {line:?}\n{}", self.stderr))
    }

    pub(crate) fn assert_workspace_is_empty(&self) {
        let left: Vec<PathBuf> = fs::read_dir(self.scene.path("workspace"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "{left:?}\n{}", self.stderr);
    }
}

/// ptrace(2)'s number, for the perl that calls it.
#[allow(dead_code, reason = "for the init's tests")]
pub(crate) const PTRACE: u32 = if cfg!(target_arch = "x86_64") {
    101
} else {
    117
};

pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

fn find_supervisor(under: Pid) -> Option<Pid> {
    children(under).into_iter().find_map(|child| {
        let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
        if Path::new(&*String::from_utf8_lossy(program)).ends_with("supervisor") {
            return Some(child);
        }
        find_supervisor(child)
    })
}

/// A field of `/proc/PID/status`.
pub(crate) fn status_field(pid: Pid, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
