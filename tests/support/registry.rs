//! A registry that asks for a password, within a pod's network.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use test_support::eventually;

use crate::podman;

/// It ends when it is dropped.
pub struct Registry {
    child: Child,
    network: String,
    port: u16,
    _directory: TempDir,
}

impl Registry {
    /// Debian's docker-registry on the loopback of a container's network, for one user.
    #[must_use]
    pub fn start(container: &str, port: u16, user: &str, password: &str) -> Self {
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
        let pid = podman(&["inspect", "--format", "{{.State.Pid}}", container]);
        let pid = String::from_utf8_lossy(&pid.stdout).trim().to_owned();
        let network = format!("--net=/proc/{pid}/ns/net");
        let child = Command::new("nsenter")
            .args([&network, "docker-registry", "serve"])
            .arg(Path::new(&path("registry.yml")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self {
            child,
            network,
            port,
            _directory: directory,
        };
        eventually("the registry", || {
            let asked = registry.curl("", &["--write-out", "%{http_code}"]);
            asked.ends_with("401").then_some(())
        });
        registry
    }

    /// Asks it for a path beneath /v2/.
    #[must_use]
    pub fn curl(&self, path: &str, flags: &[&str]) -> String {
        let output = Command::new("nsenter")
            .args([&self.network, "curl", "--silent", "--noproxy", "*"])
            .args(flags)
            .arg(format!("http://127.0.0.1:{}/v2/{path}", self.port))
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
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
