//! The seccomp profile: its form for every runtime, and the system calls that it denies to a job.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use support::{Job, root};

fn profile() -> Value {
    let text = std::fs::read_to_string(root().join("k8s/seccomp/buildah.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn it_has_only_fields_that_every_runtime_reads() {
    let profile = profile();
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    // LinuxSeccomp and LinuxSyscall of the OCI runtime specification, config-linux.md.
    let known = [
        "architectures",
        "defaultAction",
        "defaultErrnoRet",
        "syscalls",
    ];
    assert_eq!(keys(&profile), known.map(str::to_owned).into());
    let known: BTreeSet<String> = ["names", "action", "errnoRet", "args"]
        .map(str::to_owned)
        .into();
    for rule in profile["syscalls"].as_array().unwrap() {
        assert!(keys(rule).is_subset(&known), "{rule}");
    }
}

#[test]
fn each_added_call_is_explained() {
    let readme = std::fs::read_to_string(root().join("k8s/seccomp/README.md")).unwrap();
    for name in profile()["syscalls"][0]["names"].as_array().unwrap() {
        let row = format!("| `{}`", name.as_str().unwrap());
        assert!(readme.contains(&row), "{row}");
    }
}

/// Asks for calls with arguments that the kernel itself refuses with another error, and names those that got as far as the kernel.
const PROBE: &str = r#"
    for call in setns:308:268 keyctl:250:219 add_key:248:217 io_uring_setup:425:425 kcmp:312:272; do
        IFS=: read -r name amd64 arm64 <<<"$call"
        if [ "$(uname -m)" = x86_64 ]; then number=$amd64; else number=$arm64; fi
        perl -e 'syscall($ARGV[0] + 0, -1, 0, 0, 0, 0); exit($!{ENOSYS} ? 0 : 1)' "$number" || echo "open: $name"
    done
"#;

#[test]
fn a_job_sets_its_own_limits_and_nobody_elses() {
    let script = "ulimit -n 100 && ulimit -n && prlimit --pid $$ --nofile 2>&1; prlimit --pid 1 --nofile=0:0 2>&1; exit 0";
    let ended = Job::shell(script).single().run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("\n100\n"), "{}", ended.log);
    assert!(
        ended.log.contains("Function not implemented"),
        "{}",
        ended.log
    );
}

#[test]
fn a_job_gets_no_call_that_it_does_not_need() {
    let ended = Job::shell(&format!("{PROBE}\necho looked")).single().run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("\nlooked\n"), "{}", ended.log);
    assert!(!ended.log.contains("open: "), "{}", ended.log);

    // Where nothing filters, the probe sees them all.
    let unfiltered = Command::new("bash").args(["-c", PROBE]).output().unwrap();
    let seen = String::from_utf8(unfiltered.stdout).unwrap();
    assert_eq!(seen.lines().count(), 5, "{seen}");
}
