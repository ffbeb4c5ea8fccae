//! The doctor's result and the result of a real build in the same state.

use crate::state::{State, good, workspace};

/// The doctor and the build have the same result, and it is the expected one.
fn assert_agreement(expected: bool, states: &[(&str, State)]) {
    for (name, state) in states {
        let result = state.doctor(&[]);
        let built = state.builds();
        let works = result.code == Some(0);
        println!("{name}: doctor {works}, build {}", built.is_ok());
        assert_eq!(works, expected, "{name}: {:#}", result.report);
        assert_eq!(
            works,
            built.is_ok(),
            "{name}: {:#}\n{built:?}",
            result.report
        );
        if works {
            result.assert("storage.build", "ok", "");
            assert_eq!(
                built.unwrap(),
                result.check("storage.driver")["value"],
                "{name}"
            );
        }
    }
}

#[test]
fn build_fails_if_the_doctor_fails() {
    assert_agreement(false, &[
        ("podman's own profile", good().default_seccomp()),
        ("unshare refused", good().refuse("unshare")),
        ("no_new_privs", good().flags(&["--security-opt=no-new-privileges"])),
        ("no capability", good().capabilities(&["--cap-drop=all"])),
        ("helper without its capability", good().setup("setcap -r /usr/bin/newuidmap")),
        ("subordinate ids of another user", good().setup("printf 'other:1:999\\n' >/etc/subuid")),
        ("noexec beneath vfs", workspace("U=true,noexec").flags(&["--env=SUPERVISOR_STORAGE__DRIVER=vfs"])),
        ("no volume", good().workspace("")),
        ("64 MiB of memory", good().flags(&["--memory=64m"])),
        ("24 processes", good().flags(&["--pids-limit=24"])),
        ("no home", good().setup("usermod --home /home/runner runner")),
        ("setuid helpers", good().setup("for helper in newuidmap newgidmap; do setcap -r /usr/bin/$helper; chmod u+s /usr/bin/$helper; done")),
    ]);
}

#[test]
fn build_works_if_the_doctor_only_warns() {
    assert_agreement(
        true,
        &[
            ("all in order", good()),
            ("umount2 refused", good().refuse("umount2")),
            ("openat2 refused", good().refuse("openat2")),
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
