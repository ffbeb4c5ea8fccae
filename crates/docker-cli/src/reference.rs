//! Names of images, as Docker completes them.

use image_ref::{Name, hub};

/// Returns the complete name, as it is sent to a registry: `docker.io/library/alpine:latest`.
pub(super) fn full(name: &str) -> String {
    Name::split(name).complete()
}

/// Returns the complete name of an image in Buildah's storage: a name without a registry has `localhost`.
pub(super) fn local(name: &str) -> String {
    match Name::split(name).registry {
        Some(_) => full(name),
        None => full(&format!("localhost/{name}")),
    }
}

/// Returns the complete name with the transport `docker://`. A name that has the transport stays as it is.
pub(super) fn remote(name: &str) -> String {
    if name.starts_with("docker://") {
        return name.to_owned();
    }
    format!("docker://{}", full(name))
}

/// Returns the host of a server, as `docker login` stores it.
pub(super) fn registry(server: &str) -> &str {
    let bare = server
        .strip_prefix("https://")
        .or_else(|| server.strip_prefix("http://"))
        .unwrap_or(server);
    hub(bare.split('/').next().unwrap_or(bare))
}

/// Returns the registry of an image's name.
pub(super) fn registry_of(name: &str) -> &str {
    Name::split(name).registry()
}

/// Returns `--tls-verify=false` if all these names have a loopback registry. Docker takes plain HTTP from it by default.
/// Source: <https://docs.docker.com/reference/cli/dockerd/#insecure-registries>.
pub(super) fn plain_http<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut names = names.into_iter().peekable();
    names.peek()?;
    let all = names.all(|name| is_loopback(registry_of(name.trim_start_matches("docker://"))));
    all.then(|| "--tls-verify=false".to_owned())
}

/// Returns whether a registry is `localhost`, in 127.0.0.0/8, or `[::1]`, with any port.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address = bare.unwrap_or(host).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns the name without tag and digest.
pub(super) fn repository(name: &str) -> &str {
    Name::split(name).written
}

/// Returns the tag. The default is `latest`.
pub(super) fn tag(name: &str) -> &str {
    Name::split(name).tag.unwrap_or("latest")
}

/// Returns whether the name contains a tag.
pub(super) fn has_tag(name: &str) -> bool {
    Name::split(name).tag.is_some()
}

/// Returns whether the name contains a tag or a digest.
pub(super) fn has_tag_or_digest(name: &str) -> bool {
    let name = Name::split(name);
    name.tag.is_some() || name.digest.is_some()
}

/// Returns the name as Docker prints it, without the registries `docker.io` and `localhost`.
pub(super) fn familiar(name: &str) -> &str {
    for prefix in ["localhost/", "docker.io/library/", "docker.io/"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return rest;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_by_dockers_rules() {
        for (name, whole) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("user/app:1", "docker.io/user/app:1"),
            ("docker.io/alpine:3", "docker.io/library/alpine:3"),
            ("index.docker.io/user/app", "docker.io/user/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost/app:v1", "localhost/app:v1"),
            ("ghcr.io/o/app@sha256:ab", "ghcr.io/o/app@sha256:ab"),
        ] {
            assert_eq!(full(name), whole);
        }
        assert_eq!(remote("docker://a/b"), "docker://a/b");
        assert_eq!(local("a"), "localhost/a:latest");
        assert_eq!(local("ghcr.io/o/a:1"), "ghcr.io/o/a:1");
    }

    #[test]
    fn loopback_registries_have_plain_http() {
        for name in [
            "localhost:5000/a",
            "127.0.0.1:5000/a:1",
            "127.9.8.7/a",
            "[::1]:5000/a",
            "docker://localhost:5000/a",
        ] {
            assert!(plain_http([name]).is_some(), "{name}");
            assert!(plain_http([name, "ghcr.io/o/a"]).is_none(), "{name}");
        }
        for name in [
            "a",
            "ghcr.io/o/a",
            "localhost.example/a",
            "128.0.0.1:5000/a",
            "localhostx:5000/a",
            "127.0.0.1.example/a",
        ] {
            assert!(plain_http([name]).is_none(), "{name}");
        }
        assert!(plain_http([]).is_none());
    }

    #[test]
    fn a_port_is_not_a_tag() {
        assert_eq!(repository("localhost:5000/app"), "localhost:5000/app");
        assert_eq!(repository("localhost:5000/app:v1"), "localhost:5000/app");
        assert_eq!(tag("localhost:5000/app"), "latest");
        assert_eq!(tag("a/b:v1@sha256:00"), "v1");
        assert!(!has_tag_or_digest("localhost:5000/app"));
    }

    #[test]
    fn a_server_becomes_its_host() {
        for (server, host) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("ghcr.io", "ghcr.io"),
            ("https://registry.example:5000/v2/", "registry.example:5000"),
        ] {
            assert_eq!(registry(server), host);
        }
    }
}
