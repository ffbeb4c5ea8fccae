//! Pushes and pulls: where to, where from, and with whose credentials.

use super::{Operation, Parsed, Planner, Reference};

/// Archives of images: their transport's name, and whether a push can make one.
const ARCHIVES: &[(&str, bool)] = &[
    ("docker-archive", true),
    ("oci-archive", true),
    ("oci", false),
    ("dir", false),
];

impl Planner<'_> {
    pub(super) fn push(&self, parsed: &Parsed, words: &[&str]) -> Result<Operation, String> {
        let (image, target) = match &parsed.positional[..] {
            [image] => (image, image),
            [image, target] => (image, target),
            _ => {
                return Err(format!(
                    "{} takes an image, and where to push it",
                    words.join(" ")
                ));
            }
        };
        let mut operation = self.operation(words, parsed);
        operation.heavy = true;
        Reference::parse(image)?;
        let target = match archive(target) {
            Some((transport, true, path, suffix)) => {
                let place = self.output(&mut operation, self.relative(path)?, true);
                format!("{transport}:{place}{suffix}")
            }
            _ => {
                let target = Reference::parse(target)?;
                self.allowed(&target)?;
                let names = [target];
                operation.authfile = self.authfile(parsed, &names)?;
                self.tls(parsed, &names, &mut operation)?;
                let [target] = names;
                target.target()
            }
        };
        if let Some(path) = parsed.last("digestfile") {
            let place = self.output(&mut operation, self.relative(path)?, false);
            operation.arguments.push(format!("--digestfile={place}"));
        }
        operation
            .arguments
            .extend(["--".to_owned(), image.clone(), target]);
        Ok(operation)
    }

    pub(super) fn pull(&self, parsed: &Parsed) -> Result<Operation, String> {
        let [image] = &parsed.positional[..] else {
            return Err("pull takes one image".to_owned());
        };
        let mut operation = self.operation(&["pull"], parsed);
        operation.heavy = true;
        let source = match archive(image) {
            Some((transport, _, path, suffix)) => {
                let place = self.input(&mut operation, self.relative(path)?);
                format!("{transport}:{place}{suffix}")
            }
            None => {
                let names = [Reference::parse(image)?];
                operation.authfile = self.authfile(parsed, &names)?;
                self.tls(parsed, &names, &mut operation)?;
                image.clone()
            }
        };
        operation.arguments.extend(["--".to_owned(), source]);
        Ok(operation)
    }
}

/// `transport:PATH[:REFERENCE]` taken apart, with whether a push can make one.
fn archive(text: &str) -> Option<(&'static str, bool, &str, String)> {
    let (name, rest) = text.split_once(':')?;
    let (transport, writable) = ARCHIVES.iter().find(|(transport, _)| *transport == name)?;
    let (path, suffix) = match rest.split_once(':') {
        Some((path, suffix)) => (path, Some(suffix)),
        None => (rest, None),
    };
    let looks_like_a_path = path.contains('/') || path.contains('.');
    // A directory has no name behind it: Buildah would read on as a path.
    let harmless = suffix.is_none_or(|suffix| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
        *transport != "dir" && !suffix.contains("..") && suffix.bytes().all(word)
    });
    let suffix = suffix
        .map(|suffix| format!(":{suffix}"))
        .unwrap_or_default();
    (looks_like_a_path && harmless).then_some((*transport, *writable, path, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_taken_apart_and_nothing_else_is_one() {
        let (transport, writable, path, suffix) =
            archive("docker-archive:./a.tar:name:tag").unwrap();
        assert_eq!(
            (transport, writable, path, suffix.as_str()),
            ("docker-archive", true, "./a.tar", ":name:tag")
        );
        assert!(archive("docker://a.example/b").is_none());
        assert!(archive("containers-storage:[overlay@/x]y").is_none());
        assert!(archive("oci-archive:/x.tar:[x]").is_none());
        assert!(archive("dir:name").is_none());
        assert!(archive("dir:./x").is_some() && archive("oci:./x:tag").is_some());
        for escapes in [
            "dir:./x:y/../../../run",
            "dir:./x:y",
            "oci:./x:../y",
            "oci-archive:./x:a/../..",
        ] {
            assert!(archive(escapes).is_none(), "{escapes}");
        }
    }
}
