//! The runner's state in and beside the workspace: HOME, credentials, diagnostics, memory and scratch directories.

use crate::fixture::{Fixture, User};
use crate::process::{Finished, finish, start};
use std::process::Command;

const DROP: &str =
    "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all";

/// Makes the directories of a container, and runs the supervisor there once or twice. The second run is like that of a
/// container that the kubelet restarts in its pod.
fn container(fixture: &Fixture, first: &str, second: &str) -> Finished {
    let script = format!(
        r#"
        set -eu; mount --make-rprivate /
        mount --bind "$place" /mnt
        : >/mnt/program; mount --bind "$supervisor" /mnt/program; supervisor=/mnt/program
        for directory in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs $directory; done
        mkdir -p /dev/mqueue; mount -t mqueue mqueue /dev/mqueue; chmod 1777 /dev/mqueue
        mkdir -p /mnt/run; chown 1000:1000 /mnt/run
        supervisor() {{
            {DROP} "$supervisor" run --no-preflight --storage-driver none --workspace /mnt/workspace -- bash -c "$1"
        }}
        supervisor "$first"
        left=$(find /mnt/workspace /mnt/run /tmp /var/tmp /dev/shm /dev/mqueue -mindepth 1)
        [ -z "$left" ] || {{ echo "$left"; exit 8; }}
        if [ -n "$second" ]; then
            for directory in /mnt/workspace /tmp /var/tmp /dev/shm; do
                {DROP} mkdir -p $directory/left; {DROP} touch $directory/left/by-a-killed-run
            done
            supervisor "$second"
        fi
        "#
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--ipc", "bash", "-c", &script])
        .env("first", first)
        .env("second", second)
        .env("place", fixture.path(""))
        .env("supervisor", fixture.supervisor())
        .env("SUPERVISOR_RUNTIME_DIRECTORY", "/mnt/run")
        .env("SUPERVISOR_SECRETS__DIRECTORY", "/mnt/none")
        .env(
            "SUPERVISOR_WORKSPACE__ALSO_WIPE",
            "/tmp,/var/tmp,/dev/shm,/dev/mqueue",
        );
    finish(start(command))
}

#[test]
fn run_empties_credentials_diagnostics_and_scratch() {
    let fixture = Fixture::new(User::Runner);
    let job = r#"
        mkdir -p _diag ~/.docker ~/.cache/pip /tmp/a/b /var/tmp/c
        echo x >.credentials; echo x >.credentials_rsaparams; echo x >.runner; echo x >_diag/Runner.log
        echo x >~/.netrc; echo x >~/.docker/config.json; echo x >~/.cache/pip/y; echo x >"$TMPDIR/file"
        echo x >/tmp/a/b/c; echo x >/var/tmp/c/d; echo x >/dev/shm/e; chmod 0 /tmp/a/b /var/tmp/c
        : >/dev/mqueue/queue
    "#;
    let ended = container(&fixture, job, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn restarted_container_begins_empty() {
    let fixture = Fixture::new(User::Runner);
    let job = r#"left=$(find "$HOME/.." /tmp /var/tmp /dev/shm -name 'left*'); echo "[$left]"; [ -z "$left" ]"#;
    let ended = container(&fixture, "true", job);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("an earlier run left files"),
        "{}",
        ended.stderr
    );
}

#[test]
fn run_names_and_keeps_files_of_another_user() {
    let fixture = Fixture::new(User::Runner);
    let script = r#"
        set -eu; mount --make-rprivate /
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm; echo x >/dev/shm/of-root
        mkdir -p "$place/run"; chown 1000:1000 "$place/run"
        status=0
        DROP "$supervisor" run --no-preflight --storage-driver none --workspace "$place/workspace" \
            -- bash -c 'echo x >/dev/shm/of-the-job' || status=$?
        [ "$(ls -A /dev/shm)" = of-root ] || exit 8
        exit $status
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "bash", "-c", &script.replace("DROP", DROP)])
        .env("place", fixture.path(""))
        .env("supervisor", fixture.supervisor())
        .env("SUPERVISOR_RUNTIME_DIRECTORY", fixture.path("run"))
        .env("SUPERVISOR_SECRETS__DIRECTORY", fixture.path("none"))
        .env("SUPERVISOR_WORKSPACE__ALSO_WIPE", "/dev/shm");
    let ended = finish(start(command));
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(
        ended.stderr.contains("/dev/shm/of-root: EPERM"),
        "{}",
        ended.stderr
    );
}
