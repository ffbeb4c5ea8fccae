//! Special files, and files with hard links, holes, users or inode flags.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::fixture::{Fixture, USERS, User};

#[test]
fn wipe_removes_special_files_without_opening_them() {
    for user in USERS {
        let fixture = Fixture::new(user);
        let at = |name: &str| fixture.workspace().join(name);
        let _listener = UnixListener::bind(at("socket")).unwrap();
        let node = |name, kind, device| mknodat(CWD, at(name), kind, Mode::RWXU, device).unwrap();
        node("fifo", FileType::Fifo, 0);
        node("whiteout", FileType::CharacterDevice, makedev(0, 0));
        node("null", FileType::CharacterDevice, makedev(1, 3));
        node("loop", FileType::BlockDevice, makedev(7, 200));
        for (name, target) in [
            ("absolute", fixture.path("canary")),
            ("file", fixture.path("canary/one")),
            ("relative", "../canary".into()),
            ("up", "..".into()),
            ("dangling", "nowhere".into()),
            ("itself", "itself".into()),
            ("magic", "/proc/self/root".into()),
        ] {
            symlink(target, at(name)).unwrap();
        }
        fixture.chown_workspace();
        let wiped = fixture.wipe_completely();
        assert_eq!(wiped.count("files"), 12);
    }
}

#[test]
fn wipe_removes_a_hard_link_and_keeps_the_file() {
    for user in USERS {
        let fixture = Fixture::new(user);
        let canary = fixture.path("canary/one");
        fs::hard_link(&canary, fixture.path("workspace/linked")).unwrap();
        assert_eq!(fs::metadata(&canary).unwrap().nlink(), 2);
        let wiped = fixture.wipe_completely();
        assert_eq!(wiped.count("bytes"), 0, "only the last link frees anything");
    }
}

#[test]
fn wipe_counts_the_blocks_of_a_sparse_file() {
    for user in USERS {
        let fixture = Fixture::new(user);
        let path = fixture.file("workspace/giant", "");
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 43)
            .unwrap();
        let taken = fs::metadata(&path).unwrap().blocks() * 512;
        let wiped = fixture.wipe_completely();
        assert_eq!(wiped.count("bytes"), taken);
        assert!(taken < 1 << 20);
    }
}

#[test]
fn wipe_removes_files_in_use() {
    for user in USERS {
        let fixture = Fixture::new(user);
        let path = fixture.file("workspace/open", "");
        let mut open = File::options().read(true).write(true).open(&path).unwrap();
        open.write_all(b"still here").unwrap();
        fs::copy("/bin/sleep", fixture.path("workspace/program")).unwrap();
        fs::create_dir(fixture.path("workspace/cwd")).unwrap();
        fixture.chown_workspace();
        // The kernel maps its text, and the wipe removes its working directory.
        let mut running = Command::new(fixture.path("workspace/program"))
            .arg("1000")
            .current_dir(fixture.path("workspace/cwd"))
            .spawn()
            .unwrap();
        fixture.wipe_completely();
        assert!(running.try_wait().unwrap().is_none());
        running.kill().unwrap();
        running.wait().unwrap();
        open.rewind().unwrap();
        let mut text = String::new();
        open.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    }
}

fn change_flags(flags: &str, path: &str, fixture: &Fixture) {
    let status = Command::new("chattr")
        .arg(flags)
        .arg(fixture.path(path))
        .status();
    let why =
        "chattr, of e2fsprogs, on a file system that has inode flags (ext4, xfs, btrfs, tmpfs)";
    assert!(status.expect(why).success(), "{why}");
}

#[test]
fn root_removes_immutable_and_append_only_entries() {
    let fixture = Fixture::new(User::Root);
    fixture
        .run_script("mkdir -p dir/below log; : >file; : >dir/file; : >dir/below/file; : >log/file");
    for path in ["dir/below/file", "dir/below", "dir", "file"] {
        change_flags("+i", &format!("workspace/{path}"), &fixture);
    }
    for path in ["log/file", "log"] {
        change_flags("+a", &format!("workspace/{path}"), &fixture);
    }
    let wiped = fixture.wipe_completely();
    assert_eq!(wiped.count("files"), 4);
}

#[test]
fn immutable_file_with_another_link_stays_immutable() {
    let fixture = Fixture::new(User::Root);
    let outside = fixture.file("outside", "x");
    fs::hard_link(&outside, fixture.path("workspace/linked")).unwrap();
    change_flags("+i", "outside", &fixture);
    fixture.wipe_completely();
    let write = File::options().append(true).open(&outside);
    assert_eq!(write.unwrap_err().raw_os_error(), Some(nix::libc::EPERM));
}

#[test]
fn wipe_names_an_immutable_entry_without_privileges() {
    let fixture = Fixture::new(User::Runner);
    let file = fixture.file("workspace/immutable", "");
    fixture.run_script(": >other");
    change_flags("+i", "workspace/immutable", &fixture);
    let wiped = fixture.wipe(&[]);
    wiped.assert_leftover(&file, "EPERM");
    // Its directory is a leftover too.
    assert_eq!(wiped.count("leftover_count"), 2);
    assert_eq!(wiped.count("files"), 1);
}

#[test]
fn keep_root_removes_user_attributes() {
    let fixture = Fixture::new(User::Runner);
    let workspace = fixture.workspace();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&workspace, "user.kept", b"a job's data", flags).unwrap();
    fixture.wipe(&["--keep-root"]).assert_complete();
    let mut value = [0; 64];
    assert!(rustix::fs::getxattr(&workspace, "user.kept", &mut value).is_err());
}
