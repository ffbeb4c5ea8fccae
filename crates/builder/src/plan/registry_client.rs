//! Plans requests to registries through skopeo, the builder's registry client. It reads the same authfile and the same
//! registries.conf as Buildah, bounds what a registry answers, and sends no credentials to the target of a redirect.

use zeroize::Zeroizing;

use super::transfer::file_name;
use super::{Operation, Parsed, Planner, ReadInput, Reference, Rejected};
use crate::command::{BuildahCommand, FlagArgument};
use crate::facts::{DIGEST, Product};
use crate::operation::{Grants, PrivateFile, Program, Stdin, Stdout};
use crate::operation_dir::Medium;
use crate::policy::RegistryRequest;
use crate::sandbox::MEMORY;

/// The longest that a registry may take for a manifest or a config. A registry can send single bytes for ever.
const TIME: &str = "--command-timeout=2m";

/// A request for which no image of the storage is needed.
const REQUEST: Grants = Grants {
    storage: false,
    run_steps: false,
    permit: false,
    login: false,
    bounded: true,
};

impl Planner<'_> {
    pub(super) fn registry(
        &self,
        request: RegistryRequest,
        parsed: &Parsed,
        input: ReadInput<'_>,
    ) -> Result<Operation, Rejected> {
        match request {
            RegistryRequest::Manifest => self.inspect(parsed, &["--raw"]),
            RegistryRequest::Config => self.inspect(parsed, &["--raw", "--config"]),
            RegistryRequest::Copy => self.copy(parsed),
            RegistryRequest::Index => self.push_index(parsed, input),
            RegistryRequest::Push => self.push_by_digest(parsed),
        }
    }

    fn inspect(&self, parsed: &Parsed, flags: &[&str]) -> Result<Operation, Rejected> {
        let name = one_name(parsed)?;
        let mut line = vec![TIME.to_owned(), "inspect".to_owned()];
        line.extend(flags.iter().map(|&flag| flag.to_owned()));
        line.extend(self.tls("tls-verify", "tls-verify", parsed, &name)?);
        line.extend(["--".to_owned(), name.target()]);
        Ok(Operation {
            stdout: Stdout::Binary,
            ..self.skopeo(line, &[name])
        })
    }

    fn copy(&self, parsed: &Parsed) -> Result<Operation, Rejected> {
        let [source, target] = &parsed.positional[..] else {
            return Err(Rejected::Arguments("a source and a target"));
        };
        let (source, target) = (Reference::parse(source)?, Reference::parse(target)?);
        self.require_pushable(&target)?;
        let mut line = copy_line();
        line.push("--all".to_owned());
        line.push(format!("--digestfile={}", self.digest_file()));
        line.extend(self.tls("src-tls-verify", "src-tls-verify", parsed, &source)?);
        line.extend(self.tls("tls-verify", "dest-tls-verify", parsed, &target)?);
        line.extend(["--".to_owned(), source.target(), target.target()]);
        // It may move layers.
        let grants = Grants {
            permit: true,
            ..REQUEST
        };
        Ok(Operation {
            grants,
            product: Product::push(target.versioned(), DIGEST),
            ..self.skopeo(line, &[source, target])
        })
    }

    /// Plans the push of a list. skopeo reads it from a directory, and pushes nothing but the list.
    fn push_index(&self, parsed: &Parsed, input: ReadInput<'_>) -> Result<Operation, Rejected> {
        let target = one_name(parsed)?;
        self.require_pushable(&target)?;
        let mut line = copy_line();
        line.push("--multi-arch=index-only".to_owned());
        line.push(format!("--digestfile={}", self.digest_file()));
        line.extend(self.tls("tls-verify", "dest-tls-verify", parsed, &target)?);
        let directory = format!("dir:{}", self.paths.memory.display());
        line.extend(["--".to_owned(), directory, target.target()]);
        let content = input()?;
        require_index(&content)?;
        let file = |name: &str, content: Vec<u8>| PrivateFile {
            name: name.to_owned(),
            content: Zeroizing::new(content),
        };
        Ok(Operation {
            files: vec![
                file("manifest.json", content),
                file("version", b"Directory Transport Version: 1.1\n".to_vec()),
            ],
            product: Product::push(target.versioned(), DIGEST),
            ..self.skopeo(line, &[target])
        })
    }

    /// Plans a push without a tag. The digest depends on the compressed layers. So Buildah writes the image into a
    /// directory, skopeo compresses it, and then pushes it under the digest of what it has written.
    fn push_by_digest(&self, parsed: &Parsed) -> Result<Operation, Rejected> {
        let [image, target] = &parsed.positional[..] else {
            return Err(Rejected::Arguments("an image and its repository"));
        };
        Reference::parse(image)?;
        let target = Reference::parse(target)?;
        if target.tag.is_some() || target.digest.is_some() {
            return Err(Rejected::Arguments(
                "a repository without tag or digest, because the digest is found by the push",
            ));
        }
        self.require_pushable(&target)?;
        let disk = |name: &str| self.paths.disk.join(name).display().to_string();
        let (plain, packed) = (disk("plain"), disk("packed"));
        let export = export(parsed, image, &plain);
        let pack = pack(parsed, &plain, &packed);
        let mut push = copy_line();
        push.push("--all".to_owned());
        push.extend(self.tls("tls-verify", "dest-tls-verify", parsed, &target)?);
        push.extend(["--".to_owned(), format!("dir:{packed}")]);
        let mut resources = self.resources();
        let digest = match parsed.last("digestfile") {
            Some(path) => resources.add_output(self.relative(path)?, Medium::Memory),
            None => self.digest_file(),
        };
        let script = [
            "set -eu".to_owned(),
            command_line("buildah", &export.render()),
            command_line("skopeo", &pack),
            command_line("rm", &["-rf".to_owned(), plain]),
            format!(
                "digest=$(sha256sum <{})",
                quoted(&format!("{packed}/manifest.json"))
            ),
            "digest=sha256:${digest%% *}".to_owned(),
            format!("printf %s \"$digest\" >{}", quoted(&digest)),
            format!("ulimit -d {}", MEMORY / 1024),
            format!(
                "exec {} {}@\"$digest\"",
                command_line("skopeo", &push),
                quoted(&target.target())
            ),
        ];
        Ok(resources.give_to(Operation {
            program: Program::Other {
                name: "sh",
                arguments: vec!["-c".to_owned(), script.join("\n")],
            },
            grants: Grants {
                permit: true,
                ..Grants::default()
            },
            product: Product::push(target.versioned(), file_name(&digest)),
            authfile: self.credentials.for_references(&[target]),
            ..Operation::default()
        }))
    }

    /// Returns the path of the file with the digest of a push, for the builder itself.
    pub(super) fn digest_file(&self) -> String {
        self.paths.memory.join(DIGEST).display().to_string()
    }

    /// Returns the flag of skopeo for a registry whose certificate is not verified.
    fn tls(
        &self,
        given: &str,
        flag: &str,
        parsed: &Parsed,
        name: &Reference,
    ) -> Result<Option<String>, Rejected> {
        let names = std::slice::from_ref(name);
        let verify = self.verify("registry", parsed.last(given), false, names)?;
        Ok(verify.map(|verify| format!("--{flag}={verify}")))
    }

    /// Creates a request with the credentials of these names.
    fn skopeo(&self, arguments: Vec<String>, names: &[Reference]) -> Operation {
        Operation {
            program: Program::Other {
                name: "skopeo",
                arguments,
            },
            grants: REQUEST,
            authfile: self.credentials.for_references(names),
            stdin: Stdin::Nothing,
            ..Operation::default()
        }
    }
}

/// Rejects a text that is no list of images. skopeo would look for the layers of an image.
fn require_index(content: &[u8]) -> Result<(), Rejected> {
    let list: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
    list["manifests"]
        .is_array()
        .then_some(())
        .ok_or(Rejected::NoIndex)
}

/// Begins the command line of a copy that changes no digest.
fn copy_line() -> Vec<String> {
    ["copy", "--quiet", "--preserve-digests"]
        .map(str::to_owned)
        .into()
}

fn one_name(parsed: &Parsed) -> Result<Reference, Rejected> {
    match &parsed.positional[..] {
        [name] => Ok(Reference::parse(name)?),
        _ => Err(Rejected::Arguments("one name of an image in a registry")),
    }
}

/// Returns the command line of Buildah that writes an image or a list into a directory.
fn export(parsed: &Parsed, image: &str, directory: &str) -> BuildahCommand {
    let list = parsed.on("list");
    let mut export = BuildahCommand::new(if list { "manifest push" } else { "push" });
    export.flags.push(FlagArgument::new("quiet", "true"));
    if list {
        export.flags.push(FlagArgument::new("all", "true"));
    }
    if let Some(format) = parsed.last("format") {
        export.flags.push(FlagArgument::new("format", format));
    }
    export.positional = vec![image.to_owned(), format!("dir:{directory}")];
    export
}

/// Returns the command line of skopeo that compresses the layers of a directory into another one.
fn pack(parsed: &Parsed, from: &str, to: &str) -> Vec<String> {
    let mut pack = ["copy", "--quiet", "--all"].map(str::to_owned).to_vec();
    pack.extend(compression(parsed));
    pack.extend(["--".to_owned(), format!("dir:{from}"), format!("dir:{to}")]);
    pack
}

/// Returns the flags of skopeo that compress the layers.
fn compression(parsed: &Parsed) -> Vec<String> {
    if parsed.on("disable-compression") {
        return Vec::new();
    }
    let mut flags = vec!["--dest-compress=true".to_owned()];
    for (flag, name) in [
        ("compression-format", "dest-compress-format"),
        ("compression-level", "dest-compress-level"),
    ] {
        flags.extend(parsed.last(flag).map(|value| format!("--{name}={value}")));
    }
    flags
}

/// Writes a command line for a shell.
fn command_line(program: &str, arguments: &[String]) -> String {
    let words = arguments.iter().map(|word| quoted(word));
    [program.to_owned()]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Quotes a word for a shell: within single quotes only the quote itself has a meaning.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_job_stays_one_word_of_the_shell() {
        for word in ["a b", "$(id)", "`id`", "'; id; '", "\\'", "a\nb", "", "*"] {
            let script = command_line("printf", &["%s".to_owned(), word.to_owned()]);
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word, "{script}");
        }
    }
}
