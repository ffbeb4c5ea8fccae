//! A name of an image, taken apart as Docker does it.

/// The registry of every name that names no registry.
const HUB: &str = "docker.io";

/// A name of an image, taken apart. Nothing in it is checked.
///
/// Source of the rules: `splitDockerDomain` in <https://github.com/distribution/reference/blob/main/normalize.go>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// Registry and repository as they were written, without tag and digest.
    pub written: &'a str,
    /// `HOST[:PORT]`, if the name has a registry.
    pub registry: Option<&'a str>,
    /// The path in the registry.
    pub repository: &'a str,
    /// The text after the last colon of the path.
    pub tag: Option<&'a str>,
    /// The text after `@`.
    pub digest: Option<&'a str>,
}

impl<'a> Name<'a> {
    /// Takes a name apart. A colon before a slash belongs to a port and begins no tag.
    #[must_use]
    pub fn split(text: &'a str) -> Self {
        let (text, digest) = split_optional(text, text.find('@'));
        let colon = text
            .rfind(':')
            .filter(|colon| !text[*colon..].contains('/'));
        let (written, tag) = split_optional(text, colon);
        let (registry, repository) = match written.split_once('/') {
            Some((host, path)) if is_host(host) => (Some(host), path),
            _ => (None, written),
        };
        Self {
            written,
            registry,
            repository,
            tag,
            digest,
        }
    }

    /// Returns the registry, with Docker Hub's default and aliases.
    #[must_use]
    pub fn registry(&self) -> &'a str {
        self.registry.map_or(HUB, hub)
    }

    /// Returns `REGISTRY/REPOSITORY:TAG@DIGEST` with Docker's defaults: `docker.io`, `library/` and `:latest`.
    #[must_use]
    pub fn complete(&self) -> String {
        let tag = match (self.tag, self.digest) {
            (None, None) => Some("latest"),
            (tag, _) => tag,
        };
        let name = qualified(self.registry(), self.repository);
        with_version(name, tag, self.digest)
    }
}

fn split_optional(text: &str, separator: Option<usize>) -> (&str, Option<&str>) {
    match separator {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The first part of a name is a registry if it has a dot, a colon or a capital letter, or is localhost.
fn is_host(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.contains(|letter: char| letter.is_ascii_uppercase())
}

/// Returns `docker.io` for the hosts that serve Docker Hub, and any other host unchanged.
#[must_use]
pub fn hub(host: &str) -> &str {
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

/// Returns `REGISTRY/REPOSITORY`. Docker Hub's own images have the prefix `library/`.
pub(crate) fn qualified(registry: &str, repository: &str) -> String {
    if registry == HUB && !repository.contains('/') {
        format!("{registry}/library/{repository}")
    } else {
        format!("{registry}/{repository}")
    }
}

pub(crate) fn with_version(mut name: String, tag: Option<&str>, digest: Option<&str>) -> String {
    if let Some(tag) = tag {
        name += &format!(":{tag}");
    }
    if let Some(digest) = digest {
        name += &format!("@{digest}");
    }
    name
}
