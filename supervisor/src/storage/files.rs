//! Buildah's configuration files: `storage.conf`, `containers.conf`, `registries.conf`, `policy.json`.
//!
//! Their formats: containers-storage.conf(5), containers.conf(5), containers-registries.conf(5), containers-policy.json(5).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::settings::Settings;
use crate::config::{Driver, Workspace};
use crate::workspace::WorkspaceError;
use linux::process::Identity;

/// Writes the files and returns the variables with their paths.
pub(super) fn write(
    settings: &Settings,
    driver: Driver,
) -> Result<Vec<(OsString, OsString)>, WorkspaceError> {
    let runtime = &settings.runtime;
    let run_root = runtime.directory("containers/run")?;
    let storage = storage_conf(
        driver,
        (
            graph_root_key(Identity::filesystem().uid),
            &settings.graph_root.to_string_lossy(),
        ),
        &run_root.to_string_lossy(),
        settings.image_store,
    );
    let storage = runtime.file("containers/storage.conf", storage.as_bytes())?;
    let engine = runtime.file("containers/containers.conf", CONTAINERS_CONF.as_bytes())?;
    let registries = registries_conf(settings.insecure_registries);
    let registries = runtime.file("containers/registries.conf", registries.as_bytes())?;
    runtime.file("containers/policy.json", POLICY.as_bytes())?;
    link_policy(settings)?;
    Ok([
        ("CONTAINERS_STORAGE_CONF", storage.into()),
        ("CONTAINERS_CONF", engine.into()),
        ("CONTAINERS_REGISTRIES_CONF", registries.into()),
        // With chroot, a RUN step needs no /proc of its own. If /proc is masked, the kernel refuses to mount one.
        ("BUILDAH_ISOLATION", OsString::from("chroot")),
        ("STORAGE_DRIVER", driver_name(driver).into()),
    ]
    .map(|(name, value)| (name.into(), value))
    .into())
}

/// Returns the path of the link to the policy.
pub(crate) fn policy_link(workspace: &Workspace) -> PathBuf {
    workspace.home().join(".config/containers")
}

/// Links the policy into HOME. No variable can name it, and Buildah looks for it there.
fn link_policy(settings: &Settings) -> Result<(), WorkspaceError> {
    let directory = settings.runtime.path("containers");
    let link = policy_link(settings.workspace);
    let parent = link.parent().unwrap_or(&link);
    std::fs::create_dir_all(parent)
        .and_then(|()| std::os::unix::fs::symlink(directory, &link))
        .map_err(|source| WorkspaceError::Job {
            volume: settings.workspace.path.clone(),
            uid: Identity::filesystem().uid,
            path: link,
            source,
        })
}

/// Returns Buildah's name of a driver. Its fuse-overlayfs is the driver overlay with a mount program.
pub(crate) fn driver_name(driver: Driver) -> &'static str {
    match driver {
        Driver::Vfs => "vfs",
        _ => "overlay",
    }
}

/// Returns the key of the layers' directory for Buildah of this user. Rootless Buildah 1.39 ignores `graphroot`, and Buildah 1.43
/// prints a warning if both are set.
fn graph_root_key(uid: u32) -> &'static str {
    match uid {
        0 => "graphroot",
        _ => "rootless_storage_path",
    }
}

/// Builds storage.conf.
fn storage_conf(
    driver: Driver,
    (key, graph_root): (&str, &str),
    run_root: &str,
    images: Option<&Path>,
) -> String {
    let mut text = format!(
        "[storage]\ndriver = {}\n{key} = {graph_root}\nrunroot = {}\n",
        toml_text(driver_name(driver)),
        toml_text(run_root),
        graph_root = toml_text(graph_root),
    );
    if let Some(images) = images {
        text += &format!(
            "\n[storage.options]\nadditionalimagestores = [{}]\n",
            toml_text(&images.to_string_lossy())
        );
    }
    if driver == Driver::FuseOverlayfs {
        text += "\n[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n";
    }
    text
}

/// No cgroups, no event log, and the pod's own network.
const CONTAINERS_CONF: &str = "\
[containers]
netns = \"host\"
cgroups = \"disabled\"
default_sysctls = []

[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"none\"
";

/// Accepts every image. The registry or the cluster checks signatures.
const POLICY: &str = "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}\n";

fn registries_conf(insecure: &[String]) -> String {
    let mut text =
        "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"permissive\"\n"
            .to_owned();
    for registry in insecure {
        text += &format!(
            "\n[[registry]]\nlocation = {}\ninsecure = true\n",
            toml_text(registry)
        );
    }
    text
}

/// Formats a TOML basic string. JSON's escapes are a subset of TOML's.
fn toml_text(text: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fuse_overlayfs_has_a_mount_program() {
        for (uid, key) in [(0, "graphroot"), (1000, "rootless_storage_path")] {
            let root = (graph_root_key(uid), "/w/storage");
            assert_eq!(
                storage_conf(Driver::Overlay, root, "/r", None),
                format!(
                    "[storage]\ndriver = \"overlay\"\n{key} = \"/w/storage\"\nrunroot = \"/r\"\n"
                )
            );
        }
        let root = ("graphroot", "/w");
        assert!(storage_conf(Driver::FuseOverlayfs, root, "/r", None).contains("mount_program"));
        assert!(storage_conf(Driver::Vfs, root, "/r", None).contains("driver = \"vfs\""));
        let images = Some(Path::new("/images"));
        assert!(
            storage_conf(Driver::Overlay, root, "/r", images)
                .ends_with("\n[storage.options]\nadditionalimagestores = [\"/images\"]\n")
        );
    }

    #[test]
    fn registry_name_cannot_break_out_of_its_quotes() {
        let text = registries_conf(&["a\"]\ninsecure=1".to_owned()]);
        assert!(text.contains(r#"location = "a\"]\ninsecure=1""#), "{text}");
    }
}
