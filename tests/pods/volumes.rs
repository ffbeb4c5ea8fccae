//! A pod's volumes, as the kubelet makes them.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// The Secrets of a namespace: by name, then by key.
pub(crate) type Secrets = BTreeMap<&'static str, Vec<(&'static str, String)>>;

/// Directories, a volume each. What is in memory is unmounted when they are dropped.
pub(crate) struct Volumes {
    directory: TempDir,
    mounted: Vec<PathBuf>,
}

impl Volumes {
    /// `root` is who the pod's root is outside of it.
    pub(crate) fn make(pod: &Value, root: u32, secrets: &Secrets) -> Self {
        let mut volumes = Self {
            directory: tempfile::tempdir_in("/var/tmp").unwrap(),
            mounted: Vec::new(),
        };
        let group =
            root + u32::try_from(pod["securityContext"]["fsGroup"].as_u64().unwrap()).unwrap();
        for volume in pod["volumes"].as_array().unwrap() {
            let path = volumes.path(volume["name"].as_str().unwrap());
            std::fs::create_dir(&path).unwrap();
            if let Some(secret) = volume.get("secret") {
                volumes.in_memory(&path, "1m");
                fill(&path, secret, secrets, (root, group));
            } else if let Some(directory) = volume.get("emptyDir") {
                if directory["medium"] == "Memory" {
                    let size = directory["sizeLimit"].as_str().unwrap().replace("Mi", "m");
                    volumes.in_memory(&path, &size);
                }
            } else {
                panic!("{volume}: no such volume here");
            }
            chown(&path, Some(root), Some(group)).unwrap();
            // 0777 of an emptyDir, and what fsGroup adds.
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o2777)).unwrap();
        }
        let log = volumes.path("termination-log");
        std::fs::write(&log, "").unwrap();
        std::fs::set_permissions(&log, PermissionsExt::from_mode(0o666)).unwrap();
        volumes
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// The names that are in a volume.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    fn in_memory(&mut self, path: &Path, size: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path);
        assert!(mount.status().unwrap().success());
        self.mounted.push(path.to_owned());
    }

    /// podman's flags for what a container mounts.
    pub(crate) fn flags(&self, container: &Value) -> Vec<String> {
        let mounts = container["volumeMounts"].as_array().unwrap().iter();
        let mut flags: Vec<String> = mounts
            .map(|mount| {
                let text = |key: &str| mount[key].as_str().unwrap();
                let how = if mount["readOnly"] == true {
                    "ro"
                } else {
                    "rw"
                };
                // A directory's mount has neither of podman's usual restrictions in a pod.
                let path = self.path(text("name"));
                format!(
                    "--volume={}:{}:{how},exec,suid,dev",
                    path.display(),
                    text("mountPath")
                )
            })
            .collect();
        let log = self.path("termination-log");
        flags.push(format!("--volume={}:/dev/termination-log", log.display()));
        flags
    }
}

/// A file a key, as links through a directory that can be replaced at once.
fn fill(path: &Path, secret: &Value, secrets: &Secrets, (owner, group): (u32, u32)) {
    let name = secret["secretName"].as_str().unwrap();
    let Some(keys) = secrets.get(name) else {
        assert_eq!(secret["optional"], true, "there is no Secret {name}");
        return;
    };
    let data = path.join("..2026_01_01_00_00_00.1");
    std::fs::create_dir(&data).unwrap();
    symlink(data.file_name().unwrap(), path.join("..data")).unwrap();
    for (key, value) in keys {
        let file = data.join(key);
        std::fs::write(&file, value).unwrap();
        let mode = u32::try_from(secret["defaultMode"].as_u64().unwrap()).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        chown(&file, Some(owner), Some(group)).unwrap();
        symlink(Path::new("..data").join(key), path.join(key)).unwrap();
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        for path in &self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(path).status();
        }
    }
}
