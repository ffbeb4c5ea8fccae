//! The wipe at the end of `supervisor run`: against what a job did to it, and what it does to the exit code.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::place::{Ambush, Place, Who, Wiped, finish, start};

const DROP: &str =
    "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all";

/// The supervisor as PID 1 with a mount namespace of its own; `prelude` sets it up as root.
pub(crate) struct Scene<'a> {
    pub(crate) place: &'a Place,
    pub(crate) who: Who,
    pub(crate) prelude: &'a str,
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

impl Scene<'_> {
    pub(crate) fn start(&self, job: &str) -> Child {
        self.place.directory_of_the_job("run");
        let drop = if self.who == Who::Root { "" } else { DROP };
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
            .env("place", self.place.path(""))
            .env("workspace", self.place.workspace())
            .env("canary", self.place.path("canary"))
            .env("SUPERVISOR_RUNNER__INHERIT", "canary, place, workspace")
            .env("supervisor", self.place.supervisor())
            .env("SUPERVISOR_RUNTIME_DIRECTORY", self.place.path("run"))
            .env("SUPERVISOR_SECRETS__DIRECTORY", self.place.path("none"))
            .envs(self.environment.iter().copied());
        start(command)
    }

    pub(crate) fn run(&self, job: &str) -> Wiped {
        finish(self.start(job))
    }
}

pub(crate) fn scene<'a>(place: &'a Place, who: Who, prelude: &'a str) -> Scene<'a> {
    Scene {
        place,
        who,
        prelude,
        environment: &[],
    }
}

pub(crate) fn report(ended: &Wiped) -> Value {
    let line = ended.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn leftovers_decide_the_exit_code_only_where_the_job_succeeded() {
    for (job, code, reason) in [("exit 0", 75, "leftovers"), ("exit 3", 3, "failed")] {
        let place = Place::new(Who::Runner);
        // Another user's: the runner can neither list nor remove what is in it.
        let prelude = r#"mkdir -m 0755 "$workspace/theirs"; : >"$workspace/theirs/file""#;
        let ended = scene(&place, Who::Runner, prelude).run(job);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let report = report(&ended);
        assert_eq!(report["reason"], reason);
        assert_eq!(report["wiped"]["leftover_count"], 2);
        let left = format!("{}: EACCES", place.path("workspace/theirs/file").display());
        assert_eq!(report["wiped"]["leftovers"][0], left);
        assert!(ended.stderr.contains(&left), "{}", ended.stderr);
    }
}

#[test]
fn what_a_job_mounts_on_its_directories_hides_nothing_and_leads_nowhere() {
    let place = Place::new(Who::Root);
    let job = r#"
        echo secret >hidden; echo secret >~/hidden
        mount --bind "$canary" ~; mount --bind "$canary" "$TMPDIR"
        cd /; mount -t tmpfs tmpfs "$workspace/work"; echo x >"$workspace/work/shown"
        mount -t tmpfs tmpfs "$workspace"; echo x >"$workspace/shown"
        mount -t tmpfs tmpfs "$place"; mkdir "$place/workspace"
    "#;
    let ended = scene(&place, Who::Root, "").run(job);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place.assert_empty();
}

#[test]
fn a_volume_of_the_pods_in_the_workspace_is_not_the_jobs() {
    for who in [Who::Root, Who::Runner] {
        let place = Place::new(who);
        let prelude = r#"
            mkdir "$workspace/cache" "$workspace/home"
            mount --bind "$canary" "$workspace/cache"
            mount -t tmpfs tmpfs "$workspace/home"; chown 1000:1000 "$workspace/home"
        "#;
        let ended = scene(&place, who, prelude).run("echo x >~/file");
        assert_eq!(ended.code, Some(75), "{ended:?}");
        let report = report(&ended);
        let leftovers = report["wiped"]["leftovers"].to_string();
        // HOME was emptied as a path of its own. The other one has a cure.
        assert_eq!(report["wiped"]["leftover_count"], 1, "{leftovers}");
        assert!(
            leftovers.contains("workspace/cache: EXDEV (mounted before the job began"),
            "{leftovers}"
        );
        assert!(leftovers.contains("workspace.also_wipe"), "{leftovers}");
        place.assert_canary();
    }
}

/// A volume with the directory that mkfs.ext4 makes, and ranges for uid 1000 that hold "nobody".
const VOLUME: &str = r#"
    printf '1000:60000:6000\n' >"$place/ranges"
    for file in /etc/subuid /etc/subgid; do mount --bind "$place/ranges" $file; done
    mount -t tmpfs -o mode=0777 tmpfs "$workspace"
"#;

#[test]
fn nothing_hides_in_a_lost_and_found_that_nobody_owns() {
    let place = Place::new(Who::Runner);
    // Inside, 5535 is 65534 outside: what an id without a place in the map looks like as well.
    let job = r#"
        cd ..; mkdir lost+found; echo hidden >lost+found/file
        unshare --user --map-root-user --map-auto bash -c 'chmod 0 lost+found; chown 5535:5535 lost+found'
        [ "$(stat -c %u lost+found)" = 65534 ] || exit 9
    "#;
    let look = "[ -z \"$(ls -A \"$workspace\")\" ]";
    let ended = scene_with_look(&place, VOLUME, job, look);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn the_volumes_own_lost_and_found_stays_and_is_emptied() {
    for mode in ["0700", "0770"] {
        let place = Place::new(Who::Runner);
        let prelude = format!(
            "{VOLUME}\nmkdir -m {mode} \"$workspace/lost+found\"; chgrp 1000 \"$workspace/lost+found\""
        );
        let job = "cd ../lost+found && echo hidden >file || true";
        let look = "[ \"$(find \"$workspace\" -mindepth 1)\" = \"$workspace/lost+found\" ]";
        let ended = scene_with_look(&place, &prelude, job, look);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

/// The workspace is on a volume that ends with the namespace: `look` is asked in it, after the run.
fn scene_with_look(place: &Place, prelude: &str, job: &str, look: &str) -> Wiped {
    place.directory_of_the_job("run");
    let script = format!(
        "set -eu; mount --make-rprivate /\n{prelude}
        {DROP} \"$supervisor\" run --no-preflight --storage-driver none --workspace \"$workspace\" -- bash -c \"$job\"
        {look} || {{ find \"$workspace\" -ls; exit 8; }}"
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "bash", "-c", &script])
        .env("job", job)
        .env("place", place.path(""))
        .env("workspace", place.workspace())
        .env("supervisor", place.supervisor())
        .env("SUPERVISOR_RUNNER__INHERIT", "place, workspace")
        .env("SUPERVISOR_RUNTIME_DIRECTORY", place.path("run"))
        .env("SUPERVISOR_SECRETS__DIRECTORY", place.path("none"));
    finish(start(command))
}

#[test]
fn limits_that_a_job_puts_on_the_supervisor_are_no_way_to_hide() {
    let place = Place::new(Who::Runner);
    let ended = scene(&place, Who::Runner, "").run(": >file; prlimit --pid 1 --nofile=0:0");
    // Without a single descriptor nothing can be removed. That is said, not passed over.
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(
        report(&ended)["wiped"]["leftovers"]
            .to_string()
            .contains("EMFILE"),
        "{ended:?}"
    );
}

#[test]
fn a_sigterm_that_comes_during_the_wipe_shortens_it() {
    let place = Place::in_memory(Who::Runner);
    let environment = [
        ("SUPERVISOR_TERMINATION_GRACE_PERIOD", "1s"),
        ("SUPERVISOR_WIPE__RESERVE", "500ms"),
        ("SUPERVISOR_GRACE", "100ms"),
    ];
    let scene = Scene {
        environment: &environment,
        ..scene(&place, Who::Runner, "")
    };
    // More than are removed while another thread is about to ask whether there is a hurry.
    let job = "for i in {1..30000}; do : >$i; done; mv ../work ../made; mkdir ../work
        until [ -e ../go ]; do sleep 0.01; done";
    let unshare = scene.start(job);
    let made = place.path("workspace/made");
    wait_until(|| made.exists());
    let ambush = Ambush::at(&made);
    let supervisor = child_of(Pid::from_raw(i32::try_from(unshare.id()).unwrap()));
    place.file("workspace/go", "");
    ambush.hold(Duration::from_millis(200), || {
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

pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(std::time::Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn child_of(pid: Pid) -> Pid {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap())
}
