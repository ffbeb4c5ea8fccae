//! When the runner is gone, every other process ends before the wipe begins.

use std::path::Path;

use test_support::Fixture;

use crate::SUPERVISOR;

#[test]
fn sessions_groups_and_deaf_processes_end_before_the_wipe() {
    let script = r#"
        writer() { trap '' TERM HUP INT; echo $$ >>there; while :; do echo x >"$WORK/$RANDOM"; done; }
        export WORK=$PWD; export -f writer
        setsid bash -c writer &
        setsid --fork bash -c writer
        (set -m; bash -c writer &)
        bash -c 'echo $$ >>there; kill -STOP $$; writer' &
        until [ "$(wc -l <there)" = 4 ] && grep -q 'T (stopped)' "/proc/$!/status"; do sleep 0.02; done 2>/dev/null
        exit 0
    "#;
    let ended = Fixture::new(SUPERVISOR).shell(script);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let report = ended.report();
    let survivors = report["runner"]["survivors"].as_array().unwrap();
    assert!(survivors.len() >= 4, "{survivors:?}");
    assert_eq!(report["runner"]["unkillable"].as_array().unwrap().len(), 0);
    assert_eq!(report["wiped"]["leftover_count"], 0);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_fork_bomb_does_not_outlive_its_runner() {
    // A pids cgroup where one can be made, as a pod has it; else the user's limit, for uid 1000 in all namespaces.
    let group = format!("supervisor-test-{}", std::process::id());
    let limit = r#"
        for root in /sys/fs/cgroup/pids /sys/fs/cgroup; do
            group=$root/$BOMB
            mkdir "$group" && echo 200 >"$group/pids.max" && echo $$ >"$group/cgroup.procs" && break
            rmdir "$group"
        done 2>/dev/null || ulimit -u 400
    "#;
    // Once it has the processes that there are, the runner can fork no more: builtins only.
    let script = r"
        bomb() { trap '' TERM; bomb & bomb & while :; do :; done; }
        mkfifo idle; exec 3<>idle
        (bomb 2>/dev/null &)
        for i in {1..60}; do
            set -- /proc/[0-9]*
            [ $# -gt 150 ] && break
            read -rt 0.05 -u 3
        done
        exit 3
    ";
    let ended = Fixture::new(SUPERVISOR)
        .env("BOMB", &group)
        .prelude(limit)
        .shell(script);
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    ended.assert_workspace_is_empty();
    for root in ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"] {
        let _ = std::fs::remove_dir(Path::new(root).join(&group));
    }
}

#[test]
fn survivors_get_sigterm_before_sigkill() {
    let fixture = Fixture::new(SUPERVISOR);
    fixture.owned_directory("out");
    let out = fixture
        .path("out/terminated")
        .to_string_lossy()
        .into_owned();
    let script = r#"
        setsid bash -c 'trap "touch $OUT; exit" TERM; touch ready; while :; do sleep 0.02; done' &
        until [ -e ready ]; do sleep 0.02; done
    "#;
    let variables = format!("{{OUT={out:?}}}");
    let ended = fixture
        .env("SUPERVISOR_RUNNER__ENV", &variables)
        .shell(script);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(Path::new(&out).exists(), "{}", ended.stderr);
}

#[test]
fn without_proc_they_are_ended_and_called_unknown() {
    let ended = Fixture::new(SUPERVISOR)
        .prelude("mount -t tmpfs none /proc")
        .shell("setsid sleep 1000 & exit 4");
    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    let runner = &ended.report()["runner"];
    assert!(
        runner["survivors"].to_string().contains("unknown"),
        "{runner}"
    );
    assert_eq!(
        runner["unkillable"].as_array().unwrap().len(),
        0,
        "{runner}"
    );
    ended.assert_workspace_is_empty();
}

#[test]
fn whom_we_may_not_signal_is_named() {
    // Started by root before the supervisor gave root up: a process that uid 1000 cannot end.
    let ended = Fixture::new(SUPERVISOR)
        .prelude("sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done")
        .shell("exit 0");
    let unkillable = ended.report()["runner"]["unkillable"].to_string();
    assert!(
        unkillable.contains("sleep"),
        "{unkillable}\n{}",
        ended.stderr
    );
}
