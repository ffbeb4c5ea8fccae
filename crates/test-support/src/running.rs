//! A run in progress and its result.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::eventually::eventually;
use crate::namespace::Fixture;
use crate::procfs::children;

impl Fixture {
    /// Starts it with this command as its job.
    #[must_use]
    pub fn start(mut self, job: &[&str]) -> Running {
        let mut child = self
            .command(job)
            .spawn()
            .expect("unshare, of the package util-linux");
        let stdout = child.stdout.take().map(read_all::<ChildStdout>);
        let stderr = child.stderr.take().map(read_all::<ChildStderr>);
        Running {
            fixture: self,
            child: Leashed(child),
            stdout,
            stderr,
        }
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(self, job: &[&str]) -> Ended {
        self.start(job).wait()
    }

    /// Runs it to its end, with a script as its job.
    #[must_use]
    pub fn shell(self, script: &str) -> Ended {
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

/// A run in progress.
pub struct Running {
    /// What was started.
    pub fixture: Fixture,
    child: Leashed,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    /// Returns the supervisor's pid in the test's namespace.
    #[must_use]
    pub fn supervisor(&self) -> Pid {
        let unshare = Pid::from_raw(self.child.0.id() as i32);
        eventually("the supervisor", || find_supervisor(unshare))
    }

    /// Returns the runner's pid in the test's namespace.
    #[must_use]
    pub fn runner(&self) -> Pid {
        let supervisor = self.supervisor();
        eventually("the runner", || children(supervisor).first().copied())
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: Signal) {
        kill(self.supervisor(), signal).unwrap();
    }

    /// Waits until the job has made the file `name` in its working directory, and returns its content.
    pub fn wait_for_file(&self, name: &str) -> String {
        let path = self.fixture.path("workspace/work").join(name);
        eventually(name, || fs::read_to_string(&path).ok())
    }

    /// Waits until a file in the fixture's directory contains `text`.
    pub fn wait_for_text(&self, file: &str, text: &str) {
        let read = || fs::read_to_string(self.fixture.path(file)).unwrap_or_default();
        eventually(text, || read().contains(text));
    }

    /// Makes the file `end`. A job that waits for it keeps its workspace until the test has read everything.
    pub fn let_end(&self) {
        fs::write(self.fixture.path("workspace/work/end"), "").unwrap();
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Ended {
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
            fixture: self.fixture,
        }
    }
}

/// The result of a run.
pub struct Ended {
    /// What was started.
    pub fixture: Fixture,
    /// The supervisor's, which `unshare` passes on.
    pub status: ExitStatus,
    /// Everything on stdout, the report included.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Ended {
    /// Returns the exit code, or 128 and the number of the signal.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Returns the report on stdout's last line.
    #[must_use]
    pub fn report(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{error}: {line:?}\n{}", self.stderr))
    }

    /// Asserts that the run left no entry in the workspace.
    pub fn assert_workspace_is_empty(&self) {
        let left: Vec<PathBuf> = fs::read_dir(self.fixture.path("workspace"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "{left:?}\n{}", self.stderr);
    }
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
