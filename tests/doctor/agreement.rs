//! The doctor's verdict and the fate of a real build in the same state.

use crate::state::{State, good, workspace};

/// Both say the same, and the same as the test's name.
fn assert_agreement(expected: bool, states: &[(&str, State)]) {
    for (name, state) in states {
        let said = state.doctor(&[]);
        let built = state.builds();
        let works = said.code == Some(0);
        println!("{name}: doctor {works}, build {}", built.is_ok());
        assert_eq!(works, expected, "{name}: {:#}", said.report);
        assert_eq!(works, built.is_ok(), "{name}: {:#}\n{built:?}", said.report);
        if works {
            said.assert("storage.build", "ok", "");
            assert_eq!(
                built.unwrap(),
                said.check("storage.driver")["value"],
                "{name}"
            );
        }
    }
}

#[test]
fn where_the_doctor_sees_a_fault_the_build_fails() {
    assert_agreement(false, &[
        ("podman's own profile", good().default_seccomp()),
        ("unshare refused", good().refuse("unshare")),
        ("openat2 refused", good().refuse("openat2")),
        ("no_new_privs", good().flags(&["--security-opt=no-new-privileges"])),
        ("no capability", good().capabilities(&["--cap-drop=all"])),
        ("helper without its capability", good().setup("setcap -r /usr/bin/newuidmap")),
        ("subordinate ids of somebody else", good().setup("printf 'other:1:999\\n' >/etc/subuid")),
        ("noexec beneath vfs", workspace("U=true,noexec").flags(&["--env=SUPERVISOR_STORAGE__DRIVER=vfs"])),
        ("no volume", good().workspace("")),
        ("64 MiB of memory", good().flags(&["--memory=64m"])),
        ("24 processes", good().flags(&["--pids-limit=24"])),
        ("no home", good().setup("usermod --home /home/runner runner")),
        ("setuid helpers", good().setup("for helper in newuidmap newgidmap; do setcap -r /usr/bin/$helper; chmod u+s /usr/bin/$helper; done")),
    ]);
}

#[test]
fn where_it_only_warns_the_build_works() {
    assert_agreement(
        true,
        &[
            ("all in order", good()),
            ("umount2 refused", good().refuse("umount2")),
            ("noexec workspace", workspace("U=true,noexec")),
            ("read-only root", good().flags(&["--read-only"])),
            (
                "few ids",
                good().setup("printf 'runner:1:999\\n' | tee /etc/subuid >/etc/subgid"),
            ),
            ("48 files", good().flags(&["--ulimit=nofile=48:48"])),
            ("64 processes", good().flags(&["--pids-limit=64"])),
        ],
    );
}
