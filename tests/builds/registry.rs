//! A registry that asks for a password, within a pod's network.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{Pod, podman, wait_for};
use tempfile::TempDir;

pub(crate) struct Registry {
    child: Child,
    _directory: TempDir,
}

impl Registry {
    /// Debian's docker-registry on the pod's loopback, for one user.
    pub(crate) fn start(pod: &Pod, port: u16, user: &str, password: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("users"), format!("{user}:{}\n", hash(password))).unwrap();
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n\
             auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
            path("data"),
            path("users")
        );
        std::fs::write(path("registry.yml"), text).unwrap();
        let network = format!("{}-network", pod.name());
        let pid = podman(&["inspect", "--format", "{{.State.Pid}}", &network]);
        let network = format!(
            "--net=/proc/{}/ns/net",
            String::from_utf8_lossy(&pid.stdout).trim()
        );
        let child = Command::new("nsenter")
            .args([&network, "docker-registry", "serve"])
            .arg(Path::new(&path("registry.yml")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the registry", || {
            let asked = pod.job(&format!(
                "curl --silent --output /dev/null --write-out '%{{http_code}}' http://127.0.0.1:{port}/v2/"
            ));
            (asked.said == "401").then_some(())
        });
        Self {
            child,
            _directory: directory,
        }
    }
}

/// bcrypt, the only kind that the registry takes.
fn hash(password: &str) -> String {
    let script = "print crypt($ARGV[0], '$2y$05$abcdefghijklmnopqrstuu')";
    let output = Command::new("perl").args(["-e", script, password]).output();
    let hash = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(hash.starts_with("$2y$05$"), "{hash}");
    hash
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
