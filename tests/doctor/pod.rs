//! A container as a pod would have it, in which one thing is different.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{root, run_in_a_container};
use tempfile::TempDir;

/// A healthy container: each field is a flag's value, or empty for none.
pub(crate) struct Pod {
    pub(crate) directory: TempDir,
    flags: Vec<String>,
    /// In place of the usual flags of these kinds.
    pub(crate) rights: Vec<String>,
    pub(crate) seccomp: String,
    pub(crate) user: &'static str,
    pub(crate) network: &'static str,
    pub(crate) workspace: Vec<String>,
    pub(crate) runtime: Vec<String>,
    doctor: Vec<String>,
    mounts: Vec<PathBuf>,
}

fn owned(flags: &[&str]) -> Vec<String> {
    flags.iter().map(ToString::to_string).collect()
}

impl Pod {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let workspace = directory.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        chown(&workspace, Some(1000), Some(1000)).unwrap();
        Self {
            flags: Vec::new(),
            rights: owned(&[
                "--cap-drop",
                "all",
                "--cap-add",
                "SETUID",
                "--cap-add",
                "SETGID",
            ]),
            seccomp: format!("{}", root().join("k8s/seccomp/buildah.json").display()),
            user: "1000:1000",
            network: "none",
            workspace: vec![
                "--volume".to_owned(),
                format!("{}:/workspace", workspace.display()),
            ],
            runtime: owned(&[
                "--mount",
                "type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true",
            ]),
            doctor: Vec::new(),
            mounts: Vec::new(),
            directory,
        }
    }

    /// Further flags of podman.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(owned(flags));
        self
    }

    /// Further arguments of the doctor.
    pub(crate) fn doctor(mut self, arguments: &[&str]) -> Self {
        self.doctor.extend(owned(arguments));
        self
    }

    /// Flags in place of those that give the capabilities.
    pub(crate) fn rights(mut self, flags: &[&str]) -> Self {
        self.rights = owned(flags);
        self
    }

    /// Flags in place of those that give the workspace.
    pub(crate) fn workspace(mut self, flags: &[&str]) -> Self {
        self.workspace = owned(flags);
        self
    }

    /// The workspace's directory on this machine.
    pub(crate) fn volume(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// A file of this content at `path` in the container.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let here = self.directory.path().join(path.replace('/', "_"));
        fs::write(&here, content).unwrap();
        fs::set_permissions(&here, fs::Permissions::from_mode(mode)).unwrap();
        let volume = format!("{}:{path}:ro", here.display());
        self.flags(&["--volume", &volume])
    }

    /// The seccomp profile, changed.
    pub(crate) fn seccomp(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut profile: Value =
            serde_json::from_str(&fs::read_to_string(&self.seccomp).unwrap()).unwrap();
        change(&mut profile);
        let path = self.directory.path().join("seccomp.json");
        fs::write(&path, profile.to_string()).unwrap();
        self.seccomp = path.to_string_lossy().into_owned();
        self
    }

    /// The workspace becomes a file system of its own, by mount(8).
    pub(crate) fn mounted(mut self, arguments: &[&str]) -> Self {
        let place = self.volume();
        let status = Command::new("mount").args(arguments).arg(&place).status();
        assert!(status.unwrap().success(), "mount {arguments:?}");
        self.mounts.push(place);
        self
    }

    fn all_flags(&self) -> Vec<&str> {
        let mut flags = vec!["--network", self.network, "--user", self.user];
        let lists = [&self.rights, &self.workspace, &self.runtime, &self.flags];
        flags.extend(lists.into_iter().flatten().map(String::as_str));
        flags
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let seccomp = format!("seccomp={}", self.seccomp);
        let mut flags = self.all_flags();
        if !self.seccomp.is_empty() {
            flags.extend(["--security-opt", &seccomp]);
        }
        let output = run_in_a_container(&flags, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    /// What the doctor says, and its exit code.
    pub(crate) fn examine(&self, only: &[&str]) -> (i32, Value) {
        let mut arguments = vec!["doctor", "--json"];
        for name in only {
            arguments.extend(["--only", name]);
        }
        arguments.extend(self.doctor.iter().map(String::as_str));
        let (code, said, error) = self.run(&arguments);
        let report = serde_json::from_str(&said);
        let report: Value = report.unwrap_or_else(|_| panic!("{code} {said} {error}"));
        assert_eq!(report["exit_code"], code, "{report:#}");
        (code, report)
    }

    /// Whether a job that does not ask the doctor first can build an image, as a job does, and what it said.
    pub(crate) fn builds(&self) -> (bool, String) {
        let script = "set -e; mkdir context; cp /usr/local/bin/supervisor context/
            printf 'FROM scratch\\nCOPY --chown=33:33 supervisor /supervisor\\nRUN [\"/supervisor\", \"--version\"]\\n' >context/Containerfile
            buildah build --network host context";
        let arguments = [
            "run",
            "--no-preflight",
            "--flavor",
            "exec",
            "--",
            "bash",
            "-c",
            script,
        ];
        let (code, said, error) = self.run(&arguments);
        (code == 0, format!("{code} {said} {error}"))
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for place in &self.mounts {
            let _ = Command::new("umount").arg("--lazy").arg(place).status();
        }
    }
}

/// The one check of this id in a report.
pub(crate) fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("there is no {id}: {report:#}"))
}

/// A program out of the image, with its mode and without what its file carries besides.
pub(crate) fn out_of_the_image(path: &str) -> Vec<u8> {
    let output = run_in_a_container(&["--network", "none", "--entrypoint", "/bin/cat"], &[path]);
    assert!(Path::new(path).is_absolute() && output.status.success());
    output.stdout
}
