//! The cure's own words, applied, turn the check green.

use crate::state::{Named, good};
use crate::table::workspace;

#[test]
fn the_line_for_podman_cures() {
    let broken: [Named; 12] = [
        ("privileges.syscalls", || good().default_seccomp()),
        ("privileges.no-new-privs", || {
            good().flags(&["--security-opt=no-new-privileges"])
        }),
        ("privileges.capabilities", || {
            good().capabilities(&["--cap-drop=all"])
        }),
        ("kernel.processes", || {
            good().flags(&["--pids-limit=24", "--ulimit=nproc=1024:1024"])
        }),
        ("kernel.memory", || good().flags(&["--memory=64m"])),
        ("kernel.files", || {
            good().flags(&["--ulimit=nofile=256:256"])
        }),
        ("filesystem.root", || good().flags(&["--read-only"])),
        ("filesystem.runtime", || good().runtime("")),
        ("workspace.writable", || workspace("tmpfs-mode=0755")),
        ("workspace.flags", || workspace("U=true,noexec")),
        ("kubernetes.privileged", || {
            good().capabilities(&[]).flags(&["--privileged"])
        }),
        ("kubernetes.host-pid", || good().flags(&["--pid=host"])),
    ];
    let unique = format!("doctor-test-{}", std::process::id());
    for (id, state) in broken {
        let said = state().doctor(&["--only", id]);
        let check = said.check(id);
        assert_ne!(check["status"], "ok", "{check:#}");
        let cure = check["cure"].as_str().unwrap();
        println!("{id}: {cure}");
        let said = state().cured_by(cure, &unique).doctor(&["--only", id]);
        said.assert(id, "ok");
    }
    let _ = support::podman(&["volume", "rm", "--force", &unique]);
}
