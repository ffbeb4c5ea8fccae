//! The registries that a command line of Buildah uses.

use std::collections::BTreeSet;
use std::path::Path;

use image_ref::Name;

/// The largest Dockerfile that is searched for names of images, in bytes.
const DOCKERFILE: u64 = 1024 * 1024;
/// The most registries of one command. A helper may run for each.
const MOST: usize = 32;

/// Returns the registries of a command line. For a build these are the ones that its arguments and its Dockerfile name.
pub(super) fn of_command(arguments: &[String]) -> BTreeSet<String> {
    let positional = |from: usize| {
        let words = arguments.iter().skip(from);
        words.filter(|word| !word.starts_with('-'))
    };
    let words: Vec<&str> = arguments.iter().take(2).map(String::as_str).collect();
    let names: Vec<&String> = match words[..] {
        ["build" | "bud" | "build-using-dockerfile", ..] => return of_build(arguments),
        ["push" | "pull", ..] => positional(1).next_back().into_iter().collect(),
        ["manifest", "create" | "add"] => positional(2).skip(1).collect(),
        ["registry", "copy"] => positional(2).collect(),
        ["manifest", "push" | "inspect"] | ["registry", _] => {
            positional(2).next_back().into_iter().collect()
        }
        _ => Vec::new(),
    };
    names
        .into_iter()
        .filter_map(|name| registry(name))
        .collect()
}

/// Returns the registry of an image's name. A path or an archive has none.
fn registry(name: &str) -> Option<String> {
    let name = name.strip_prefix("docker://").unwrap_or(name);
    let archive = ["oci-archive:", "docker-archive:", "oci:", "dir:"];
    if archive.iter().any(|transport| name.starts_with(transport)) {
        return None;
    }
    Some(Name::split(name).registry().to_ascii_lowercase())
}

fn of_build(arguments: &[String]) -> BTreeSet<String> {
    // A name without a registry is Docker Hub's.
    let mut all = BTreeSet::from(["docker.io".to_owned()]);
    let mut files: Vec<&str> = Vec::new();
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        all.extend(hosts(word));
        if let Some(file) = word.strip_prefix("--file=") {
            files.push(file);
        } else if word == "--file" || word == "-f" {
            files.extend(words.next().map(String::as_str));
        }
    }
    let context = arguments.last().map_or(".", String::as_str);
    let own = ["Containerfile", "Dockerfile"].map(|name| Path::new(context).join(name));
    let own = own.iter().filter(|_| files.is_empty());
    for file in files.iter().map(Path::new).chain(own.map(AsRef::as_ref)) {
        all.extend(of_dockerfile(&text(file)));
    }
    all.into_iter().take(MOST).collect()
}

fn text(file: &Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    // A pipe would be empty for the build afterwards.
    if file.is_file()
        && let Ok(file) = std::fs::File::open(file)
    {
        let _ = file.take(DOCKERFILE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the registries in the lines that may name an image.
fn of_dockerfile(text: &str) -> BTreeSet<String> {
    let names_images = |line: &&str| {
        let line = line.trim_start().to_ascii_lowercase();
        line.starts_with("from ") || line.starts_with("arg ") || line.contains("from=")
    };
    text.lines().filter(names_images).flat_map(hosts).collect()
}

/// Returns the registries of the names `HOST/REPOSITORY` in a text.
fn hosts(text: &str) -> Vec<String> {
    let separates = |letter: char| letter.is_whitespace() || "\"'=,{}$()".contains(letter);
    let found = text.split(separates).filter_map(|word| {
        let word = word.strip_prefix("docker://").unwrap_or(word);
        let word = word.strip_prefix("docker-image://").unwrap_or(word);
        let (host, repository) = word.split_once('/')?;
        let registry = host.contains(['.', ':']) || host == "localhost";
        let written = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
        let valid = registry && !host.starts_with('.') && host.chars().all(written);
        (valid && !repository.starts_with('/'))
            .then(|| image_ref::hub(&host.to_ascii_lowercase()).to_owned())
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        of_command(&words).into_iter().collect()
    }

    #[test]
    fn a_command_uses_the_registries_of_its_names() {
        for (line, expected) in [
            (
                "push ghcr.io/o/a:1 docker://r.example/a:1",
                &["r.example"][..],
            ),
            ("push --digestfile=/x a", &["docker.io"]),
            ("push a oci-archive:/x/a.tar", &[]),
            (
                "pull --quiet docker://R.example:5000/a",
                &["r.example:5000"],
            ),
            (
                "manifest create --all l a.example/b docker://c.example/d",
                &["a.example", "c.example"],
            ),
            (
                "manifest push --all a.example/l docker://b.example/l",
                &["b.example"],
            ),
            (
                "registry copy a.example/b c.example/d",
                &["a.example", "c.example"],
            ),
            ("registry push localhost/a r.example/b", &["r.example"]),
            ("login r.example", &[]),
            ("images", &[]),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }

    #[test]
    fn a_build_uses_the_registries_of_its_dockerfile() {
        let directory = tempfile::tempdir().unwrap();
        let context = directory.path().display();
        let text = "ARG BASE=arg.example/base:1\nFROM --platform=x from.example:5000/a AS b\nfrom localhost/c\nCOPY --from=copy.example/d /x /\nRUN --mount=from=mount.example/e,target=/x curl https://run.example/f\nRUN echo other.example/g\n";
        std::fs::write(directory.path().join("Dockerfile"), text).unwrap();
        let all = of(&format!(
            "build --tag=tag.example/a:1 --build-arg=X=value.example/y --build-context=z=docker-image://context.example/z {context}"
        ));
        let expected = [
            "arg.example",
            "context.example",
            "copy.example",
            "docker.io",
            "from.example:5000",
            "localhost",
            "mount.example",
            "tag.example",
            "value.example",
        ];
        assert_eq!(all, expected);
        let named = directory.path().join("other");
        std::fs::write(&named, "FROM named.example/a\n").unwrap();
        let all = of(&format!("build --file={} ./a.b/c", named.display()));
        assert_eq!(all, ["docker.io", "named.example"]);
    }
}
