//! One broken state a row: the check that finds it, how it ends, which case it is, and what its cure names.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use serde_json::json;

use crate::pod::{Pod, check, out_of_the_image};

/// Asserts what the doctor says of a state.
fn says(pod: &Pod, id: &str, status: &str, case: &str, cure: &str) {
    let (code, report) = pod.examine(&[id]);
    let found = check(&report, id);
    assert_eq!(found["status"], status, "{id} {case}: {report:#}");
    assert_eq!(found["case"], case, "{id} {case}: {found:#}");
    let text = found["cure"].as_str().unwrap();
    assert!(
        text.contains(cure),
        "{id} {case}: {cure:?} is not in {text:?}"
    );
    assert!(!text.contains('{') || !text.contains("{user}"), "{text}");
    let failed = report["status"] == "fail";
    assert_eq!(code, if failed { 70 } else { 0 }, "{id} {case}");
    assert!(status == "fail" || !failed, "{id} {case}: {report:#}");
}

fn well(pod: &Pod, id: &str) {
    let (_, report) = pod.examine(&[id]);
    assert_eq!(check(&report, id)["status"], "ok", "{id}: {report:#}");
}

/// The default profile of Docker and containerd, for a container without capabilities: clone without namespaces only.
fn runtime_default(pod: Pod, refused: &[&str]) -> Pod {
    pod.seccomp(|profile| {
        let rules = profile["syscalls"].as_array_mut().unwrap();
        let names = rules[0]["names"].as_array_mut().unwrap();
        names.retain(|name| !refused.contains(&name.as_str().unwrap()));
        if refused.contains(&"clone") {
            let mask = json!([{"index": 0, "value": 0x7e02_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]);
            rules.push(json!({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": mask}));
        }
    })
}

pub(crate) fn without_calls(refused: &[&str]) -> Pod {
    runtime_default(Pod::new(), refused)
}

#[test]
fn each_refused_system_call_is_named() {
    let all = ["unshare", "clone", "mount", "umount2", "chroot"];
    for refused in all {
        let pod = without_calls(&[refused]);
        let id = "privileges.syscalls";
        says(
            &pod,
            id,
            "fail",
            "refused",
            "localhostProfile: buildah.json",
        );
        let (_, report) = pod.examine(&[id]);
        let found = check(&report, id)["found"].as_str().unwrap().to_owned();
        assert!(found.contains(&format!("{refused}: ENOSYS")), "{found}");
        for other in all.iter().filter(|other| **other != refused) {
            assert!(!found.contains(&format!("{other}: ")), "{found}");
        }
    }
}

#[test]
fn a_filter_that_kills_is_told_from_one_that_refuses() {
    let pod = without_calls(&["mount"]).seccomp(|profile| {
        let rules = profile["syscalls"].as_array_mut().unwrap();
        rules.push(json!({"names": ["mount"], "action": "SCMP_ACT_KILL_PROCESS"}));
    });
    says(
        &pod,
        "privileges.syscalls",
        "fail",
        "killed",
        "buildah.json",
    );
}

#[test]
fn privileges_that_are_missing_or_too_many() {
    let pod = Pod::new().flags(&["--security-opt", "no-new-privileges"]);
    says(
        &pod,
        "privileges.no-new-privs",
        "fail",
        "set",
        "allowPrivilegeEscalation: true",
    );
    let pod = Pod::new().rights(&["--cap-drop", "all"]);
    says(
        &pod,
        "privileges.capabilities",
        "fail",
        "bounding-set",
        "add: [SETUID, SETGID]",
    );
    let mut pod = Pod::new();
    pod.user = "0:0";
    says(
        &pod,
        "privileges.capabilities",
        "fail",
        "root-without",
        "SETFCAP",
    );
    let pod = Pod::new().flags(&["--cap-add", "SYS_ADMIN"]);
    says(
        &pod,
        "privileges.excess",
        "warn",
        "sys-admin",
        "drop: [ALL]",
    );
    let mut pod = Pod::new().rights(&["--privileged"]);
    pod.seccomp = String::new();
    says(
        &pod,
        "privileges.excess",
        "warn",
        "privileged",
        "--privileged",
    );
}

#[test]
fn helpers_that_lost_their_right() {
    let id = "idmap.helpers";
    let path = "/usr/bin/newuidmap";
    let program = out_of_the_image(path);
    let pod = Pod::new().flags(&["--volume", "/dev/null:/usr/bin/newuidmap"]);
    says(&pod, id, "fail", "missing", "setcap cap_setuid+ep");
    let pod = Pod::new().file(path, &program, 0o755);
    says(&pod, id, "fail", "no-right", "setcap cap_setuid+ep");
    let pod = Pod::new().file(path, &program, 0o4755);
    says(&pod, id, "fail", "setuid-powerless", "chmod u-s");
    let pod = pod.flags(&["--cap-add", "SYS_ADMIN", "--cap-add", "DAC_OVERRIDE"]);
    says(&pod, id, "warn", "setuid", "chmod u-s");
    let mut pod = Pod::new();
    let here = pod.directory.path().join("bin");
    fs::create_dir(&here).unwrap();
    fs::write(here.join("newuidmap"), &program).unwrap();
    let volume = format!("{}:/usr/local/sbin:ro,nosuid,exec", here.display());
    fs::set_permissions(
        here.join("newuidmap"),
        std::os::unix::fs::PermissionsExt::from_mode(0o4755),
    )
    .unwrap();
    pod = pod.flags(&["--volume", &volume]);
    says(&pod, id, "fail", "nosuid", "/usr/local/sbin");
}

#[test]
fn subordinate_ids_that_are_of_no_use() {
    let rows = [
        ("", "fail", "no-entry"),
        ("root:1:999\n", "fail", "no-entry"),
        ("runner:1:x\n", "fail", "malformed"),
        ("runner:1:999\nrunner:500:600\n", "fail", "overlap"),
        ("runner:1:65535\n", "fail", "own-id"),
        ("runner:1001:2000\n", "warn", "too-few"),
    ];
    for (text, status, case) in rows {
        let pod = Pod::new().file("/etc/subuid", text, 0o644);
        says(
            &pod,
            "idmap.subordinate",
            status,
            case,
            "runner:1:999\\nrunner:1001:64535\\n",
        );
    }
    let pod = Pod::new().file("/etc/subuid", "", 0o000);
    says(&pod, "idmap.subordinate", "fail", "missing", "/etc/subuid");
    let pod = Pod::new()
        .flags(&["--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536"])
        .file("/etc/subuid", "runner:100000:65536\n", 0o644);
    let volume = pod.volume();
    chown(volume, Some(201_000), Some(201_000)).unwrap();
    says(&pod, "idmap.subordinate", "fail", "outside", "runner:1:999");
}

#[test]
fn a_workspace_that_cannot_be_used() {
    let id = "workspace.writable";
    let pod = Pod::new();
    let read_only = format!("{}:/workspace:ro", pod.volume().display());
    let pod = pod.workspace(&["--volume", &read_only]);
    says(&pod, id, "fail", "read-only", "emptyDir: {}");
    let pod = Pod::new();
    chown(pod.volume(), Some(0), Some(0)).unwrap();
    says(&pod, id, "fail", "wrong-owner", "fsGroup: 1000");
    let id = "workspace.flags";
    let pod = Pod::new().mounted(&["-t", "tmpfs", "-o", "noexec,mode=0777", "tmpfs"]);
    says(&pod, id, "fail", "noexec", "emptyDir");
    let pod = Pod::new().mounted(&["-t", "tmpfs", "-o", "nosuid,mode=0777", "tmpfs"]);
    says(&pod, id, "warn", "nosuid", "emptyDir");
    let id = "workspace.space";
    for (options, status, case) in [
        ("size=32m,mode=0777", "fail", "full"),
        ("size=3g,nr_inodes=200,mode=0777", "fail", "no-inodes"),
        ("size=500m,mode=0777", "warn", "little"),
        ("size=3g,nr_inodes=5000,mode=0777", "warn", "few-inodes"),
    ] {
        let pod = Pod::new().mounted(&["-t", "tmpfs", "-o", options, "tmpfs"]);
        says(&pod, id, status, case, "sizeLimit");
    }
}

/// A workspace on an overlay, as in a container within a container.
pub(crate) fn on_overlay() -> Pod {
    let pod = Pod::new();
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| {
        let path = pod.directory.path().join(name);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(1000), Some(1000)).unwrap();
        path.to_string_lossy().into_owned()
    });
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    pod.mounted(&["-t", "overlay", "-o", &options, "overlay"])
}

#[test]
fn storage_that_is_slow_or_impossible() {
    let id = "storage.driver";
    let pod = Pod::new().workspace(&[]);
    says(&pod, id, "fail", "no-volume", "mountPath: /workspace");
    says(&on_overlay(), id, "warn", "on-overlay", "emptyDir");
    let pod = on_overlay().doctor(&["--storage-driver", "overlay"]);
    says(
        &pod,
        id,
        "fail",
        "forced",
        "SUPERVISOR_STORAGE__DRIVER=auto",
    );
    let pod = Pod::new().doctor(&["--storage-driver", "fuse-overlayfs"]);
    says(
        &pod,
        id,
        "fail",
        "forced",
        "SUPERVISOR_STORAGE__DRIVER=auto",
    );
    let id = "filesystem.fuse";
    says(&on_overlay(), id, "warn", "missing", "squat.ai/fuse: 1");
    let copy = |mode: &str| {
        let pod = on_overlay();
        let device = pod.directory.path().join("fuse");
        let mut made = Command::new("mknod");
        made.args(["-m", mode])
            .arg(&device)
            .args(["c", "10", "229"]);
        assert!(made.status().unwrap().success());
        let device = device.to_string_lossy().into_owned();
        (pod, device)
    };
    let (pod, device) = copy("0600");
    let pod = pod.flags(&["--device", &format!("{device}:/dev/fuse")]);
    says(&pod, id, "warn", "mode", "chmod 0666 /dev/fuse");
    let (pod, device) = copy("0666");
    let pod = pod.flags(&["--volume", &format!("{device}:/dev/fuse")]);
    says(&pod, id, "warn", "forbidden", "squat.ai/fuse: 1");
    let (pod, device) = copy("0666");
    let pod = pod.flags(&["--device", &format!("{device}:/dev/fuse")]);
    says(&pod, "storage.driver", "warn", "fuse", "emptyDir");
    let pod = pod.flags(&["--volume", "/dev/null:/usr/bin/fuse-overlayfs"]);
    says(
        &pod,
        id,
        "warn",
        "no-program",
        "install --yes fuse-overlayfs",
    );
}

#[test]
fn places_beside_the_workspace() {
    let pod = Pod::new().flags(&["--read-only"]);
    says(
        &pod,
        "filesystem.root",
        "warn",
        "read-only",
        "readOnlyRootFilesystem: false",
    );
    let mut pod = Pod::new();
    pod.runtime = Vec::new();
    says(
        &pod,
        "filesystem.runtime",
        "warn",
        "on-disk",
        "medium: Memory",
    );
    let mut pod = Pod::new().flags(&["--tmpfs", "/run/supervisor:mode=0700"]);
    pod.runtime = Vec::new();
    says(
        &pod,
        "filesystem.runtime",
        "fail",
        "not-writable",
        "mountPath: /run/supervisor",
    );
    let pod = Pod::new().flags(&["--env", "HOME=/root"]);
    says(
        &pod,
        "filesystem.home",
        "warn",
        "not-writable",
        "HOME=/workspace/home",
    );
}

#[test]
fn limits_that_are_too_low() {
    let pod = Pod::new().flags(&["--ulimit", "nofile=200:200"]);
    says(&pod, "kernel.open-files", "fail", "too-few", "LimitNOFILE");
    let pod = Pod::new().flags(&["--ulimit", "nofile=512:512"]);
    says(&pod, "kernel.open-files", "warn", "few", "LimitNOFILE");
    let pod = Pod::new().flags(&["--pids-limit", "50"]);
    says(&pod, "kernel.processes", "fail", "too-few", "podPidsLimit");
    let pod = Pod::new().flags(&["--pids-limit", "200"]);
    says(&pod, "kernel.processes", "warn", "few", "podPidsLimit");
    let pod = Pod::new().flags(&["--memory", "200m"]);
    says(&pod, "kernel.memory", "warn", "little", "memory: 2Gi");
}

#[test]
fn what_a_pod_should_not_have() {
    let pod = Pod::new().flags(&["--volume", "/dev/null:/run/docker.sock"]);
    says(
        &pod,
        "kubernetes.engine-socket",
        "warn",
        "mounted",
        "/run/docker.sock",
    );
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    let pod = Pod::new().file(token, "token", 0o444);
    says(
        &pod,
        "kubernetes.service-account",
        "warn",
        "mounted",
        "automountServiceAccountToken: false",
    );
    let pod = Pod::new().flags(&["--pid", "host"]);
    let (_, report) = pod.examine(&["kubernetes.host-namespaces"]);
    let found = check(&report, "kubernetes.host-namespaces");
    // Where these tests run in a container themselves, its processes are the most that it can share.
    if fs::read_link("/proc/self/ns/pid")
        .unwrap()
        .to_string_lossy()
        == "pid:[4026531836]"
    {
        assert_eq!(found["case"], "host-pid", "{found:#}");
    }
    let pod = Pod::new().doctor(&["--profile", "userns"]);
    if fs::read_to_string("/proc/self/uid_map")
        .unwrap()
        .contains("4294967295")
    {
        says(
            &pod,
            "kubernetes.user-namespace",
            "fail",
            "ignored",
            "containerd 2.0",
        );
    }
    let pod = Pod::new()
        .flags(&["--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536"])
        .doctor(&["--profile", "userns"]);
    well(&pod, "kubernetes.user-namespace");
}

#[test]
fn tools_that_are_missing_old_or_foreign() {
    let id = "tools.buildah";
    let pod = Pod::new().flags(&["--volume", "/dev/null:/usr/bin/buildah"]);
    says(&pod, id, "fail", "missing", "install --yes");
    let script =
        "#!/bin/sh\necho 'buildah version 1.28.2 (image-spec 1.0.2, runtime-spec 1.0.2)'\n";
    let pod = Pod::new().file("/usr/bin/buildah", script, 0o755);
    says(&pod, id, "warn", "old", "security-tracker");
    let pod = Pod::new().file("/usr/bin/buildah", "#!/bin/sh\nexit 1\n", 0o755);
    says(&pod, id, "fail", "broken", "/usr/bin/buildah");
    let mut foreign = fs::read("/proc/self/exe").unwrap();
    foreign.truncate(4096);
    foreign[18] = 22;
    foreign[19] = 0;
    let pod = Pod::new().file("/usr/bin/buildah", &foreign, 0o755);
    says(&pod, id, "fail", "foreign", "kubernetes.io/arch");
    let pod = Pod::new().flags(&["--volume", "/dev/null:/usr/bin/git"]);
    says(&pod, "tools.git", "warn", "missing", "git");
    let pod = Pod::new().doctor(&["--", "no-such-runner"]);
    says(
        &pod,
        "tools.runner",
        "fail",
        "missing",
        "SUPERVISOR_FLAVOR=exec",
    );
}

#[test]
fn secrets_that_are_of_no_use_or_stay() {
    // {"alg":"none"} . {"exp":1700000000} . x
    let expired = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDB9.x";
    let place = "/run/secrets/supervisor";
    for (content, mode, status, case, cure) in [
        (expired, 0o444, "fail", "expired", "create secret"),
        ("\n", 0o444, "fail", "empty", "token=VALUE"),
        ("value", 0o444, "warn", "mode", "defaultMode: 0440"),
    ] {
        let pod = Pod::new().file(&format!("{place}/token"), content, mode);
        says(&pod, "secrets.content", status, case, cure);
        let (_, report) = pod.examine(&["secrets"]);
        assert!(!report.to_string().contains(expired));
    }
    let pod = Pod::new().file(&format!("{place}/token"), "value", 0o444);
    says(&pod, "secrets.unlink", "warn", "stays", "medium: Memory");
    let pod = Pod::new().flags(&["--env", "SUPERVISOR_SECRETS__REQUIRED=token"]);
    says(&pod, "secrets.directory", "fail", "missing", "token");
}

#[test]
fn hosts_that_are_out_of_reach() {
    let pod = Pod::new().doctor(&["--reach", "127.0.0.1:9"]);
    says(
        &pod,
        "network.tcp",
        "fail",
        "unreachable",
        "cidr: 127.0.0.1/32",
    );
    let pod = Pod::new().doctor(&["--reach", "nowhere.invalid"]);
    says(
        &pod,
        "network.names",
        "fail",
        "unknown",
        "getent ahosts nowhere.invalid",
    );
}
