//! Where a target's context and Dockerfile are.

use std::collections::BTreeMap;
use std::path::Path;

use bake::{Target, clean};

use super::super::git::GitSource;

/// Returns whether a text is an address.
pub(super) fn is_remote(text: &str) -> bool {
    let web = text.starts_with("https://") || text.starts_with("http://");
    web || GitSource::parse(text).is_some()
}

/// The repository of a definition: its address, and the directory with its files.
pub(crate) type Place<'a> = Option<(&'a str, &'a Path)>;

/// Returns a path of a definition. The definition of a repository means the repository's files.
pub(super) fn local(path: &str, place: Place<'_>) -> String {
    match (path.strip_prefix("cwd://"), place) {
        _ if is_remote(path) => path.to_owned(),
        (Some(of_job), _) => clean(of_job),
        (None, Some((_, directory))) if !path.starts_with('/') => {
            clean(&format!("{}/{path}", directory.display()))
        }
        (None, _) => clean(path),
    }
}

/// Returns the Dockerfile of a target with this context.
pub(super) fn dockerfile(target: &Target, context: &str) -> String {
    let file = target.text("dockerfile").unwrap_or("Dockerfile");
    match file.strip_prefix("cwd://") {
        Some(of_job) => clean(of_job),
        // In a repository, the path is one of the repository.
        None if is_remote(file) || is_remote(context) || file.starts_with('/') => file.to_owned(),
        None => clean(&format!("{context}/{file}")),
    }
}

/// Returns the context that `--print` shows.
pub(crate) fn shown(context: &str, place: Place<'_>) -> String {
    match place {
        _ if context.starts_with("cwd://") => clean(&context["cwd://".len()..]),
        _ if is_remote(context) => context.to_owned(),
        None => clean(context),
        Some((url, _)) => in_repository(url, &clean(context)),
    }
}

/// Returns the address of a directory in a repository.
fn in_repository(url: &str, directory: &str) -> String {
    if directory == "." {
        return url.to_owned();
    }
    let (base, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (reference, inside) = fragment.split_once(':').unwrap_or((fragment, ""));
    let inside = match inside {
        "" => directory.to_owned(),
        inside => clean(&format!("{inside}/{directory}")),
    };
    format!("{base}#{reference}:{inside}")
}

/// Reads the file `.env` of a compose project.
pub(crate) fn dotenv(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let value = value.trim();
        let quoted = |quote: char| {
            let inside = value.strip_prefix(quote)?;
            inside.split_once(quote).map(|(inside, _)| inside)
        };
        let plain = || value.split(" #").next().unwrap_or(value).trim();
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or_else(plain);
        values.insert(name.trim().to_owned(), value.to_owned());
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repositorys_definition_means_its_files() {
        let place = Some(("https://h/r.git#main:d", Path::new("/s/git/d")));
        for (path, expected_local, expected_shown) in [
            (".", "/s/git/d", "https://h/r.git#main:d"),
            ("./app/", "/s/git/d/app", "https://h/r.git#main:d/app"),
            ("cwd://x", "x", "x"),
            ("https://h/o.git", "https://h/o.git", "https://h/o.git"),
        ] {
            assert_eq!(local(path, place), expected_local, "{path}");
            assert_eq!(shown(path, place), expected_shown, "{path}");
        }
        assert_eq!(local("./a/../b/", None), "b");
        assert_eq!(
            shown(".", Some(("https://h/r.git", Path::new("/s")))),
            "https://h/r.git"
        );
    }

    #[test]
    fn an_env_file_is_read() {
        let values = dotenv("# c\nA=1\nexport B=\"x # y\" # z\nC='q'\nD = e # f\nnothing\n");
        let pairs: Vec<_> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["A=1", "B=x # y", "C=q", "D=e"]);
    }
}
