//! With a terminal the runner's group is in the foreground, and the terminal is given back at the end.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use tempfile::TempDir;

use crate::SUPERVISOR;

/// What was typed and printed on a pseudo-terminal.
struct Session {
    screen: std::fs::File,
    seen: String,
    child: Child,
    _directory: TempDir,
}

impl Session {
    /// `script` runs on a new terminal; in it `$SUPERVISOR` stands for the command line up to the job.
    fn open(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pty = openpty(None, None).unwrap();
        let end = || -> OwnedFd { pty.slave.try_clone().unwrap() };
        let supervisor = format!(
            "{SUPERVISOR} run --flavor exec --no-preflight --storage-driver none --log-level error --workspace {}",
            directory.path().join("workspace").display()
        );
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", "bash", "-c", script])
            .env("SUPERVISOR", supervisor)
            .env("WORK", directory.path().join("workspace/work"))
            .env("SUPERVISOR_RUNTIME_DIRECTORY", directory.path().join("run"))
            .stdin(Stdio::from(end()))
            .stdout(Stdio::from(end()))
            .stderr(Stdio::from(end()))
            .spawn()
            .unwrap();
        Self {
            screen: pty.master.into(),
            seen: String::new(),
            child,
            _directory: directory,
        }
    }

    fn expect(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let mut fds = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(60_000u16)).unwrap();
            assert!(
                ready > 0,
                "waited in vain for {text:?}; seen: {}",
                self.seen
            );
            let count = self.screen.read(&mut buffer).unwrap_or(0);
            assert!(count > 0, "ended before {text:?}; seen: {}", self.seen);
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// Reads until no process has the terminal open.
    fn expect_end(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            let mut fds = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(60_000u16)).unwrap();
            assert!(ready > 0, "waited in vain for the end; seen: {}", self.seen);
            // EIO, once the other side is closed.
            let Ok(count @ 1..) = self.screen.read(&mut buffer) else {
                return;
            };
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    fn type_in(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    fn close(mut self, code: i32) {
        self.expect_end();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "{}", self.seen);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn job_control_works_and_ctrl_c_reaches_the_runner_once() {
    // As an engine starts PID 1: the leader of a session whose controlling terminal it is.
    let mut session = Session::open(
        "exec unshare --pid --fork --mount-proc --kill-child setsid --ctty $SUPERVISOR -- bash --norc --noediting -i",
    );
    session.type_in("PS1=; trap 'echo caught-$((++n))' INT; echo REA''DY\n");
    session.expect("READY");
    assert!(!session.seen.contains("no job control"), "{}", session.seen);
    session.type_in("\x03");
    session.expect("caught-1");
    session.type_in("bash -c 'echo STAR\"\"TED; exec sleep 1000'\n");
    session.expect("STARTED");
    session.type_in("\x1a");
    session.expect("Stopped");
    // bash does not leave while it believes that a job is stopped, and learns of its end a moment later.
    session.type_in("kill -KILL %1; until [ -z \"$(jobs -s)\" ]; do sleep 0.01; done\n");
    session.type_in("echo to''tal-$n; exit 9\n");
    session.expect("total-1");
    session.close(9);
}

#[test]
fn the_terminal_is_given_back() {
    let mut session =
        Session::open("$SUPERVISOR -- true; read -r line; echo \"re\"\"ad $line\"; exit 3");
    session.expect("schema");
    // In the background this read would fail, or stop the shell.
    session.type_in("typed\n");
    session.expect("read typed");
    session.close(3);
}

#[test]
fn those_who_outlive_the_runner_do_not_spoil_it() {
    // It ignores everything but SIGKILL, and sets the terminal when the runner is gone.
    let mut session = Session::open(
        r#"$SUPERVISOR -- bash -c '(trap "" TERM HUP TTOU; while kill -0 $$; do sleep 0.01; done; stty -F /dev/tty raw -echo; exec sleep 1000) 2>/dev/null & exit 0'; stty -a; exit 6"#,
    );
    session.expect("schema");
    session.expect(" icanon");
    session.expect(" echo ");
    session.close(6);
}

#[test]
fn the_log_is_for_people_on_a_terminal_and_json_elsewhere() {
    let mut session = Session::open(
        "$SUPERVISOR -- /no/such >/dev/null; ($SUPERVISOR -- /no/such 2>&1 >/dev/null) | cat; exit 5",
    );
    session.expect("supervisor: error: cannot start /no/such");
    session.expect(r#""level":"ERROR""#);
    session.close(5);
}

#[test]
fn a_terminal_that_was_left_raw_and_stopped_is_put_right() {
    let mut session = Session::open(
        "$SUPERVISOR -- perl -MPOSIX -e 'system(\"stty raw -echo\"); tcflow(0, TCOOFF)'; stty -a; exit 6",
    );
    session.expect("schema");
    session.expect(" icanon");
    session.expect(" echo ");
    session.close(6);
}

#[test]
fn in_the_background_the_terminal_is_left_alone() {
    // A group that takes the terminal from the background would steal the shell's input.
    let mut session = Session::open(
        "set -m; $SUPERVISOR -- bash -c 'echo STAR\"\"TED; until [ -e end ]; do sleep 0.02; done' & read -r line; echo \"re\"\"ad $line\"; touch \"$WORK/end\"; wait; exit 4",
    );
    session.expect("STARTED");
    session.type_in("typed\n");
    session.expect("read typed");
    session.close(4);
}

#[test]
fn ctrl_z_stops_us_too_where_a_shell_started_us() {
    // The shell's own prompt comes back, and `fg` gives the terminal to the runner again.
    let mut session = Session::open("exec bash --norc --noediting -i");
    session.type_in("PS1=; $SUPERVISOR -- bash -c 'echo STAR\"\"TED; read -r line; echo \"go\"\"t $line\"; exit 4'\n");
    session.expect("STARTED");
    session.type_in("\x1a");
    session.expect("Stopped");
    session.type_in("echo back''-here; fg\n");
    session.expect("back-here");
    session.type_in("typed\n");
    session.expect("got typed");
    session.type_in("exit $?\n");
    session.close(4);
}
