//! What is neither a plain file nor a directory, or more than that.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::place::{BOTH, Place, Who};

#[test]
fn sockets_fifos_symlinks_and_devices_are_removed_and_never_opened() {
    for who in BOTH {
        let place = Place::new(who);
        let at = |name: &str| place.workspace().join(name);
        let _listener = UnixListener::bind(at("socket")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let device = |name, kind, device| mknod(&at(name), kind, Mode::S_IRWXU, device).unwrap();
        device("whiteout", SFlag::S_IFCHR, makedev(0, 0));
        device("null", SFlag::S_IFCHR, makedev(1, 3));
        device("loop", SFlag::S_IFBLK, makedev(7, 200));
        for (name, target) in [
            ("absolute", place.path("canary")),
            ("file", place.path("canary/one")),
            ("relative", "../canary".into()),
            ("up", "..".into()),
            ("dangling", "nowhere".into()),
            ("itself", "itself".into()),
            ("magic", "/proc/self/root".into()),
        ] {
            symlink(target, at(name)).unwrap();
        }
        place.own_all();
        let wiped = place.assert_wiped();
        assert_eq!(wiped.count("files"), 12);
    }
}

#[test]
fn a_hard_link_loses_its_name_here_and_nothing_else() {
    for who in BOTH {
        let place = Place::new(who);
        let canary = place.path("canary/one");
        fs::hard_link(&canary, place.path("workspace/linked")).unwrap();
        assert_eq!(fs::metadata(&canary).unwrap().nlink(), 2);
        let wiped = place.assert_wiped();
        assert_eq!(wiped.count("bytes"), 0, "only the last link frees anything");
    }
}

#[test]
fn a_sparse_giant_goes_at_once_and_frees_what_it_took() {
    for who in BOTH {
        let place = Place::new(who);
        let path = place.file("workspace/giant", "");
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 43)
            .unwrap();
        let taken = fs::metadata(&path).unwrap().blocks() * 512;
        let wiped = place.assert_wiped();
        assert_eq!(wiped.count("bytes"), taken);
        assert!(taken < 1 << 20);
    }
}

#[test]
fn files_that_are_open_mapped_or_running_are_removed_under_their_users() {
    for who in BOTH {
        let place = Place::new(who);
        let path = place.file("workspace/open", "");
        let mut open = File::options().read(true).write(true).open(&path).unwrap();
        open.write_all(b"still here").unwrap();
        fs::copy("/bin/sleep", place.path("workspace/program")).unwrap();
        fs::create_dir(place.path("workspace/cwd")).unwrap();
        place.own_all();
        // Its text is mapped, and its working directory removed.
        let mut running = Command::new(place.path("workspace/program"))
            .arg("1000")
            .current_dir(place.path("workspace/cwd"))
            .spawn()
            .unwrap();
        place.assert_wiped();
        assert!(running.try_wait().unwrap().is_none());
        running.kill().unwrap();
        running.wait().unwrap();
        open.rewind().unwrap();
        let mut text = String::new();
        open.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    }
}

fn change_flags(flags: &str, path: &str, place: &Place) {
    let status = Command::new("chattr")
        .arg(flags)
        .arg(place.path(path))
        .status();
    let why =
        "chattr, of e2fsprogs, on a file system that has inode flags (ext4, xfs, btrfs, tmpfs)";
    assert!(status.expect(why).success(), "{why}");
}

#[test]
fn immutable_and_append_only_entries_are_removed_by_root() {
    let place = Place::new(Who::Root);
    place.job("mkdir -p dir/below log; : >file; : >dir/file; : >dir/below/file; : >log/file");
    for path in ["dir/below/file", "dir/below", "dir", "file"] {
        change_flags("+i", &format!("workspace/{path}"), &place);
    }
    for path in ["log/file", "log"] {
        change_flags("+a", &format!("workspace/{path}"), &place);
    }
    let wiped = place.assert_wiped();
    assert_eq!(wiped.count("files"), 4);
}

#[test]
fn an_immutable_file_that_has_a_link_elsewhere_stays_immutable_there() {
    let place = Place::new(Who::Root);
    let outside = place.file("outside", "x");
    fs::hard_link(&outside, place.path("workspace/linked")).unwrap();
    change_flags("+i", "outside", &place);
    place.assert_wiped();
    let write = File::options().append(true).open(&outside);
    assert_eq!(write.unwrap_err().raw_os_error(), Some(nix::libc::EPERM));
}

#[test]
fn an_immutable_entry_is_named_where_only_root_may_remove_it() {
    let place = Place::new(Who::Runner);
    let file = place.file("workspace/immutable", "");
    place.job(": >other");
    change_flags("+i", "workspace/immutable", &place);
    let wiped = place.wipe(&[]);
    wiped.assert_left(&file, "EPERM");
    // The directory that holds it is left too.
    assert_eq!(wiped.count("leftover_count"), 2);
    assert_eq!(wiped.count("files"), 1);
}

#[test]
fn attributes_of_a_directory_that_stays_do_not_stay() {
    let place = Place::new(Who::Runner);
    let workspace = place.workspace();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&workspace, "user.kept", b"a job's data", flags).unwrap();
    place.wipe(&["--keep-root"]).assert_complete();
    let mut value = [0; 64];
    assert!(rustix::fs::getxattr(&workspace, "user.kept", &mut value).is_err());
}
