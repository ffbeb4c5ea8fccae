//! Paths that are refused with a reason, before anything is removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::fixture::{Fixture, USERS, User};
use crate::process::{Finished, run};

fn refused(fixture: &Fixture, path: &str, reason: &str) {
    for flags in [&[][..], &["--keep-root"], &["--dry-run"]] {
        let mut command = fixture.command(flags);
        command.current_dir(fixture.workspace());
        // The workspace could be wiped, and must stay because another path is refused.
        command.arg(fixture.workspace()).arg(path);
        let ended = run(command);
        assert_eq!(ended.code, Some(64), "{path:?} {flags:?}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{path:?}: {}", ended.stderr);
        assert!(fixture.path("workspace/file").exists(), "{path:?}");
        fixture.assert_canary();
    }
}

#[test]
fn wipe_refuses_system_and_unclear_paths() {
    for user in USERS {
        let fixture = Fixture::new(user);
        fixture.file("workspace/file", "x");
        for (path, reason) in [
            ("", "the path is empty"),
            (".", "not an absolute path"),
            ("file", "not an absolute path"),
            ("/workspace/..", "`.` and `..`"),
            ("/", "a directory of the system"),
            ("///", "a directory of the system"),
            ("/usr/lib", "a directory of the system"),
            ("/proc/self/cwd", "a directory of the system"),
            ("/var/lib", "a directory of the system"),
            ("/home", "a directory of the system"),
            ("/root", "a directory of the system"),
            ("/root/", "a directory of the system"),
        ] {
            refused(&fixture, path, reason);
        }
        symlink(fixture.path("canary"), fixture.path("link")).unwrap();
        let through = [
            fixture.path("link"),
            fixture.path("link/below"),
            fixture.path("workspace/file"),
        ];
        for path in through {
            refused(
                &fixture,
                path.to_str().unwrap(),
                "not a directory, or a symlink",
            );
        }
    }
}

/// Runs a script in a new mount namespace, as root.
fn run_in_mount_namespace(fixture: &Fixture, script: &str) -> Finished {
    let mut command = Command::new("unshare");
    let script = format!("set -eu; mount --make-rprivate /\n{script}");
    command
        .args(["--mount", "bash", "-c", &script])
        .env("workspace", fixture.workspace())
        .env("place", fixture.path(""))
        .env("canary", fixture.path("canary"))
        .env("supervisor", fixture.supervisor());
    run(command)
}

#[test]
fn wipe_empties_a_mount_point_and_does_not_remove_it() {
    let fixture = Fixture::new(User::Root);
    let mount = r#"mount -t tmpfs tmpfs "$workspace"; : >"$workspace/file""#;
    let ended = run_in_mount_namespace(
        &fixture,
        &format!("{mount}\n\"$supervisor\" wipe \"$workspace\""),
    );
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("a mount point"), "{}", ended.stderr);
    let ended = run_in_mount_namespace(
        &fixture,
        &format!(
            "{mount}\n\"$supervisor\" wipe --keep-root \"$workspace\"; [ -z \"$(ls -A \"$workspace\")\" ]"
        ),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn wipe_refuses_bind_mounts_of_slash_and_of_roots_home() {
    let fixture = Fixture::new(User::Root);
    for (source, reason) in [
        ("/", "a directory of the system"),
        ("/root", "HOME of root"),
    ] {
        // It is read-only in case the refusal fails.
        let script = format!(
            "mount --bind {source} \"$workspace\"; mount -o remount,bind,ro \"$workspace\"
            \"$supervisor\" wipe --keep-root \"$workspace\""
        );
        let ended = run_in_mount_namespace(&fixture, &script);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    }
}

#[test]
fn wipe_refuses_a_moved_home_of_root_and_all_above_it() {
    let fixture = Fixture::new(User::Root);
    fs::create_dir_all(fixture.path("homes/root/below")).unwrap();
    let script = r#"
        sed "s|^root:.*|root:x:0:0:root:$place/homes/root:/bin/sh|" /etc/passwd >"$place/passwd"
        mount --bind "$place/passwd" /etc/passwd
        for path in "$place/homes/root" "$place/homes"; do
            "$supervisor" wipe "$path" 2>>"$place/errors" && exit 9
        done
        "$supervisor" wipe "$place/homes/root/below"
    "#;
    let ended = run_in_mount_namespace(
        &fixture,
        &script.replace("$place", &fixture.path("").display().to_string()),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let errors = fs::read_to_string(fixture.path("errors")).unwrap();
    assert_eq!(errors.matches("HOME of root").count(), 2, "{errors}");
    assert!(fixture.path("homes/root").exists() && !fixture.path("homes/root/below").exists());
}

#[test]
fn wipe_refuses_the_system_behind_a_bind_mount() {
    let fixture = Fixture::new(User::Root);
    for (source, below) in [
        ("/", "/usr"),
        ("/", "/etc"),
        ("/", "/var/lib"),
        ("/usr", ""),
        ("/usr", "/share"),
        ("/usr/share", ""),
        ("/var", "/lib"),
    ] {
        for flag in ["--dry-run", "--keep-root"] {
            // It is read-only in case the refusal fails.
            let script = format!(
                "mount --bind {source} \"$workspace\"; mount -o remount,bind,ro \"$workspace\"
                \"$supervisor\" wipe {flag} \"$workspace{below}\""
            );
            let ended = run_in_mount_namespace(&fixture, &script);
            assert_eq!(ended.code, Some(64), "{source}{below}: {ended:?}");
            let reason = "a directory of the system";
            assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        }
    }
    // A directory beside them is no part of them.
    let script = r#"mkdir "$place/other"; : >"$place/other/file"; mount --bind "$place" "$workspace"
        "$supervisor" wipe "$workspace/other""#;
    assert_eq!(run_in_mount_namespace(&fixture, script).code, Some(0));
    assert!(!fixture.path("other").exists());
}

#[test]
fn wipe_refuses_if_the_list_of_mounts_is_missing() {
    let fixture = Fixture::new(User::Root);
    let script = r#"mount -t tmpfs tmpfs "$workspace"; : >"$workspace/file"; mount -t tmpfs tmpfs /proc
        "$supervisor" wipe --keep-root "$workspace" || status=$?
        [ -e "$workspace/file" ] && exit $status"#;
    assert_eq!(run_in_mount_namespace(&fixture, script).code, Some(64));
}
