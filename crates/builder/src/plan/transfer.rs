//! Plans pushes and pulls: their source and target, and their credentials.

use super::{FlagArgument, Operation, Parsed, Planner, Reference, Rejected, passed_on};
use crate::facts::Product;
use crate::operation::Grants;
use crate::operation_dir::Medium;

/// A transport whose source or target is a path of the job. Source: containers-transports(5).
struct Transport {
    name: &'static str,
    /// Whether a push may write to it.
    writable: bool,
}

const TRANSPORTS: &[Transport] = &[
    Transport {
        name: "docker-archive",
        writable: true,
    },
    Transport {
        name: "oci-archive",
        writable: true,
    },
    Transport {
        name: "oci",
        writable: false,
    },
    Transport {
        name: "dir",
        writable: false,
    },
];

const WITH_PERMIT: Grants = Grants {
    storage: true,
    run_steps: false,
    permit: true,
    login: false,
    bounded: false,
};

impl Planner<'_> {
    pub(super) fn push(&self, parsed: &Parsed, verb: &'static str) -> Result<Operation, Rejected> {
        let (image, target) = match &parsed.positional[..] {
            [image] => (image, image),
            [image, target] => (image, target),
            _ => {
                return Err(Rejected::Arguments("an image, and optionally its target"));
            }
        };
        let mut command = passed_on(verb, parsed);
        let mut resources = self.resources();
        let mut authfile = self.credentials.of_job();
        let mut pushed = None;
        Reference::parse(image)?;
        let target = match Archive::parse(target) {
            Some(archive) if archive.transport.writable => {
                let path = resources.add_output(self.relative(archive.path)?, Medium::Disk);
                archive.at(&path)
            }
            _ => {
                let target = Reference::parse(target)?;
                self.require_pushable(&target)?;
                let names = [target];
                authfile = self.authfile(parsed, &names)?;
                command.flags.extend(self.tls_verify(verb, parsed, &names)?);
                let [target] = names;
                pushed = Some(target.versioned());
                target.target()
            }
        };
        // With the flag, `buildah manifest push` of 1.39 ends with 0 if the push fails.
        let own = pushed.is_some() && verb == "push";
        let digest_file = match parsed.last("digestfile") {
            Some(path) => Some(resources.add_output(self.relative(path)?, Medium::Memory)),
            None => own.then(|| self.digest_file()),
        };
        let flag = digest_file.as_ref();
        let flag = flag.map(|path| FlagArgument::new("digestfile", path));
        command.flags.extend(flag);
        command.positional = vec![image.clone(), target];
        Ok(resources.give_to(Operation {
            grants: WITH_PERMIT,
            product: pushed.map_or(Product::Nothing, |target| Product::Push {
                target,
                digest_file: digest_file
                    .as_deref()
                    .map(|path| file_name(path).to_owned()),
            }),
            authfile,
            ..self.operation(command)
        }))
    }

    pub(super) fn pull(&self, parsed: &Parsed) -> Result<Operation, Rejected> {
        let [image] = &parsed.positional[..] else {
            return Err(Rejected::Arguments("one image after pull"));
        };
        let mut command = passed_on("pull", parsed);
        let mut resources = self.resources();
        let mut authfile = self.credentials.of_job();
        let source = match Archive::parse(image) {
            Some(archive) => archive.at(&resources.add_input(self.relative(archive.path)?)),
            None => {
                let names = [Reference::parse(image)?];
                authfile = self.authfile(parsed, &names)?;
                command
                    .flags
                    .extend(self.tls_verify("pull", parsed, &names)?);
                image.clone()
            }
        };
        command.positional = vec![source];
        Ok(resources.give_to(Operation {
            grants: WITH_PERMIT,
            authfile,
            ..self.operation(command)
        }))
    }
}

/// Returns the name of a file in the operation's directory.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The parts of `TRANSPORT:PATH[:REFERENCE]`.
struct Archive<'a> {
    transport: &'static Transport,
    path: &'a str,
    /// `:REFERENCE`, or empty.
    suffix: String,
}

impl<'a> Archive<'a> {
    /// Returns `None` for a text that is not an archive, or could name something else.
    fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once(':')?;
        let transport = TRANSPORTS.iter().find(|transport| transport.name == name)?;
        let (path, suffix) = match rest.split_once(':') {
            Some((path, suffix)) => (path, Some(suffix)),
            None => (rest, None),
        };
        let looks_like_a_path = path.contains('/') || path.contains('.');
        // Buildah takes a suffix of `dir:` for a part of the path.
        let harmless = suffix.is_none_or(|suffix| {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
            transport.name != "dir" && !suffix.contains("..") && suffix.bytes().all(word)
        });
        let suffix = suffix.map(|suffix| format!(":{suffix}"));
        (looks_like_a_path && harmless).then_some(Self {
            transport,
            path,
            suffix: suffix.unwrap_or_default(),
        })
    }

    /// Returns the same archive at another path.
    fn at(&self, path: &str) -> String {
        format!("{}:{path}{}", self.transport.name, self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_archives_and_nothing_else() {
        let archive = Archive::parse("docker-archive:./a.tar:name:tag").unwrap();
        assert!(archive.transport.writable);
        assert_eq!(archive.path, "./a.tar");
        assert_eq!(archive.at("/x"), "docker-archive:/x:name:tag");
        let archive = Archive::parse;
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
