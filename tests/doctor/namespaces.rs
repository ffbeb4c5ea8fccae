//! States that no container's flag makes: a namespace's own limits, and a root changed by chroot(2).

use std::process::Command;

use serde_json::Value;
use support::supervisor;

use crate::pod::check;

fn examine(script: &str, id: &str) -> Value {
    let output = Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(supervisor())
        .arg(id)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said} {error}"))
}

fn says(script: &str, id: &str, case: &str, cure: &str) {
    let report = examine(script, id);
    let found = check(&report, id);
    assert_eq!(found["case"], case, "{report:#}");
    assert!(found["cure"].as_str().unwrap().contains(cure), "{found:#}");
}

#[test]
fn namespaces_that_are_switched_off() {
    let script = "exec unshare --user --map-root-user bash -c '
        echo 0 >/proc/sys/user/max_user_namespaces; exec \"$0\" doctor --json --only \"$1\"' \"$1\" \"$2\"";
    says(
        script,
        "userns.create",
        "off",
        "user.max_user_namespaces=28633",
    );
}

#[test]
fn namespaces_that_are_switched_off_further_out() {
    let script = r#"
        fifo=$(mktemp -u); mkfifo "$fifo"; trap 'rm "$fifo"' EXIT
        export fifo supervisor=$1 id=$2
        unshare --user --map-root-user bash -c '
            unshare --user --map-root-user bash -c "read -r <\$fifo; exec \$supervisor doctor --json --only \$id" &
            exec 9>"$fifo"
            echo 0 >/proc/sys/user/max_user_namespaces
            echo go >&9
            wait'"#;
    says(
        script,
        "userns.create",
        "used-up",
        "Where this container runs inside another one",
    );
}

#[test]
fn a_root_that_was_changed_by_chroot() {
    let script = r#"
        export place=$(mktemp -d); trap 'rm -r --one-file-system "$place"' EXIT
        mkdir "$place"/{proc,tmp,dev}; touch "$place/dev/null"; cp "$1" "$place/supervisor"
        unshare --mount bash -c '
            mount --bind /dev/null "$place/dev/null"
            mount --rbind /proc "$place/proc"
            chroot "$place" /supervisor doctor --json --only "$0"' "$2""#;
    says(script, "userns.create", "chrooted", "pivot_root");
}
