//! The doctor, killed or in front of a hanging file system: it ends, and nothing stays behind.

use crate::state::{DROP, State, good, is_empty};

/// A volume that outlives the container, so that the test can list it afterwards.
fn volume(state: State) -> State {
    let path = state.directory.path().join("workspace");
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(1000), Some(1000)).unwrap();
    state.workspace(&format!(
        "--volume={}:/workspace:rw,exec,suid,dev",
        path.display()
    ))
}

/// Lists what the doctor left: processes other than the shell and its tools, files, mounts.
const LOOK: &str = r#"
    left() { for p in /proc/[0-9]*; do tr '\0' ' ' <"$p/cmdline" 2>/dev/null; echo; done | grep -E '^(/proc/self/exe|supervisor|/usr/bin/buildah|buildah)' || true; }
    for i in $(seq 200); do [ -n "$(left)" ] || break; sleep 0.1; done
    left; find /workspace /run/supervisor /tmp -mindepth 1; grep -c trial /proc/self/mountinfo || true
"#;

#[test]
fn killed_doctor_leaves_nothing() {
    // From the first processes to the middle of the build, each with SIGKILL and with SIGTERM.
    for signal in ["KILL", "TERM"] {
        let script = format!(
            "for pause in 0.01 0.05 0.1 0.2 0.4 0.8 1.2 1.6 2 3; do {DROP} supervisor doctor >/dev/null 2>&1 & sleep $pause; kill -{signal} $! 2>/dev/null || true; wait $! || true; {LOOK} done; exit 0"
        );
        let state = volume(good()).setup(&script);
        let output = state.run(&[]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.split_whitespace().all(|word| word == "0"),
            "{signal}: {text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(text.split_whitespace().count(), 10, "{signal}: {text}");
        assert!(is_empty(&state.directory.path().join("workspace")));
    }
}

#[test]
fn finished_doctor_leaves_nothing() {
    let state = volume(good());
    let result = state.doctor(&[]);
    result.assert("storage.build", "ok", "");
    assert!(is_empty(&state.directory.path().join("workspace")));
}

#[test]
fn hanging_file_system_does_not_hang_the_doctor() {
    // A FUSE mount whose server was stopped does not respond.
    let setup = "chmod 0666 /dev/fuse; mkdir -p /l /w /u; chown 1000:1000 /u; \
        fuse-overlayfs -f -o allow_other,lowerdir=/l,upperdir=/u,workdir=/w /workspace & server=$!; \
        for i in $(seq 100); do grep -q 'fuse-overlayfs' /proc/self/mountinfo && break; sleep 0.1; done; kill -STOP $server";
    let state = good()
        .workspace("")
        .flags(&["--device=/dev/fuse"])
        .setup(setup);
    let result = state.doctor(&["--shape", "split", "--only", "workspace,kernel.open-files"]);
    result.assert("workspace.writable", "fail timed-out", "mountinfo");
    result.assert("kernel.open-files", "ok", "");
    // The check is killed after five seconds. The doctor does not wait for its end, which never comes.
    let took = result.report["ms"].as_f64().unwrap();
    assert!(took < 10_000.0, "{took} ms");
}

#[test]
fn preflight_kills_a_hanging_check_and_runs_the_rest() {
    // PATH starts with a FUSE mount whose server was stopped. The next check then finds no subordinate ids.
    let setup = format!(
        "chmod 0666 /dev/fuse; mkdir -p /l /w /u /hangs; chown 1000:1000 /u; : >/etc/subuid; \
        fuse-overlayfs -f -o allow_other,lowerdir=/l,upperdir=/u,workdir=/w /hangs & server=$!; \
        for i in $(seq 100); do grep -q 'fuse-overlayfs' /proc/self/mountinfo && break; sleep 0.1; done; kill -STOP $server; \
        {DROP} env PATH=/hangs:$PATH /usr/local/bin/supervisor run --flavor exec -- /usr/bin/true 2>&1; exit 0"
    );
    let state = good().flags(&["--device=/dev/fuse"]).setup(&setup);
    let output = state.run(&[]);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = text.lines().rev().find(|line| line.starts_with('{'));
    let report: serde_json::Value = serde_json::from_str(report.unwrap()).unwrap();
    assert_eq!(report["failed_step"], "preflight", "{text}");
    let message = report["message"].as_str().unwrap();
    for expected in [
        "idmap.helpers",
        "not done after 5000 ms",
        "idmap.subordinate",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(!message.contains("ended without a result"), "{message}");
}
