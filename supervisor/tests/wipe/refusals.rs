//! Paths that are not wiped: refused with a reason before anything is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::place::{BOTH, Place, Who, Wiped, run};

fn refused(place: &Place, path: &str, reason: &str) {
    for flags in [&[][..], &["--keep-root"], &["--dry-run"]] {
        let mut command = place.command(flags);
        command.current_dir(place.workspace());
        // The workspace is a path that could be wiped, and must not be.
        command.arg(place.workspace()).arg(path);
        let ended = run(command);
        assert_eq!(ended.code, Some(64), "{path:?} {flags:?}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{path:?}: {}", ended.stderr);
        assert!(place.path("workspace/file").exists(), "{path:?}");
        place.assert_canary();
    }
}

#[test]
fn the_system_and_unclear_paths_are_refused_and_nothing_is_touched() {
    for who in BOTH {
        let place = Place::new(who);
        place.file("workspace/file", "x");
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
            refused(&place, path, reason);
        }
        symlink(place.path("canary"), place.path("link")).unwrap();
        let through = [
            place.path("link"),
            place.path("link/below"),
            place.path("workspace/file"),
        ];
        for path in through {
            refused(
                &place,
                path.to_str().unwrap(),
                "not a directory, or a symlink",
            );
        }
    }
}

/// In a mount namespace of its own, as root.
fn scene(place: &Place, script: &str) -> Wiped {
    let mut command = Command::new("unshare");
    let script = format!("set -eu; mount --make-rprivate /\n{script}");
    command
        .args(["--mount", "bash", "-c", &script])
        .env("workspace", place.workspace())
        .env("place", place.path(""))
        .env("canary", place.path("canary"))
        .env("supervisor", place.supervisor());
    run(command)
}

#[test]
fn a_mount_point_is_emptied_but_not_removed() {
    let place = Place::new(Who::Root);
    let mount = r#"mount -t tmpfs tmpfs "$workspace"; : >"$workspace/file""#;
    let ended = scene(
        &place,
        &format!("{mount}\n\"$supervisor\" wipe \"$workspace\""),
    );
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("a mount point"), "{}", ended.stderr);
    let ended = scene(
        &place,
        &format!(
            "{mount}\n\"$supervisor\" wipe --keep-root \"$workspace\"; [ -z \"$(ls -A \"$workspace\")\" ]"
        ),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn the_root_directory_and_roots_home_are_known_by_other_names() {
    let place = Place::new(Who::Root);
    for (source, reason) in [
        ("/", "a directory of the system"),
        ("/root", "HOME of root"),
    ] {
        // Read-only, should it be wiped after all.
        let script = format!(
            "mount --bind {source} \"$workspace\"; mount -o remount,bind,ro \"$workspace\"
            \"$supervisor\" wipe --keep-root \"$workspace\""
        );
        let ended = scene(&place, &script);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    }
}

#[test]
fn a_home_of_root_elsewhere_is_refused_with_all_above_it() {
    let place = Place::new(Who::Root);
    fs::create_dir_all(place.path("homes/root/below")).unwrap();
    let script = r#"
        sed "s|^root:.*|root:x:0:0:root:$place/homes/root:/bin/sh|" /etc/passwd >"$place/passwd"
        mount --bind "$place/passwd" /etc/passwd
        for path in "$place/homes/root" "$place/homes"; do
            "$supervisor" wipe "$path" 2>>"$place/said" && exit 9
        done
        "$supervisor" wipe "$place/homes/root/below"
    "#;
    let ended = scene(
        &place,
        &script.replace("$place", &place.path("").display().to_string()),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = fs::read_to_string(place.path("said")).unwrap();
    assert_eq!(said.matches("HOME of root").count(), 2, "{said}");
    assert!(place.path("homes/root").exists() && !place.path("homes/root/below").exists());
}

#[test]
fn the_system_is_known_by_the_names_that_a_bind_mount_gives_it() {
    let place = Place::new(Who::Root);
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
            // Read-only, should it be wiped after all.
            let script = format!(
                "mount --bind {source} \"$workspace\"; mount -o remount,bind,ro \"$workspace\"
                \"$supervisor\" wipe {flag} \"$workspace{below}\""
            );
            let ended = scene(&place, &script);
            assert_eq!(ended.code, Some(64), "{source}{below}: {ended:?}");
            let reason = "a directory of the system";
            assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        }
    }
    // What lies beside them is no part of them.
    let script = r#"mkdir "$place/other"; : >"$place/other/file"; mount --bind "$place" "$workspace"
        "$supervisor" wipe "$workspace/other""#;
    assert_eq!(scene(&place, script).code, Some(0));
    assert!(!place.path("other").exists());
}

#[test]
fn where_nothing_tells_what_is_mounted_nothing_is_removed() {
    let place = Place::new(Who::Root);
    let script = r#"mount -t tmpfs tmpfs "$workspace"; : >"$workspace/file"; mount -t tmpfs tmpfs /proc
        "$supervisor" wipe --keep-root "$workspace" || status=$?
        [ -e "$workspace/file" ] && exit $status"#;
    assert_eq!(scene(&place, script).code, Some(64));
}
