//! The text of a remedy, applied, makes its check ok.

use crate::state::{State, good, host_pid, workspace};

fn broken() -> Vec<(&'static str, State)> {
    vec![
        ("privileges.syscalls", good().default_seccomp()),
        (
            "privileges.no-new-privs",
            good().flags(&["--security-opt=no-new-privileges"]),
        ),
        (
            "privileges.capabilities",
            good().capabilities(&["--cap-drop=all"]),
        ),
        ("privileges.capabilities", good().user("0:0")),
        (
            "privileges.excess",
            good().capabilities(&[]).flags(&["--privileged"]),
        ),
        (
            "kernel.processes",
            good().flags(&["--pids-limit=24", "--ulimit=nproc=1024:1024"]),
        ),
        ("kernel.memory", good().flags(&["--memory=64m"])),
        (
            "kernel.open-files",
            good().flags(&["--ulimit=nofile=256:256"]),
        ),
        (
            "idmap.subordinate",
            good().setup("printf 'other:1:999\\n' | tee /etc/subuid >/etc/subgid"),
        ),
        ("filesystem.root", good().flags(&["--read-only"])),
        ("filesystem.runtime", good().runtime("")),
        (
            "filesystem.passwd-home",
            good().setup("usermod --home /home/runner runner"),
        ),
        ("workspace.writable", workspace("tmpfs-mode=0755")),
        ("workspace.flags", workspace("U=true,noexec")),
        ("storage.driver", good().workspace("")),
        ("kubernetes.host-pid", host_pid()),
    ]
}

#[test]
fn pasted_remedy_makes_the_check_ok() {
    let volume = format!("doctor-test-{}", std::process::id());
    for (id, state) in broken() {
        let result = state.doctor(&["--only", id]);
        let check = result.check(id);
        assert_ne!(check["status"], "ok", "{check:#}");
        let remedy = check["cure"].as_str().unwrap();
        println!("{id}: {remedy}");
        let result = state.with_remedy(remedy, &volume).doctor(&["--only", id]);
        result.assert(id, "ok", "");
        // The next state has a volume of its own.
        let _ = support::podman(&["volume", "rm", "--force", &volume]);
    }
}
