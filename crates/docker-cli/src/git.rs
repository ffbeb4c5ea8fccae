//! A Git repository as build context. The job fetches it, with its own network and credentials: the builder, which holds
//! others, never runs git.

use std::path::PathBuf;

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The repository.
    pub url: String,
    /// Branch, tag, commit or full reference; the remote's HEAD where there is none.
    pub reference: Option<String>,
    /// The commit that must be found there.
    pub checksum: Option<String>,
    /// The directory in the repository that is the context.
    pub subdirectory: Option<String>,
    /// Whether `.git` stays.
    pub keep_git: bool,
    /// Whether submodules are fetched too.
    pub submodules: bool,
    /// The file with the token for this host.
    pub token: Option<PathBuf>,
}

impl Source {
    /// A context that is a Git repository; `None` for every other.
    pub(super) fn read(context: &str) -> Option<Self> {
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

    /// The host, which a token may be meant for.
    pub(super) fn host(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(&*self.url, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or(rest);
        host.rsplit('@').next().unwrap_or(host)
    }

    /// Whether every part is one that git takes for what it is, and the directory stays beneath the repository.
    pub(super) fn is_sound(&self) -> bool {
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
        let source = Source::read("https://github.com/o/r.git#0123abc").unwrap();
        assert_eq!(source.url, "https://github.com/o/r.git");
        assert_eq!(source.reference.as_deref(), Some("0123abc"));
        assert_eq!(source.host(), "github.com");
        let source =
            Source::read("https://github.com/o/r.git#refs/pull/3/merge:docker/app").unwrap();
        assert_eq!(source.reference.as_deref(), Some("refs/pull/3/merge"));
        assert_eq!(source.subdirectory.as_deref(), Some("docker/app"));
        let source = Source::read(
            "https://github.com/o/r.git?ref=refs/heads/main&checksum=ab12&subdir=d&submodules=false&keep-git-dir=1",
        )
        .unwrap();
        assert_eq!(source.reference.as_deref(), Some("refs/heads/main"));
        assert_eq!(source.checksum.as_deref(), Some("ab12"));
        assert!(source.keep_git && !source.submodules);
    }

    #[test]
    fn other_contexts_are_none() {
        for context in [
            ".",
            "-",
            "dir.git",
            "https://example.org/context.tar.gz",
            "/workspace/x",
        ] {
            assert_eq!(Source::read(context), None, "{context}");
        }
        assert!(Source::read("git@github.com:o/r.git").is_some());
        assert_eq!(
            Source::read("github.com/o/r").unwrap().url,
            "https://github.com/o/r"
        );
    }

    #[test]
    fn nothing_in_it_can_become_an_option_or_leave_the_repository() {
        for context in [
            "https://h/r.git#--upload-pack=x",
            "https://h/r.git#main:../..",
            "https://h/r.git#main:/etc",
        ] {
            assert!(!Source::read(context).unwrap().is_sound(), "{context}");
        }
        assert!(Source::read("https://h/r.git#main:a/b").unwrap().is_sound());
    }
}
