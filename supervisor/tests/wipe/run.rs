//! The wipe at the end of `supervisor run`: what a job can do to it, and the exit code.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use test_support::eventually;

use crate::fixture::{Fixture, User};
use crate::process::{Finished, OpenBlocker, finish, start};

const DROP: &str =
    "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all";

/// The supervisor as PID 1 in a new mount namespace, which `prelude` sets up as root.
pub(crate) struct PodRun<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) user: User,
    pub(crate) prelude: &'a str,
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

impl PodRun<'_> {
    pub(crate) fn start(&self, job: &str) -> Child {
        self.fixture.owned_directory("run");
        let drop = if self.user == User::Root { "" } else { DROP };
        let script = format!(
            "set -eu; mount --make-rprivate /\n{}
            exec {drop} \"$supervisor\" run --no-preflight --storage-driver none --log-format human \
                --workspace \"$workspace\" -- bash -c \"$job\"",
            self.prelude
        );
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
            .args(["bash", "-c", &script])
            .env("job", job)
            .env("place", self.fixture.path(""))
            .env("workspace", self.fixture.workspace())
            .env("canary", self.fixture.path("canary"))
            .env("SUPERVISOR_RUNNER__INHERIT", "canary, place, workspace")
            .env("supervisor", self.fixture.supervisor())
            .env("SUPERVISOR_RUNTIME_DIRECTORY", self.fixture.path("run"))
            .env("SUPERVISOR_SECRETS__DIRECTORY", self.fixture.path("none"))
            .envs(self.environment.iter().copied());
        start(command)
    }

    pub(crate) fn run(&self, job: &str) -> Finished {
        finish(self.start(job))
    }
}

pub(crate) fn pod_run<'a>(fixture: &'a Fixture, user: User, prelude: &'a str) -> PodRun<'a> {
    PodRun {
        fixture,
        user,
        prelude,
        environment: &[],
    }
}

pub(crate) fn report(ended: &Finished) -> Value {
    let line = ended.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn leftovers_change_the_exit_code_of_a_successful_job_only() {
    for (job, code, reason) in [("exit 0", 75, "leftovers"), ("exit 3", 3, "failed")] {
        let fixture = Fixture::new(User::Runner);
        // It belongs to another user, so the runner cannot remove its entries.
        let prelude = r#"mkdir -m 0755 "$workspace/theirs"; : >"$workspace/theirs/file""#;
        let ended = pod_run(&fixture, User::Runner, prelude).run(job);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let report = report(&ended);
        assert_eq!(report["reason"], reason);
        assert_eq!(report["wiped"]["leftover_count"], 2);
        let left = format!(
            "{}: EACCES",
            fixture.path("workspace/theirs/file").display()
        );
        assert_eq!(report["wiped"]["leftovers"][0], left);
        assert!(ended.stderr.contains(&left), "{}", ended.stderr);
    }
}

#[test]
fn run_detaches_mounts_on_and_above_its_directories() {
    let fixture = Fixture::new(User::Root);
    let job = r#"
        echo secret >hidden; echo secret >~/hidden
        mount --bind "$canary" ~; mount --bind "$canary" "$TMPDIR"
        cd /; mount -t tmpfs tmpfs "$workspace/work"; echo x >"$workspace/work/shown"
        mount -t tmpfs tmpfs "$workspace"; echo x >"$workspace/shown"
        mount -t tmpfs tmpfs "$place"; mkdir "$place/workspace"
    "#;
    let ended = pod_run(&fixture, User::Root, "").run(job);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fixture.assert_empty();
}

#[test]
fn run_names_a_pod_volume_in_the_workspace_and_keeps_it() {
    for user in [User::Root, User::Runner] {
        let fixture = Fixture::new(user);
        let prelude = r#"
            mkdir "$workspace/cache" "$workspace/home"
            mount --bind "$canary" "$workspace/cache"
            mount -t tmpfs tmpfs "$workspace/home"; chown 1000:1000 "$workspace/home"
        "#;
        let ended = pod_run(&fixture, user, prelude).run("echo x >~/file");
        assert_eq!(ended.code, Some(75), "{ended:?}");
        let report = report(&ended);
        let leftovers = report["wiped"]["leftovers"].to_string();
        // HOME was emptied as a separate path. The other leftover has a remedy.
        assert_eq!(report["wiped"]["leftover_count"], 1, "{leftovers}");
        assert!(
            leftovers.contains("workspace/cache: EXDEV (mounted before the job began"),
            "{leftovers}"
        );
        assert!(leftovers.contains("workspace.also_wipe"), "{leftovers}");
        fixture.assert_canary();
    }
}

/// A volume for a `lost+found`, and ranges for uid 1000 that contain uid 65534.
const VOLUME: &str = r#"
    printf '1000:60000:6000\n' >"$place/ranges"
    for file in /etc/subuid /etc/subgid; do mount --bind "$place/ranges" $file; done
    mount -t tmpfs -o mode=0777 tmpfs "$workspace"
"#;

#[test]
fn run_wipes_a_lost_and_found_that_the_job_made() {
    let fixture = Fixture::new(User::Runner);
    // Uid 5535 inside is 65534 outside, which is also what stat(2) returns for an unmapped id.
    let job = r#"
        cd ..; mkdir lost+found; echo hidden >lost+found/file
        unshare --user --map-root-user --map-auto bash -c 'chmod 0 lost+found; chown 5535:5535 lost+found'
        [ "$(stat -c %u lost+found)" = 65534 ] || exit 9
    "#;
    let check = "[ -z \"$(ls -A \"$workspace\")\" ]";
    let ended = run_and_check(&fixture, VOLUME, job, check);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn run_empties_and_keeps_the_volumes_lost_and_found() {
    for mode in ["0700", "0770"] {
        let fixture = Fixture::new(User::Runner);
        let prelude = format!(
            "{VOLUME}\nmkdir -m {mode} \"$workspace/lost+found\"; chgrp 1000 \"$workspace/lost+found\""
        );
        let job = "cd ../lost+found && echo hidden >file || true";
        let check = "[ \"$(find \"$workspace\" -mindepth 1)\" = \"$workspace/lost+found\" ]";
        let ended = run_and_check(&fixture, &prelude, job, check);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

/// Runs `check` in the same namespace after the run, because the volume of the workspace ends with the namespace.
fn run_and_check(fixture: &Fixture, prelude: &str, job: &str, check: &str) -> Finished {
    fixture.owned_directory("run");
    let script = format!(
        "set -eu; mount --make-rprivate /\n{prelude}
        {DROP} \"$supervisor\" run --no-preflight --storage-driver none --workspace \"$workspace\" -- bash -c \"$job\"
        {check} || {{ find \"$workspace\" -ls; exit 8; }}"
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "bash", "-c", &script])
        .env("job", job)
        .env("place", fixture.path(""))
        .env("workspace", fixture.workspace())
        .env("supervisor", fixture.supervisor())
        .env("SUPERVISOR_RUNNER__INHERIT", "place, workspace")
        .env("SUPERVISOR_RUNTIME_DIRECTORY", fixture.path("run"))
        .env("SUPERVISOR_SECRETS__DIRECTORY", fixture.path("none"));
    finish(start(command))
}

#[test]
fn run_reports_emfile_after_a_job_lowers_pid_1s_limits() {
    let fixture = Fixture::new(User::Runner);
    let ended = pod_run(&fixture, User::Runner, "").run(": >file; prlimit --pid 1 --nofile=0:0");
    // Without a descriptor nothing can be removed, and the report says so.
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(
        report(&ended)["wiped"]["leftovers"]
            .to_string()
            .contains("EMFILE"),
        "{ended:?}"
    );
}

#[test]
fn sigterm_during_the_wipe_shortens_it() {
    let fixture = Fixture::in_memory(User::Runner);
    let environment = [
        ("SUPERVISOR_TERMINATION_GRACE_PERIOD", "1s"),
        ("SUPERVISOR_WIPE__RESERVE", "500ms"),
        ("SUPERVISOR_GRACE", "100ms"),
    ];
    let pod_run = PodRun {
        environment: &environment,
        ..pod_run(&fixture, User::Runner, "")
    };
    // They are more than a thread removes before the next check for a request to end.
    let job = "for i in {1..30000}; do : >$i; done; mv ../work ../made; mkdir ../work
        until [ -e ../go ]; do sleep 0.01; done";
    let unshare = pod_run.start(job);
    let made = fixture.path("workspace/made");
    eventually("the renamed directory", || made.exists());
    let blocker = OpenBlocker::new(&made);
    let supervisor = child_of(Pid::from_raw(i32::try_from(unshare.id()).unwrap()));
    fixture.file("workspace/go", "");
    blocker.hold(Duration::from_millis(200), || {
        kill(supervisor, Signal::SIGTERM).unwrap();
    });
    let ended = finish(unshare);
    let report = report(&ended);
    assert!(
        report["wiped"]["leftovers"].to_string().contains("ETIME"),
        "{report}"
    );
    assert_eq!(ended.code, Some(75));
    assert!(fs::read_dir(&made).unwrap().count() > 0);
}

fn child_of(pid: Pid) -> Pid {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap())
}
