//! An image that came back from the registry, as an OCI layout on disk.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::podman;

/// An OCI layout with one image.
pub struct Image {
    layout: PathBuf,
}

impl Image {
    pub(crate) fn new(layout: PathBuf) -> Self {
        Self { layout }
    }

    fn reference(&self) -> String {
        format!("oci:{}", self.layout.display())
    }

    /// The manifest's digest.
    #[must_use]
    pub fn digest(&self) -> String {
        let index: Value = self.json("index.json");
        index["manifests"][0]["digest"].as_str().unwrap().to_owned()
    }

    /// The image's configuration, as the OCI image specification has it.
    #[must_use]
    pub fn config(&self) -> Value {
        let manifest = self.json(&blob(&self.digest()));
        self.json(&blob(manifest["config"]["digest"].as_str().unwrap()))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.layout.join(name)).unwrap()).unwrap()
    }

    /// Runs the image and returns what it prints.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> String {
        let name = format!("localhost/test/{}", self.digest().replace(':', "-"));
        let copied = Command::new("skopeo")
            .args([
                "copy",
                "--quiet",
                &self.reference(),
                &format!("containers-storage:{name}"),
            ])
            .output()
            .unwrap();
        assert!(
            copied.status.success(),
            "{}",
            String::from_utf8_lossy(&copied.stderr)
        );
        let limits = [
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1024:1024",
        ];
        let mut command = vec!["run", "--rm", "--network", "none"];
        command.extend(limits);
        command.push(&name);
        command.extend(arguments);
        let output = podman(&command);
        let _ = podman(&["rmi", "--force", &name]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether a text stands in any blob, layers unpacked.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        let blobs = std::fs::read_dir(self.layout.join("blobs/sha256")).unwrap();
        blobs.flatten().any(|blob| {
            let script =
                "{ gzip -dcf -- \"$1\" || cat -- \"$1\"; } 2>/dev/null | grep -aqF -- \"$2\"";
            let found = Command::new("bash")
                .args(["-c", script, "bash"])
                .arg(blob.path())
                .arg(text)
                .status();
            found.unwrap().success()
        })
    }
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}
