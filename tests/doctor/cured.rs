//! The cure's own words, applied, turn the check green.

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
fn the_line_to_paste_cures() {
    let volume = format!("doctor-test-{}", std::process::id());
    for (id, state) in broken() {
        let said = state.doctor(&["--only", id]);
        let check = said.check(id);
        assert_ne!(check["status"], "ok", "{check:#}");
        let cure = check["cure"].as_str().unwrap();
        println!("{id}: {cure}");
        let said = state.cured_by(cure, &volume).doctor(&["--only", id]);
        said.assert(id, "ok", "");
        // The next state's is a volume of its own.
        let _ = support::podman(&["volume", "rm", "--force", &volume]);
    }
}
