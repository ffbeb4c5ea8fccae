//! Builds the environment of Buildah from the builder's settings.

use std::path::{Path, PathBuf};

use super::settings::Settings;
use linux::process::Identity;

/// The variables of the container that Buildah inherits.
const INHERITED: [&str; 8] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Returns the environment of Buildah. The container's own variables for Buildah are not passed on.
pub(super) fn for_buildah(settings: &Settings) -> Vec<(String, String)> {
    let text = |path: &Path| path.display().to_string();
    let Identity { uid, gid } = Identity::filesystem();
    let mut environment = vec![
        (
            "PATH".to_owned(),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ),
        (
            "HOME".to_owned(),
            text(&settings.runtime_directory.join("home")),
        ),
        ("TMPDIR".to_owned(), text(&settings.storage.temporary)),
        (
            "XDG_RUNTIME_DIR".to_owned(),
            text(&settings.runtime_directory.join("home")),
        ),
        // Buildah sets these once it is in a user namespace. It then creates no other one, and uses rootless storage.
        (
            "_CONTAINERS_USERNS_CONFIGURED".to_owned(),
            "done".to_owned(),
        ),
        ("_CONTAINERS_ROOTLESS_UID".to_owned(), uid.to_string()),
        ("_CONTAINERS_ROOTLESS_GID".to_owned(), gid.to_string()),
    ];
    environment.extend(settings.storage.environment.iter().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    }));
    environment.extend(std::env::vars().filter(|(name, _)| INHERITED.contains(&name.as_str())));
    environment
}

/// Returns the directory of the cache mounts of RUN steps, relative to TMPDIR.
///
/// Source: `CacheParent` in `internal/volumes/volumes.go` of Buildah 1.39, with the rootless uid of [`for_buildah`].
pub(super) fn cache_directory() -> PathBuf {
    format!("buildah-cache-{}", Identity::filesystem().uid).into()
}
