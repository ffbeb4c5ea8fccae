//! A doctor that is ended in the middle of a build leaves no file and no process behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{supervisor, wait_for};
use tempfile::TempDir;

/// A buildah that tells its version, and then builds without end, with a child of its own.
const ENDLESS: &str = "#!/bin/bash
case $1 in
    --version) echo 'buildah version 1.39.3 (image-spec 1.1.0, runtime-spec 1.2.0)' ;;
    *) sleep 86399 & echo $! $$ >\"$MARK\"; wait ;;
esac
";

struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        for name in ["bin", "workspace", "run"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let scene = Self { directory };
        let mark = scene.path("mark");
        let script = ENDLESS.replace("$MARK", &mark);
        fs::write(scene.path("bin/buildah"), script).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(scene.path("bin/buildah"), mode).unwrap();
        scene
    }

    fn path(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_string_lossy()
            .into_owned()
    }

    /// A doctor whose build is under way, and the processes of that build.
    fn start(&self) -> (Child, Vec<String>) {
        let path = format!("{}:{}", self.path("bin"), std::env::var("PATH").unwrap());
        let doctor = Command::new(supervisor())
            .args(["doctor", "--only", "storage.build"])
            .args(["--workspace", &self.path("workspace")])
            .env("SUPERVISOR_RUNTIME_DIRECTORY", self.path("run"))
            .env("PATH", path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pids = wait_for("the build", || {
            let text = fs::read_to_string(self.path("mark")).ok()?;
            text.ends_with('\n')
                .then(|| text.split_whitespace().map(str::to_owned).collect())
        });
        (doctor, pids)
    }

    fn assert_nothing_is_left(&self, pids: &[String]) {
        wait_for("the end of the build's processes", || {
            let alive = |pid: &String| Path::new("/proc").join(pid).exists();
            (!pids.iter().any(alive)).then_some(())
        });
        wait_for("an empty workspace", || {
            let entries =
                ["workspace", "run"].map(|name| fs::read_dir(self.path(name)).unwrap().count());
            (entries == [0, 0]).then_some(())
        });
    }
}

fn end(doctor: &mut Child, signal: &str) {
    let pid = doctor.id().to_string();
    let sent = Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(sent.unwrap().success());
    doctor.wait().unwrap();
}

#[test]
fn a_signal_ends_it_and_all_that_it_began() {
    let scene = Scene::new();
    let (mut doctor, pids) = scene.start();
    end(&mut doctor, "TERM");
    scene.assert_nothing_is_left(&pids);
}

#[test]
fn so_does_one_that_cannot_be_caught() {
    let scene = Scene::new();
    let (mut doctor, pids) = scene.start();
    end(&mut doctor, "KILL");
    scene.assert_nothing_is_left(&pids);
}
