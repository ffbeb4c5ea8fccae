//! A Git repository as build context. The job fetches it with its own network and credentials. The builder holds other
//! credentials, so it never runs git.

use std::path::PathBuf;

/// A Git repository as build context, and which of its files to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GitSource {
    /// The address of the repository.
    pub(crate) url: String,
    /// The branch, tag, commit or full reference. `None` is the remote's HEAD.
    pub(crate) reference: Option<String>,
    /// The commit that the reference must point to, or the beginning of its hash.
    pub(crate) checksum: Option<String>,
    /// The directory in the repository that is the context.
    pub(crate) subdirectory: Option<String>,
    /// Whether the directory keeps `.git`.
    pub(crate) keep_git: bool,
    /// Whether submodules are fetched.
    pub(crate) submodules: bool,
    /// The file with the token for the host.
    pub(crate) token: Option<PathBuf>,
}

impl GitSource {
    /// Parses a context. Returns `None` if it is no Git repository.
    pub(super) fn parse(context: &str) -> Option<Self> {
        let (address, fragment) = match context.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (context, None),
        };
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let web = address.starts_with("https://") || address.starts_with("http://");
        let url = if web && address.ends_with(".git")
            || ["git://", "ssh://", "git@"]
                .iter()
                .any(|start| address.starts_with(start))
        {
            address.to_owned()
        } else if address.starts_with("github.com/") {
            format!("https://{address}")
        } else {
            return None;
        };
        let mut source = Self {
            url,
            reference: None,
            checksum: None,
            subdirectory: None,
            keep_git: false,
            submodules: true,
            token: None,
        };
        if let Some(fragment) = fragment {
            let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
            source.set("ref", reference);
            source.set("subdir", directory);
        }
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
            source.set(key, value);
        }
        Some(source)
    }

    fn set(&mut self, key: &str, value: &str) {
        let text = Some(value.to_owned()).filter(|value| !value.is_empty());
        let on = pflag::parse_bool(value).unwrap_or(true);
        match key {
            "ref" | "branch" | "tag" | "commit" => self.reference = text,
            "checksum" => self.checksum = text,
            "subdir" => self.subdirectory = text,
            "keep-git-dir" => self.keep_git = on,
            "submodules" => self.submodules = on,
            _ => {}
        }
    }

    /// Returns the host, for which a token may exist.
    pub(super) fn host(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(&*self.url, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or(rest);
        host.rsplit('@').next().unwrap_or(host)
    }

    /// Returns whether git takes no part for an option, and the directory is inside the repository.
    pub(super) fn is_valid(&self) -> bool {
        let option = |text: &Option<String>| text.as_deref().is_some_and(|t| t.starts_with('-'));
        let leaves = |directory: &str| {
            directory.starts_with('/') || directory.split('/').any(|part| part == "..")
        };
        !option(&self.reference)
            && !option(&self.checksum)
            && !self.subdirectory.as_deref().is_some_and(leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_actions_are_read() {
        let source = GitSource::parse("https://github.com/o/r.git#0123abc").unwrap();
        assert_eq!(source.url, "https://github.com/o/r.git");
        assert_eq!(source.reference.as_deref(), Some("0123abc"));
        assert_eq!(source.host(), "github.com");
        let source =
            GitSource::parse("https://github.com/o/r.git#refs/pull/3/merge:docker/app").unwrap();
        assert_eq!(source.reference.as_deref(), Some("refs/pull/3/merge"));
        assert_eq!(source.subdirectory.as_deref(), Some("docker/app"));
        let source = GitSource::parse(
            "https://github.com/o/r.git?ref=refs/heads/main&checksum=ab12&subdir=d&submodules=false&keep-git-dir=1",
        )
        .unwrap();
        assert_eq!(source.reference.as_deref(), Some("refs/heads/main"));
        assert_eq!(source.checksum.as_deref(), Some("ab12"));
        assert!(source.keep_git && !source.submodules);
    }

    #[test]
    fn other_contexts_are_no_repositories() {
        for context in [
            ".",
            "-",
            "dir.git",
            "https://example.org/context.tar.gz",
            "/workspace/x",
        ] {
            assert_eq!(GitSource::parse(context), None, "{context}");
        }
        assert!(GitSource::parse("git@github.com:o/r.git").is_some());
        assert_eq!(
            GitSource::parse("github.com/o/r").unwrap().url,
            "https://github.com/o/r"
        );
    }

    #[test]
    fn options_and_outside_directories_are_invalid() {
        for context in [
            "https://h/r.git#--upload-pack=x",
            "https://h/r.git#main:../..",
            "https://h/r.git#main:/etc",
        ] {
            assert!(!GitSource::parse(context).unwrap().is_valid(), "{context}");
        }
        assert!(
            GitSource::parse("https://h/r.git#main:a/b")
                .unwrap()
                .is_valid()
        );
    }
}
