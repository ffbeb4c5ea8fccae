//! The builder with the rights of other pods: root of a pod's own user namespace, and one that may do more.

use support::{Pair, podman, root};
use test_support::eventually;

/// Two steps, the second of which runs a program of the image, with a file that only the job's user may read.
const BUILD: &str = r#"
    mkdir -p work/c && cd work && cp /usr/local/bin/supervisor c/s && echo mine >c/private && chmod 0600 c/private
    printf 'FROM scratch\nCOPY s /s\nCOPY private /private\nRUN ["/s", "--version"]\n' >c/Containerfile
    buildah build --iidfile id --tag localhost/made c && buildah build --output out c || exit 9
    stat -c '%u %n' id out out/private; cat out/private; rm -r out
"#;

fn seccomp() -> String {
    let profile = root().join("k8s/seccomp/buildah.json");
    format!("--security-opt=seccomp={}", profile.display())
}

fn assert_builds(pair: &Pair) {
    let done = pair.job(BUILD);
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.said.contains("\nsupervisor 0."), "{}", done.said);
    for line in ["1000 id", "1000 out", "1000 out/private", "mine"] {
        let found = done.said.lines().any(|said| said == line);
        assert!(found, "{line}: {}", done.said);
    }
}

/// Ends it: nothing is left, not even of what belonged to others than the job's user.
fn assert_ends(pair: &Pair, isolation: &str) {
    let report = pair.end();
    assert_eq!(report["reason"], "completed", "{report}");
    assert_eq!(report["isolation"], isolation, "{report}");
    for volume in ["workspace", "storage", "private", "tmp", "socket"] {
        assert_eq!(pair.count(volume), 0, "{volume}");
    }
}

/// Without the right to pass over permissions, root itself could not read what the job keeps for itself.
#[test]
fn in_profile_userns_root_of_the_pod_builds_with_the_jobs_files() {
    let users = ["--uidmap=0:100000:65536", "--gidmap=0:100000:65536"];
    let rights = [
        "--user=0:0",
        "--cap-drop=all",
        "--cap-add=SETUID,SETGID,SETFCAP",
        "--security-opt=no-new-privileges",
        &seccomp(),
    ];
    let pair = Pair::start(100_000, &users, &rights);
    assert_builds(&pair);
    assert_ends(&pair, "chroot");
}

/// As with `procMount: Unmasked` and a profile that lets a runtime change the root: a stronger isolation is found to work,
/// and a step then sees no process but its own.
#[test]
fn isolates_steps_with_a_runtime_that_starts_containers() {
    let rights = [
        "--user=1000:1000",
        "--cap-drop=all",
        "--cap-add=SETUID,SETGID",
        "--security-opt=seccomp=unconfined",
        "--security-opt=unmask=ALL",
    ];
    let pair = Pair::start(0, &[], &rights);
    assert_builds(&pair);
    let done = pair.job(&Pair::step(
        "cat /proc/[0-9]*/cmdline | tr -c [:print:] _; ls /proc/1/root/var/lib/builder /run/builder",
    ));
    assert!(done.said.contains("cat /proc/"), "{}", done.said);
    for found in ["serve-builds", "storage", "socket"] {
        let lines = done.said.lines().filter(|line| !line.starts_with("STEP"));
        let lines: Vec<&str> = lines.filter(|line| line.contains(found)).collect();
        assert!(lines.is_empty(), "{found}: {}", done.said);
    }
    // In a namespace within the step's, and in a session of its own.
    let script = Pair::step("unshare --user setsid sleep 86361 & sleep 86361");
    let killed = format!(
        "({script}) & client=$!; for i in {{1..2400}}; do [ ! -e /workspace/work/asleep ] || break; sleep 0.05; done; kill -KILL $client; wait $client"
    );
    let sleepers = || {
        let all = podman(&["top", pair.name(), "args"]);
        let all = String::from_utf8_lossy(&all.stdout).into_owned();
        let sleeps = |line: &&str| line.starts_with("sleep 86361");
        all.lines().filter(sleeps).count()
    };
    std::thread::scope(|scope| {
        let job = scope.spawn(|| pair.job(&killed));
        eventually("the step and its child", || (sleepers() >= 2).then_some(()));
        std::fs::write(pair.path("workspace").join("work/asleep"), "").unwrap();
        drop(job.join());
    });
    eventually("all of it to be gone", || (sleepers() == 0).then_some(()));
    assert_ends(&pair, "oci");
}

/// The project's own profile has no pivot_root(2): what /proc shows makes no difference.
#[test]
fn where_no_runtime_works_the_report_says_chroot() {
    let rights = [
        "--user=1000:1000",
        "--cap-drop=all",
        "--cap-add=SETUID,SETGID",
        &seccomp(),
    ];
    let pair = Pair::start(0, &[], &rights);
    assert_builds(&pair);
    let left = podman(&["exec", pair.name(), "ls", "/var/lib/builder/operations"]);
    assert!(left.stdout.is_empty(), "{left:?}");
    assert_ends(&pair, "chroot");
}

/// What a step says of its attempts on PID 1. Nothing filters system calls here.
const ATTEMPTS: &str = "exec 2>&1; prlimit --pid $$ --nofile=64:64 && echo own; prlimit --pid 1 --nofile=0:0; kill -TERM 1; true";

/// By the file capabilities of the image alone: Kubernetes gives a user no others.
#[test]
fn no_step_ends_pid_1_or_limits_it() {
    let pair = Pair::started_by("exec supervisor serve-builds");
    let left = podman(&["exec", pair.name(), "touch", "/tmp/left"]);
    assert!(left.status.success(), "{left:?}");
    let done = pair.job(&Pair::step(ATTEMPTS));
    assert_eq!(done.code, 0, "{}", done.said);
    for said in [
        "\nown\n",
        "failed to set the NOFILE resource limit: Operation not permitted",
        "kill: (1) - Operation not permitted",
    ] {
        assert!(done.said.contains(said), "{said}: {}", done.said);
    }
    assert_builds(&pair);
    // The builder probes the isolation of RUN steps before it is ready, so no client waits for the probe.
    let log = pair.log();
    let (tried, ready) = (log.find("RUN steps"), log.find("ready for builds"));
    assert!(tried.is_some() && tried < ready, "{log}");
    assert_ends(&pair, "chroot");
}

/// As from a registry that loses extended attributes.
#[test]
fn ignores_signals_from_inside_without_file_capabilities() {
    let pair = Pair::started_by(
        "cp /usr/local/bin/supervisor /run/supervisor/own && exec /run/supervisor/own serve-builds",
    );
    let done = pair.job(&Pair::step("kill -TERM 1; kill -INT 1; kill -HUP 1"));
    assert_eq!(done.code, 0, "{}", done.said);
    assert_builds(&pair);
    let log = pair.log();
    for said in [
        "a RUN step may end it",
        "ignored SIGTERM: sent from inside the container",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert_ends(&pair, "chroot");
}

#[test]
fn a_builder_that_cannot_accept_connections_ends_and_wipes() {
    let pair = Pair::started_by("exec supervisor serve-builds");
    assert_eq!(pair.job(&Pair::step("true")).code, 0);
    // Lower the limit as PID 1's own user, which no build's id map contains.
    let user = podman(&["exec", pair.name(), "stat", "-c", "%u:%g", "/proc/1"]);
    let user = String::from_utf8(user.stdout).unwrap();
    let limit = ["prlimit", "--pid", "1", "--nofile=4:"];
    let limited = [&["exec", "--user", user.trim(), pair.name()], &limit[..]].concat();
    assert!(podman(&limited).status.success());
    let done = pair.job("timeout 30 buildah version");
    assert_eq!(done.code, 74, "{}", done.said);
    let ended = podman(&["wait", pair.name()]);
    assert!(ended.status.success(), "{ended:?}");
    let report = pair.report();
    assert_eq!(report["reason"], "internal", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("no more clients can be accepted"),
        "{report}"
    );
    assert_eq!((pair.count("storage"), pair.count("socket")), (0, 0));
    // The job may still run.
    assert!(pair.path("workspace").join("work/step").exists());
}
