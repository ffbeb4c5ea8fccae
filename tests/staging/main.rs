//! The job's copy of a repository: complete for an honest one, and nothing else for a hostile one.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::root;
use tempfile::TempDir;

/// A repository to stage, and where it is staged.
struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("source")).unwrap();
        fs::create_dir(directory.path().join("run")).unwrap();
        Self { directory }
    }

    /// A repository with one commit of the file `tracked`.
    fn repository() -> Self {
        let scene = Self::new();
        scene.git(&["init", "--quiet"]);
        scene.write("tracked", "committed");
        scene.commit();
        scene
    }

    fn source(&self, name: &str) -> PathBuf {
        self.directory.path().join("source").join(name)
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.directory.path().join("run/repository").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.source(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "test"]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.source(""), arguments)
    }

    fn stage_with(&self, source: &Path, environment: &[(&str, &Path)]) -> Output {
        let script = "source scripts/lib.sh; source scripts/runme/repository.sh; RUNNER_ID=1000
            RUN=$1 REPOSITORY=$2; stage_repository";
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash"]);
        command.arg(self.directory.path().join("run")).arg(source);
        command.envs(environment.iter().copied());
        command.current_dir(root()).output().unwrap()
    }

    /// Stages, and returns what was said.
    fn stage(&self) -> String {
        let output = self.stage_with(&self.source(""), &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    fn refusal(&self) -> String {
        let output = self.stage_with(&self.source(""), &[]);
        assert_eq!(output.status.code(), Some(66));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.staged(name)).unwrap()
    }

    /// Whether a text lies anywhere in the copy, git's objects included.
    fn holds(&self, text: &str) -> bool {
        let stage = self.staged("");
        let script = "grep -rqF -- \"$2\" \"$1\" && exit; cd \"$1\" && git -c safe.directory='*' cat-file --batch-all-objects --batch | grep -aqF -- \"$2\"";
        let found = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(&stage)
            .arg(text)
            .status();
        found.unwrap().success()
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@localhost"])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn copies_uncommitted_changes_and_no_ignored_file() {
    let scene = Scene::repository();
    scene.write(".gitignore", "*.secret\n");
    scene.write("deleted", "x");
    scene.commit();
    scene.write("tracked", "changed");
    scene.write("new file\nwith a newline", "new");
    scene.write("key.secret", "hunter2");
    fs::remove_file(scene.source("deleted")).unwrap();
    scene.stage();
    assert_eq!(scene.read("tracked"), "changed");
    assert_eq!(scene.read("new file\nwith a newline"), "new");
    assert!(!scene.staged("deleted").exists());
    assert!(!scene.holds("hunter2"));
    let head = git(
        &scene.staged(""),
        &["-c", "safe.directory=*", "rev-parse", "HEAD"],
    );
    assert_eq!(head, scene.git(&["rev-parse", "HEAD"]));
}

#[test]
fn what_no_branch_leads_to_stays_behind() {
    let scene = Scene::repository();
    scene.write("tracked", "amended-away");
    scene.commit();
    scene.git(&["reset", "--quiet", "--hard", "HEAD^"]);
    scene.stage();
    assert!(!scene.holds("amended-away"));
    assert!(scene.holds("committed"));
}

#[test]
fn submodules_and_linked_work_trees_are_copied() {
    let library = Scene::repository();
    let scene = Scene::repository();
    let url = library.source("").display().to_string();
    scene.git(&["submodule", "--quiet", "add", &url, "library"]);
    scene.commit();
    scene.stage();
    assert_eq!(scene.read("library/tracked"), "committed");

    for (name, prepare) in [("linked", true), ("source/library", false)] {
        let other = scene.directory.path().join(name);
        if prepare {
            let path = other.display().to_string();
            scene.git(&["worktree", "add", "--quiet", "--detach", &path]);
        }
        fs::remove_dir_all(scene.directory.path().join("run")).unwrap();
        fs::create_dir(scene.directory.path().join("run")).unwrap();
        let output = scene.stage_with(&other, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        assert_eq!(scene.read("tracked"), "committed", "{name}");
    }
}

#[test]
fn an_empty_repository_and_a_plain_directory_get_one_commit() {
    let scene = Scene::new();
    scene.git(&["init", "--quiet"]);
    let said = scene.stage();
    assert!(said.contains("has no commit yet"), "{said}");

    let scene = Scene::new();
    scene.write("file", "content");
    let said = scene.stage();
    assert!(said.contains("not the top of a git work tree"), "{said}");
    assert_eq!(scene.read("file"), "content");
}

#[test]
fn the_origin_comes_along_without_its_password() {
    let scene = Scene::repository();
    let url = "https://user:hunter2@0815@example.com/owner/name.git";
    scene.git(&["remote", "add", "origin", url]);
    scene.stage();
    let config = scene.read(".git/config");
    assert!(
        config.contains("https://example.com/owner/name.git"),
        "{config}"
    );
    assert!(!scene.holds("hunter2") && !scene.holds("0815"), "{config}");
}

/// A program that git would run, if it ran any: it leaves a mark.
fn trap(scene: &Scene) -> (String, PathBuf) {
    let mark = scene.directory.path().join("it-ran");
    (format!("touch '{}'; cat", mark.display()), mark)
}

#[test]
fn neither_filters_nor_hooks_nor_monitors_of_the_repository_run() {
    let scene = Scene::repository();
    let (program, mark) = trap(&scene);
    scene.write(".gitattributes", "* filter=evil diff=evil\n");
    scene.commit();
    for key in [
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.evil.textconv",
        "core.fsmonitor",
    ] {
        scene.git(&["config", key, &program]);
    }
    scene.write(".git/info/attributes", "* filter=evil\n");
    scene.write("tracked", "changed");
    for hook in [
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "post-commit",
    ] {
        let path = scene.source(".git/hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\n{program}\n")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    scene.stage();
    assert!(!mark.exists());
    assert_eq!(scene.read("tracked"), "changed");
    assert!(!scene.read(".git/config").contains("evil"));
}

#[test]
fn a_work_tree_elsewhere_is_not_read() {
    let scene = Scene::repository();
    let outside = scene.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("host-file"), "of the host").unwrap();
    let (program, mark) = trap(&scene);
    scene.git(&["config", "filter.evil.clean", &program]);
    scene.write(".git/info/attributes", "* filter=evil\n");
    scene.git(&["config", "core.worktree", &outside.display().to_string()]);
    scene.stage();
    assert!(!scene.holds("of the host") && !mark.exists());
    assert_eq!(scene.read("tracked"), "committed");
}

#[test]
fn a_directory_that_became_a_symlink_is_copied_as_one() {
    let scene = Scene::repository();
    scene.write("directory/shadow", "mine");
    scene.commit();
    fs::remove_dir_all(scene.source("directory")).unwrap();
    symlink("/etc", scene.source("directory")).unwrap();
    scene.stage();
    assert_eq!(
        fs::read_link(scene.staged("directory")).unwrap(),
        Path::new("/etc")
    );

    // The same with the symlink hidden from git.
    let scene = Scene::repository();
    scene.write("directory/shadow", "mine");
    scene.commit();
    fs::remove_dir_all(scene.source("directory")).unwrap();
    symlink("/etc", scene.source("directory")).unwrap();
    scene.write(".git/info/exclude", "directory\n");
    scene.stage();
    assert!(!scene.staged("directory").exists());
}

#[test]
fn names_in_the_index_that_lead_elsewhere_are_left_out() {
    let scene = Scene::repository();
    let (program, mark) = trap(&scene);
    scene.git(&["config", "filter.evil.clean", &program]);
    // As long as the names that take their place, for git checks a name only when it is entered.
    for name in ["aaaa/config", "bb/bb/bb/etc/passwd"] {
        scene.write(name, "x");
    }
    scene.git(&["add", "--all"]);
    let index = fs::read(scene.source(".git/index")).unwrap();
    let index = replace(&index, b"aaaa/config", b".git/config");
    let index = replace(&index, b"bb/bb/bb/etc/passwd", b"../../../etc/passwd");
    fs::write(scene.source(".git/index"), with_checksum(index, &scene)).unwrap();
    let said = scene.stage();
    assert!(said.contains("is left out"), "{said}");
    assert!(!scene.read(".git/config").contains("evil") && !mark.exists());
    assert!(!scene.holds("root:"));
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from);
    let at = at.unwrap();
    // "bb/" and "../" are of one length; a longer name takes the padding of its entry.
    let mut bytes = bytes.to_vec();
    bytes[at..at + from.len()].copy_from_slice(&to[..from.len()]);
    bytes
}

/// The index ends with a SHA-1 of what is before it (gitformat-index(5)).
fn with_checksum(mut index: Vec<u8>, scene: &Scene) -> Vec<u8> {
    index.truncate(index.len() - 20);
    let body = scene.directory.path().join("index-body");
    fs::write(&body, &index).unwrap();
    let sum = Command::new("sha1sum").arg(&body).output().unwrap().stdout;
    let sum = String::from_utf8(sum[..40].to_vec()).unwrap();
    index.extend((0..20).map(|at| u8::from_str_radix(&sum[2 * at..2 * at + 2], 16).unwrap()));
    index
}

#[test]
fn a_git_directory_of_somebody_else_is_refused() {
    let private = Scene::repository();
    let theirs = private.source(".git");

    let scene = Scene::new();
    fs::write(
        scene.source(".git"),
        format!("gitdir: {}\n", theirs.display()),
    )
    .unwrap();
    assert!(scene.refusal().contains("belongs to another work tree"));

    let scene = Scene::new();
    symlink(&theirs, scene.source(".git")).unwrap();
    assert!(scene.refusal().contains("is a symlink"));

    let scene = Scene::repository();
    fs::write(scene.source(".git/commondir"), theirs.display().to_string()).unwrap();
    assert!(scene.refusal().contains("commondir"));
}

#[test]
fn the_callers_git_variables_do_not_reach_their_repository() {
    let mine = Scene::repository();
    mine.git(&[
        "remote",
        "add",
        "origin",
        "https://user:secret@example.com/mine",
    ]);
    mine.write("tracked", "staged");
    mine.git(&["add", "tracked"]);
    let scene = Scene::repository();
    let (git_dir, index) = (mine.source(".git"), mine.source(".git/index"));
    let environment = [
        ("GIT_DIR", git_dir.as_path()),
        ("GIT_INDEX_FILE", index.as_path()),
    ];
    let output = scene.stage_with(&scene.source(""), &environment);
    assert!(output.status.success());
    assert_eq!(mine.git(&["diff", "--cached", "--name-only"]), "tracked");
    assert!(
        mine.git(&["config", "remote.origin.url"])
            .contains("secret")
    );
}
