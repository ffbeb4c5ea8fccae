//! Which Debian the images are made of: the locked snapshot from whichever server has it, or a warning.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::root;

const SUITES: [(&str, &str); 5] = [
    ("debian", "trixie"),
    ("debian", "trixie-updates"),
    ("debian", "trixie-backports"),
    ("debian-security", "trixie-security"),
    ("debian", "forky"),
];
const DATE: &str = "20260102T030405Z";

/// A mirror, an archive of snapshots and a lock file, in a directory of the test.
struct Servers(tempfile::TempDir);

impl Servers {
    /// Both serve the content that the lock file names.
    fn new() -> Self {
        let servers = Self(tempfile::tempdir().unwrap());
        for (archive, suite) in SUITES {
            servers.serve(&format!("mirror/{archive}"), suite, "first");
            servers.serve(&format!("snapshot/{archive}/{DATE}"), suite, "first");
        }
        fs::write(
            servers.path().join("lock"),
            "act 1 amd64 https://example.org/act 0\n",
        )
        .unwrap();
        let locked = servers.lock(&[DATE]);
        assert!(locked.status.success(), "{locked:?}");
        servers
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn serve(&self, address: &str, suite: &str, content: &str) {
        let directory = self.path().join(address).join("dists").join(suite);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("InRelease"), format!("{suite} {content}\n")).unwrap();
    }

    fn run(&self, command: &mut Command) -> Output {
        let url = |name: &str| format!("file://{}/{name}", self.path().display());
        command
            .env("DEBIAN_MIRROR", url("mirror"))
            .env("DEBIAN_SNAPSHOT", url("snapshot"))
            .env("CI_CD_AGENTS_LOCK", self.path().join("lock"))
            .current_dir(root())
            .output()
            .unwrap()
    }

    fn lock(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("scripts/lock_debian.sh");
        self.run(command.arg("--no-tests").args(arguments))
    }

    fn lock_file(&self) -> String {
        fs::read_to_string(self.path().join("lock")).unwrap()
    }

    /// The source that the build of an image with Buildah chooses, apt's configuration for it, and what the user reads.
    fn choose(&self) -> (String, String, String) {
        self.choose_for("trixie forky")
    }

    /// The same for an image with packages of these releases.
    fn choose_for(&self, releases: &str) -> (String, String, String) {
        let script = r#"
            source scripts/lib.sh
            choose_debian $2
            apt_configuration "$1" "$DEBIAN_SOURCE" $2
            echo "$DEBIAN_SOURCE"
        "#;
        let configuration = tempfile::tempdir().unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-c", script, "bash"])
            .arg(configuration.path())
            .arg(releases);
        let output = self.run(&mut command);
        assert!(output.status.success(), "{output:?}");
        let read =
            |name: &str| fs::read_to_string(configuration.path().join(name)).unwrap_or_default();
        (
            String::from_utf8(output.stdout).unwrap().trim().to_owned(),
            read("apt.conf") + &read("debian.list") + &read("preferences"),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

#[test]
fn the_mirror_is_taken_while_it_serves_the_locked_snapshot() {
    let servers = Servers::new();
    fs::remove_dir_all(servers.path().join("snapshot")).unwrap();
    let (source, configuration, said) = servers.choose();
    assert_eq!((source.as_str(), said.as_str()), ("mirror", ""));
    for (archive, suite) in SUITES {
        let line = format!("/mirror/{archive} {suite} main\n");
        assert!(configuration.contains(&line), "{configuration}");
    }
    assert!(
        configuration.contains("/mnt/verify_snapshot.sh"),
        "{configuration}"
    );
}

#[test]
fn uses_the_snapshot_archive_once_the_mirror_has_moved_on() {
    let servers = Servers::new();
    servers.serve("mirror/debian-security", "trixie-security", "second");
    let (source, configuration, said) = servers.choose();
    assert_eq!((source.as_str(), said.as_str()), ("snapshot", ""));
    for (archive, suite) in SUITES {
        let line = format!("/snapshot/{archive}/{DATE}/ {suite} main\n");
        assert!(configuration.contains(&line), "{configuration}");
    }
    assert!(
        configuration.contains("/mnt/verify_snapshot.sh"),
        "{configuration}"
    );
}

#[test]
fn other_packages_come_with_a_warning() {
    let servers = Servers::new();
    servers.serve("mirror/debian", "trixie", "second");
    servers.serve(&format!("snapshot/debian/{DATE}"), "trixie", "forged");
    let (source, configuration, said) = servers.choose();
    assert_eq!(source, "unpinned");
    assert!(
        said.starts_with("warning: ") && said.contains(DATE),
        "{said}"
    );
    assert!(
        configuration.contains("/mirror/debian trixie main\n"),
        "{configuration}"
    );
    assert!(
        !configuration.contains("verify_snapshot"),
        "{configuration}"
    );
}

#[test]
fn a_moved_forky_changes_only_images_with_buildah() {
    let servers = Servers::new();
    servers.serve("mirror/debian", "forky", "second");
    assert_eq!(servers.choose().0, "snapshot");
    let (source, configuration, said) = servers.choose_for("trixie");
    assert_eq!((source.as_str(), said.as_str()), ("mirror", ""));
    assert!(!configuration.contains("forky"), "{configuration}");
}

#[test]
fn packages_of_forky_are_installed_by_name_only() {
    let (_, configuration, _) = Servers::new().choose();
    let preference = "Package: *\nPin: release n=forky*\nPin-Priority: 100\n";
    assert!(configuration.contains(preference), "{configuration}");
    assert!(!configuration.contains("n=trixie"), "{configuration}");
}

#[test]
fn the_suite_of_buildah_is_chosen_by_name() {
    let suites = |variable: &str, base: &str| {
        let script = r#"
            source scripts/lib.sh
            for image in builder single runner; do
                echo "$image $(buildah_suite "$1" "images/$image/Containerfile")"
            done
        "#;
        let mut command = Command::new("bash");
        command
            .args(["-c", script, "bash", base])
            .env("BUILDAH_SUITE", variable)
            .current_dir(root());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        suites("", "debian"),
        "builder forky\nsingle forky\nrunner \n"
    );
    let own = "builder \nsingle \nrunner \n";
    assert_eq!(suites("trixie", "debian"), own);
    assert_eq!(suites("", "other"), own);
    assert!(suites("noble-backports", "other").starts_with("builder noble-backports\n"));
}

#[test]
fn what_apt_has_fetched_is_compared_with_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let verify = |contents: &[(&str, &str)]| {
        let lists = directory.path().join("lists");
        let _ = fs::remove_dir_all(&lists);
        fs::create_dir(&lists).unwrap();
        for (name, content) in contents {
            fs::write(lists.join(name), content).unwrap();
        }
        // printf 'good\n' | sha256sum
        let digest = "106675dc1490d5cdd6d1f0410731316ce93fc964c6cf6726e2b0d53e19688feb\n";
        let digests = directory.path().join("digests");
        fs::write(&digests, digest).unwrap();
        let mut command = Command::new("sh");
        command.arg(root().join("images/verify_snapshot.sh"));
        let output = command.arg(&digests).arg(&lists).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(
        verify(&[("a_InRelease", "good\n")]),
        (Some(0), String::new())
    );
    let (code, said) = verify(&[("a_InRelease", "good\n"), ("b_InRelease", "other\n")]);
    assert!(
        code == Some(1) && said.contains("b_InRelease is not of the locked snapshot"),
        "{said}"
    );
    let (code, said) = verify(&[]);
    assert!(code == Some(1) && said.contains("no InRelease"), "{said}");
}

#[test]
fn moving_the_lock_replaces_the_lines_about_debian_alone() {
    let servers = Servers::new();
    let before = servers.lock_file();
    assert_eq!(before.lines().count(), 1 + SUITES.len(), "{before}");
    for (archive, suite) in SUITES {
        servers.serve(
            &format!("snapshot/{archive}/20270102T030405Z"),
            suite,
            "second",
        );
    }
    assert!(servers.lock(&["20270102T030405Z"]).status.success());
    let after = servers.lock_file();
    assert_eq!(after.lines().count(), before.lines().count(), "{after}");
    assert!(
        after.starts_with("act 1 amd64 ") && !after.contains(DATE),
        "{after}"
    );
    let absent = servers.lock(&["20280102T030405Z"]);
    assert_eq!(absent.status.code(), Some(69), "{absent:?}");
    assert_eq!(servers.lock(&["yesterday"]).status.code(), Some(64));
    assert_eq!(servers.lock_file(), after);
}

#[test]
fn without_the_archive_the_mirror_of_now_is_locked() {
    let servers = Servers::new();
    fs::remove_dir_all(servers.path().join("snapshot")).unwrap();
    servers.serve("mirror/debian", "trixie", "third");
    let locked = servers.lock(&[]);
    assert!(locked.status.success(), "{locked:?}");
    assert_eq!(servers.choose().0, "mirror");
}

#[test]
fn the_base_image_refuses_expired_release_files() {
    let shown = support::run_image(
        "localhost/ci-cd-agents/base:trixie",
        &[],
        &["apt-config", "dump"],
    );
    let settings = String::from_utf8_lossy(&shown.stdout);
    assert!(settings.contains("APT::Architecture"), "{shown:?}");
    assert!(!settings.contains("Check-Valid-Until"), "{settings}");
}
