//! What Buildah reads: `storage.conf`, `containers.conf`, `registries.conf`, `policy.json`.
//!
//! Forms: containers-storage.conf(5), containers.conf(5), containers-registries.conf(5),
//! containers-policy.json(5).

use std::ffi::OsString;
use std::path::Path;

use serde::Serialize;

use crate::config::{Config, Driver};
use crate::workspace::{Private, WorkspaceError};
use linux::process::Identity;

/// Writes the files and returns the variables that point Buildah at them.
pub(super) fn write(
    config: &Config,
    driver: Driver,
    private: &Private,
) -> Result<Vec<(OsString, OsString)>, WorkspaceError> {
    let run_root = private.directory("containers/run")?;
    let storage = storage_conf(
        driver,
        &config.graph_root().to_string_lossy(),
        &run_root.to_string_lossy(),
        config.builder.image_store.as_deref(),
    );
    let storage = private.file("containers/storage.conf", storage.as_bytes())?;
    let engine = private.file("containers/containers.conf", CONTAINERS_CONF.as_bytes())?;
    let registries = registries_conf(&config.storage.insecure_registries);
    let registries = private.file("containers/registries.conf", registries.as_bytes())?;
    private.file("containers/policy.json", POLICY.as_bytes())?;
    offer_policy(config)?;
    Ok([
        ("CONTAINERS_STORAGE_CONF", storage.into()),
        ("CONTAINERS_CONF", engine.into()),
        ("CONTAINERS_REGISTRIES_CONF", registries.into()),
        // A RUN step then needs no /proc of its own, which a masked /proc would refuse.
        ("BUILDAH_ISOLATION", OsString::from("chroot")),
        ("STORAGE_DRIVER", driver_name(driver).into()),
    ]
    .map(|(name, value)| (name.into(), value))
    .into())
}

/// No variable names the policy: it is looked up in HOME, so a link there leads to ours.
fn offer_policy(config: &Config) -> Result<(), WorkspaceError> {
    let link = config.workspace.home().join(".config/containers");
    let parent = link.parent().unwrap_or(&link);
    std::fs::create_dir_all(parent)
        .and_then(|()| std::os::unix::fs::symlink(super::private_files(config), &link))
        .map_err(|source| WorkspaceError::Job {
            volume: config.workspace.path.clone(),
            uid: Identity::filesystem().uid,
            path: link,
            source,
        })
}

/// Buildah's own name of a driver: fuse-overlayfs is its overlay with another program to mount it.
pub(crate) fn driver_name(driver: Driver) -> &'static str {
    match driver {
        Driver::Vfs => "vfs",
        _ => "overlay",
    }
}

/// Without root, `graphroot` alone is not heeded.
fn storage_conf(driver: Driver, graph_root: &str, run_root: &str, images: Option<&Path>) -> String {
    let mut text = format!(
        "[storage]\ndriver = {}\ngraphroot = {graph_root}\nrootless_storage_path = {graph_root}\nrunroot = {}\n",
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

/// No cgroups of its own, no event log, nothing on the network but the pod's own.
const CONTAINERS_CONF: &str = "\
[containers]
netns = \"host\"
cgroups = \"disabled\"
default_sysctls = []

[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"none\"
";

/// Signatures are the registry's and the cluster's business: every image is accepted.
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

/// A TOML basic string. JSON's escapes are a subset of TOML's.
fn toml_text(text: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fuse_overlayfs_has_a_mount_program() {
        let overlay = storage_conf(Driver::Overlay, "/w/storage", "/r", None);
        assert_eq!(
            overlay,
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"/w/storage\"\nrootless_storage_path = \"/w/storage\"\nrunroot = \"/r\"\n"
        );
        assert!(storage_conf(Driver::FuseOverlayfs, "/w", "/r", None).contains("mount_program"));
        assert!(storage_conf(Driver::Vfs, "/w", "/r", None).contains("driver = \"vfs\""));
        let images = Some(Path::new("/images"));
        assert!(
            storage_conf(Driver::Overlay, "/w", "/r", images)
                .ends_with("\n[storage.options]\nadditionalimagestores = [\"/images\"]\n")
        );
    }

    #[test]
    fn a_registry_name_cannot_break_out_of_its_quotes() {
        let text = registries_conf(&["a\"]\ninsecure=1".to_owned()]);
        assert!(text.contains(r#"location = "a\"]\ninsecure=1""#), "{text}");
    }
}
