//! Names of images in the strict grammar of the distribution project.
//!
//! Buildah also reads other forms: `dir:/…`, `oci-archive:/…`, `containers-storage:[driver@/…:options]…`. The last form runs
//! a program that the name itself contains. [`Reference::parse`] rejects all of them.

use super::name::{Name, hub, qualified, with_version};
use super::wildcard;

/// A checked name of an image in a registry or in the builder's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `HOST[:PORT]` as it was written, if the name has a registry.
    pub registry: Option<String>,
    /// The path in the registry.
    pub repository: String,
    /// The tag: at most 128 letters, digits and `._-`.
    pub tag: Option<String>,
    /// The digest: `sha256:` and 64 hexadecimal digits.
    pub digest: Option<String>,
}

/// The text does not fit the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not the name of an image; expected REGISTRY/REPOSITORY:TAG, for an image in a registry or in the builder's storage"
)]
pub struct InvalidReference {
    text: String,
}

impl From<InvalidReference> for String {
    fn from(error: InvalidReference) -> Self {
        error.to_string()
    }
}

/// A name that begins with one of these words and a colon is a transport to Buildah. Source: containers-transports(5).
const TRANSPORTS: &[&str] = &[
    "atomic",
    "containers-storage",
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
];

impl Reference {
    /// Parses a name, with or without `docker://` before it.
    ///
    /// # Errors
    /// [`InvalidReference`] if the text is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let name = Name::split(text.strip_prefix("docker://").unwrap_or(text));
        let transport =
            name.registry.is_none() && name.tag.is_some() && TRANSPORTS.contains(&name.repository);
        let valid = !transport
            && name.repository.split('/').all(is_component)
            && name.repository.len() <= 255
            && name
                .registry
                .is_none_or(|host| is_host(host) && is_valid_host(host))
            && name.tag.is_none_or(is_tag)
            && name.digest.is_none_or(is_digest);
        if !valid {
            let text = text.to_owned();
            return Err(InvalidReference { text });
        }
        Ok(Self {
            registry: name.registry.map(str::to_owned),
            repository: name.repository.to_owned(),
            tag: name.tag.map(str::to_owned),
            digest: name.digest.map(str::to_owned),
        })
    }

    /// Returns `REGISTRY/REPOSITORY` with the defaults that Buildah adds.
    #[must_use]
    pub fn full(&self) -> String {
        qualified(&self.registry(), &self.repository)
    }

    /// Returns the registry, or the default one, in one spelling: in small letters, its port without leading zeros.
    #[must_use]
    pub fn registry(&self) -> String {
        let host = self.registry.as_deref().unwrap_or("").to_ascii_lowercase();
        let host = match host.split_once(':') {
            Some((name, port)) => format!("{name}:{}", port.trim_start_matches('0')),
            None => host,
        };
        hub(&host).to_owned()
    }

    /// Returns the name as Buildah looks it up. Without a registry it may be an image of the builder's storage.
    #[must_use]
    pub fn short(&self) -> String {
        match &self.registry {
            Some(_) => self.target(),
            None => self.with_version(self.repository.clone()),
        }
    }

    /// Returns the target of a push: the transport, the registry and all the rest of the name.
    #[must_use]
    pub fn target(&self) -> String {
        self.with_version(format!("docker://{}", self.full()))
    }

    /// Returns the full name with its tag or digest, as a registry knows it.
    #[must_use]
    pub fn versioned(&self) -> String {
        self.with_version(self.full())
    }

    fn with_version(&self, name: String) -> String {
        with_version(name, self.tag.as_deref(), self.digest.as_deref())
    }

    /// Returns whether both names mean one repository. Tags and the ports 80 and 443 make no difference.
    #[must_use]
    pub fn is_in(&self, other: &Self) -> bool {
        let plain = |reference: &Self| {
            let full = reference.full();
            let (host, path) = full.split_once('/').unwrap_or((&full, ""));
            let port = host.strip_suffix(":443").or(host.strip_suffix(":80"));
            format!("{}/{path}", port.unwrap_or(host))
        };
        plain(self) == plain(other)
    }

    /// Returns whether a pattern of `builder.push.allow` covers the repository. `*` stands for any text.
    #[must_use]
    pub fn is_covered_by(&self, pattern: &str) -> bool {
        // 443 is the default port of HTTPS.
        let plain = |text: &str| match text.split_once('/') {
            Some((host, path)) => format!("{}/{path}", host.strip_suffix(":443").unwrap_or(host)),
            None => text.to_owned(),
        };
        wildcard::matches(&plain(pattern), &plain(&self.full()))
    }
}

/// Returns whether `text` names a registry or a path in one, as a login does.
#[must_use]
pub fn is_registry(text: &str) -> bool {
    let mut parts = text.split('/');
    parts.next().is_some_and(is_valid_host) && parts.all(is_component)
}

/// Buildah takes the first part for a registry if it has one of these signs. A capital letter is a sign to Docker only.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn is_valid_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let number = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    host.split('.').all(label) && port.is_none_or(number)
}

/// A component has small letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| alphanumeric(*byte));
    ends(bytes.first())
        && ends(bytes.last())
        && bytes
            .iter()
            .all(|byte| alphanumeric(*byte) || b"._-".contains(byte))
        && !text.contains("..")
        && !text.contains("___")
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        Reference::parse(text).unwrap().full()
    }

    #[test]
    fn defaults_are_added_as_buildah_adds_them() {
        assert_eq!(full("alpine"), "docker.io/library/alpine");
        assert_eq!(full("team/app:1"), "docker.io/team/app");
        assert_eq!(full("index.docker.io/alpine"), "docker.io/library/alpine");
        assert_eq!(full("localhost/app"), "localhost/app");
        assert_eq!(full("127.0.0.1:5000/a/b:tag"), "127.0.0.1:5000/a/b");
        assert_eq!(
            full("docker://Registry.Example/app"),
            "registry.example/app"
        );
        let digest = format!("a.example/b@sha256:{}", "0".repeat(64));
        assert_eq!(full(&digest), "a.example/b");
        assert_eq!(
            Reference::parse(&digest).unwrap().target(),
            format!("docker://{digest}")
        );
    }

    #[test]
    fn no_other_transport_is_a_name() {
        for text in [
            "containers-storage:[overlay@/x+/y:overlay.mount_program=/workspace/evil]image",
            "containers-storage:/x",
            "oci-archive:/workspace/image.tar",
            "docker-archive:image.tar:name/",
            "dir:/etc",
            "oci:/etc",
            "tarball:/run/supervisor/auth.json",
            "docker-daemon:name:tag",
            "dir:name",
            "registry.example/../team/app",
            "registry.example//app",
            "registry.example/app/",
            "registry.example/App",
            "registry.example/app:tag:tag",
            "user:password@registry.example/app",
            "registry.example/app@sha256:1234",
            "registry.example:port/app",
            "a b",
            "-name",
            "",
            "name\nother",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_repository_has_one_name_however_it_is_written() {
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| Reference::parse(text).unwrap());
            one.is_in(&other)
        };
        let digest = format!("a.example/cache@sha256:{}", "0".repeat(64));
        for other in [
            "a.example/cache",
            "a.example/cache:tag",
            "docker://A.Example/cache",
            "a.example:443/cache",
            "a.example:0443/cache",
            "a.example:80/cache",
            &digest,
        ] {
            assert!(same("a.example/cache", other), "{other}");
        }
        assert!(same("a.example:5000/cache", "a.example:05000/cache"));
        assert!(same("team/cache", "index.docker.io/team/cache"));
        for other in [
            "a.example/cache2",
            "a.example/cache/x",
            "a.example:8443/cache",
        ] {
            assert!(!same("a.example/cache", other), "{other}");
        }
        assert_eq!(full("a.example:05000/b"), "a.example:5000/b");
        for text in ["a.example:0/b", "a.example:70536/b", "a.example./b"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_without_a_registry_stays_one() {
        let short = |text: &str| Reference::parse(text).unwrap().short();
        assert_eq!(short("app:1"), "app:1");
        assert_eq!(short("a.example/app:1"), "docker://a.example/app:1");
    }

    #[test]
    fn a_pattern_covers_what_it_says_and_nothing_else() {
        let covers =
            |pattern: &str, text: &str| Reference::parse(text).unwrap().is_covered_by(pattern);
        let team = "registry.example/team/*";
        assert!(covers(team, "registry.example/team/app:1"));
        assert!(covers(team, "registry.example:443/team/app"));
        assert!(covers(team, "REGISTRY.example/team/a/b"));
        assert!(covers("*", "anything"));
        for other in [
            "registry.example/other/app",
            "registry.example/teams/app",
            "registry.example/team",
            "registry.example.evil/team/app",
            "evil.example/registry.example/team/app",
            "registry.example:5000/team/app",
            "team/app",
        ] {
            assert!(!covers(team, other), "{other}");
        }
    }
}
