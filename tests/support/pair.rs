//! Runner and builder as a pod other than `scripts/runme_local.sh` makes it would have them: with rights of the test's own.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use test_support::eventually;

use crate::{Done, builder_image, podman, run_image, runner_image, start_image};

/// Two containers and their volumes.
pub struct Pair {
    name: String,
    users: Vec<String>,
    directory: TempDir,
}

impl Pair {
    /// Starts a builder with these flags of podman. `users` are flags that both containers have, and `root` is who owns the
    /// volumes: as the kubelet makes an emptyDir with fsGroup 1000, they are writable for the group.
    #[must_use]
    pub fn start(root: u32, users: &[&str], flags: &[&str]) -> Self {
        Self::made(root, None, users, flags)
    }

    /// A builder that is started by these words, with the rights of the profile `rootless` where nothing is filtered, and as
    /// Kubernetes starts it: without ambient capabilities.
    #[must_use]
    pub fn started_by(command: &str) -> Self {
        let entry = format!(
            r#"--entrypoint=["setpriv","--inh-caps=-all","--ambient-caps=-all","bash","-c","{command}"]"#
        );
        let rights = [
            "--user=1000:1000",
            "--cap-drop=all",
            "--cap-add=SETUID,SETGID",
            "--security-opt=seccomp=unconfined",
            &entry,
        ];
        Self::made(0, None, &[], &rights)
    }

    /// What it said.
    #[must_use]
    pub fn log(&self) -> String {
        let logs = podman(&["logs", &self.name]);
        String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into_owned()
    }

    /// The report of a builder that has ended by itself.
    #[must_use]
    pub fn report(&self) -> Value {
        let logs = podman(&["logs", &self.name]);
        let text = String::from_utf8_lossy(&logs.stdout).into_owned();
        let report = text.lines().rev().find(|line| line.contains("\"schema\""));
        serde_json::from_str(report.unwrap_or_else(|| panic!("{text}"))).unwrap()
    }

    /// The same with the rights of the profile `rootless`, and a volume for layers that has these limits, mount(8) `tmpfs`.
    #[must_use]
    pub fn with_storage_of(limits: &str) -> Self {
        let profile = crate::root().join("k8s/seccomp/buildah.json");
        let profile = format!("--security-opt=seccomp={}", profile.display());
        let rights = ["--cap-drop=all", "--cap-add=SETUID,SETGID", &profile];
        Self::made(0, Some(limits), &[], &rights)
    }

    fn made(root: u32, limits: Option<&str>, users: &[&str], flags: &[&str]) -> Self {
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let unique = directory.path().file_name().unwrap().to_string_lossy();
        let pair = Self {
            name: format!("test-{}", unique.trim_start_matches('.')),
            users: users.iter().map(ToString::to_string).collect(),
            directory,
        };
        for volume in ["workspace", "socket", "storage", "private", "tmp"] {
            let path = pair.path(volume);
            std::fs::create_dir(&path).unwrap();
            if let ("storage", Some(limits)) = (volume, limits) {
                let mut mount = Command::new("mount");
                mount
                    .args(["-t", "tmpfs", "-o", limits, "tmpfs"])
                    .arg(&path);
                assert!(mount.status().unwrap().success());
            }
            chown(&path, Some(root), Some(root + 1000)).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o2775)).unwrap();
        }
        let volumes = [
            pair.volume("workspace", "/workspace"),
            pair.volume("socket", "/run/builder"),
            pair.volume("storage", "/var/lib/builder"),
            pair.volume("private", "/run/supervisor"),
            pair.volume("tmp", "/tmp"),
        ];
        let mut all = vec!["--name", &pair.name, "--tmpfs=/var/tmp"];
        all.extend(volumes.iter().map(String::as_str));
        all.extend(users);
        all.extend(flags);
        let output = start_image(&builder_image(), &all, &["serve-builds"]);
        assert!(output.status.success(), "{output:?}");
        let socket = pair.path("socket").join("socket");
        eventually("the builder's socket", || socket.exists().then_some(()));
        pair
    }

    /// Builds FROM nothing, with a step that runs this script; it has a few programs. No quotes: it stands in JSON.
    #[must_use]
    pub fn step(script: &str) -> String {
        format!(
            r#"
            mkdir -p /workspace/work/step/root && cd /workspace/work/step
            for program in bash cat ls mkdir tr sleep setsid unshare prlimit; do cp --parents "/usr/bin/$program" $(ldd "/usr/bin/$program" | grep -o '/[^ ]*') root; done
            for link in bin lib lib64; do [ ! -L /$link ] || cp -P /$link root; done
            printf '%s\n' 'FROM scratch' 'COPY root /' 'RUN ["/usr/bin/bash", "-c", "{script}"]' >Containerfile
            exec buildah build --no-cache .
            "#
        )
    }

    /// The builder's container.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a volume lies on this machine.
    #[must_use]
    pub fn path(&self, volume: &str) -> PathBuf {
        self.directory.path().join(volume)
    }

    fn volume(&self, name: &str, place: &str) -> String {
        let path = self.path(name);
        format!("--volume={}:{place}", path.display())
    }

    /// Runs a script as the job: in a container that may do nothing.
    #[must_use]
    pub fn job(&self, script: &str) -> Done {
        let volumes = [
            self.volume("workspace", "/workspace"),
            self.volume("socket", "/run/builder"),
        ];
        let mut flags = vec!["--user=1000:1000", "--cap-drop=all", "--read-only"];
        flags.extend(["--security-opt=no-new-privileges", "--entrypoint=bash"]);
        flags.extend(["--workdir=/workspace", &volumes[0], &volumes[1]]);
        flags.extend(self.users.iter().map(String::as_str));
        let output = run_image(&runner_image(), &flags, &["-c", script]);
        let said = [output.stdout, output.stderr].concat();
        Done {
            code: output.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&said).into_owned(),
        }
    }

    /// Ends the builder as the kubelet does, and gives its report.
    #[must_use]
    pub fn end(&self) -> Value {
        let stopped = podman(&["stop", "--time", "60", &self.name]);
        assert!(stopped.status.success(), "{stopped:?}");
        self.report()
    }

    /// What lies in a volume.
    #[must_use]
    pub fn count(&self, volume: &str) -> usize {
        std::fs::read_dir(self.path(volume)).unwrap().count()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = podman(&["rm", "--force", "--ignore", "--time", "0", &self.name]);
        // Where nothing is mounted there is nothing to unmount.
        let storage = self.path("storage");
        let _ = Command::new("umount").arg("--quiet").arg(storage).status();
    }
}
