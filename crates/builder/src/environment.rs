//! The environment of Buildah in the builder: made from nothing but our own settings.

use std::path::Path;

use super::settings::Settings;
use linux::process::Identity;

/// Of the container's own variables, those that Buildah has too.
const KEPT: [&str; 8] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// What the container's own environment says of Buildah is not handed on.
pub(super) fn of_buildah(settings: &Settings) -> Vec<(String, String)> {
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
        // What Buildah says to itself once it is in a namespace: no second one is made, and storage is a user's own.
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
    environment.extend(std::env::vars().filter(|(name, _)| KEPT.contains(&name.as_str())));
    environment
}
