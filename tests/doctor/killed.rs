//! Killed half-way, or in front of something that hangs: it ends, and nothing stays behind.

use crate::state::{DROP, State, good, is_empty};

/// A volume that outlives the container, to look at afterwards.
fn volume(state: State) -> State {
    let path = state.directory.path().join("workspace");
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(1000), Some(1000)).unwrap();
    state.workspace(&format!(
        "--volume={}:/workspace:rw,exec,suid,dev",
        path.display()
    ))
}

/// What is left of the doctor's: processes other than the shell and its tools, files, mounts.
const LOOK: &str = r#"
    left() { for p in /proc/[0-9]*; do tr '\0' ' ' <"$p/cmdline" 2>/dev/null; echo; done | grep -E '^(/proc/self/exe|supervisor|/usr/bin/buildah|buildah)' || true; }
    for i in $(seq 200); do [ -n "$(left)" ] || break; sleep 0.1; done
    left; find /workspace /run/supervisor /tmp -mindepth 1; grep -c trial /proc/self/mountinfo || true
"#;

#[test]
fn killed_at_any_moment_it_leaves_nothing() {
    // From the first processes to the middle of the build; each by SIGKILL and by SIGTERM.
    for signal in ["KILL", "TERM"] {
        let script = format!(
            "for pause in 0.01 0.05 0.1 0.2 0.4 0.8 1.2 1.6 2 3; do {DROP} supervisor doctor >/dev/null 2>&1 & sleep $pause; kill -{signal} $! 2>/dev/null || true; wait $! || true; {LOOK} done; exit 0"
        );
        let state = volume(good()).setup(&script);
        let output = state.run(&[]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.split_whitespace().all(|word| word == "0"),
            "{signal}: {said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(said.split_whitespace().count(), 10, "{signal}: {said}");
        assert!(is_empty(&state.directory.path().join("workspace")));
    }
}

#[test]
fn a_whole_examination_leaves_nothing() {
    let state = volume(good());
    let said = state.doctor(&[]);
    said.assert("storage.build", "ok", "");
    assert!(is_empty(&state.directory.path().join("workspace")));
}

#[test]
fn a_file_system_that_hangs_does_not_hang_the_doctor() {
    // A FUSE mount whose server was stopped answers nothing.
    let setup = "chmod 0666 /dev/fuse; mkdir -p /l /w /u; chown 1000:1000 /u; \
        fuse-overlayfs -f -o allow_other,lowerdir=/l,upperdir=/u,workdir=/w /workspace & server=$!; \
        for i in $(seq 100); do grep -q 'fuse-overlayfs' /proc/self/mountinfo && break; sleep 0.1; done; kill -STOP $server";
    let state = good()
        .workspace("")
        .flags(&["--device=/dev/fuse"])
        .setup(setup);
    let said = state.doctor(&["--shape", "split", "--only", "workspace,kernel.open-files"]);
    said.assert("workspace.writable", "fail timed-out", "mountinfo");
    said.assert("kernel.open-files", "ok", "");
    // Five seconds until it is killed, and none for it to end: it never will.
    let took = said.report["ms"].as_f64().unwrap();
    assert!(took < 10_000.0, "{took} ms");
}

#[test]
fn what_hangs_before_a_job_is_killed_and_what_shares_its_child_is_looked_at_all_the_same() {
    // Every program is looked for behind a FUSE mount whose server was stopped. No ids is what the next check says.
    let setup = format!(
        "chmod 0666 /dev/fuse; mkdir -p /l /w /u /hangs; chown 1000:1000 /u; : >/etc/subuid; \
        fuse-overlayfs -f -o allow_other,lowerdir=/l,upperdir=/u,workdir=/w /hangs & server=$!; \
        for i in $(seq 100); do grep -q 'fuse-overlayfs' /proc/self/mountinfo && break; sleep 0.1; done; kill -STOP $server; \
        {DROP} env PATH=/hangs:$PATH /usr/local/bin/supervisor run --flavor exec -- /usr/bin/true 2>&1; exit 0"
    );
    let state = good().flags(&["--device=/dev/fuse"]).setup(&setup);
    let output = state.run(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    let report = said.lines().rev().find(|line| line.starts_with('{'));
    let report: serde_json::Value = serde_json::from_str(report.unwrap()).unwrap();
    assert_eq!(report["failed_step"], "preflight", "{said}");
    let message = report["message"].as_str().unwrap();
    for expected in [
        "idmap.helpers",
        "still not done after 5000 ms",
        "idmap.subordinate",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(!message.contains("said nothing"), "{message}");
}
