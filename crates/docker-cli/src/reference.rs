//! Names of images, as Docker completes them.

/// Docker Hub, in every reference that names no other registry.
const HUB: &str = "docker.io";

/// The name with registry and tag, as a registry is asked for it.
pub(super) fn full(name: &str) -> String {
    let (domain, path) = domain(name);
    let library = if domain == HUB && !path.contains('/') {
        "library/"
    } else {
        ""
    };
    let tag = if has_tag_or_digest(path) {
        ""
    } else {
        ":latest"
    };
    format!("{domain}/{library}{path}{tag}")
}

/// What `docker://` needs for a name; a name that has a transport keeps it.
pub(super) fn remote(name: &str) -> String {
    if name.starts_with("docker://") {
        return name.to_owned();
    }
    format!("docker://{}", full(name))
}

/// The registry, as `docker login` files it.
pub(super) fn registry(server: &str) -> &str {
    let bare = server
        .strip_prefix("https://")
        .or_else(|| server.strip_prefix("http://"))
        .unwrap_or(server);
    let host = bare.split('/').next().unwrap_or(bare);
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

/// The registry of an image's name.
pub(super) fn registry_of(name: &str) -> &str {
    domain(name).0
}

/// Without tag and digest.
pub(super) fn repository(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    match name.rfind(':') {
        Some(colon) if !name[colon..].contains('/') => &name[..colon],
        _ => name,
    }
}

/// The tag; `latest` where there is none.
pub(super) fn tag(name: &str) -> &str {
    let undigested = name.split('@').next().unwrap_or(name);
    undigested
        .strip_prefix(repository(name))
        .and_then(|rest| rest.strip_prefix(':'))
        .unwrap_or("latest")
}

/// Whether a tag or a digest is part of the name.
pub(super) fn has_tag_or_digest(name: &str) -> bool {
    repository(name) != name
}

/// A first part is a registry if it has a dot, a colon or a capital letter, or is localhost.
fn domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.contains(|c: char| c.is_ascii_uppercase()) =>
        {
            (registry(first), path)
        }
        _ => (HUB, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_does() {
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
    }

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(repository("localhost:5000/app"), "localhost:5000/app");
        assert_eq!(repository("localhost:5000/app:v1"), "localhost:5000/app");
        assert_eq!(tag("localhost:5000/app"), "latest");
        assert_eq!(tag("a/b:v1@sha256:00"), "v1");
        assert!(!has_tag_or_digest("localhost:5000/app"));
    }

    #[test]
    fn a_server_is_its_host() {
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
