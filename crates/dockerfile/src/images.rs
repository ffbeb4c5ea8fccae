//! Which images a Containerfile names: those that need credentials are pulled before the build, which then has none.
//!
//! Read by the very rules of Buildah 1.39. What those leave open until the build, such as a variable in `--from=`, is
//! refused. What comes out of a base image, its `ONBUILD` and its variables, is not seen here: a build's policy.json lets
//! nothing in but images of registries, see the builder's `work`.

use std::collections::BTreeMap;

use super::lines::{self, Instruction};
use super::words;
use image_ref::Reference;

/// Values of `--build-arg`, by name.
pub type Arguments = BTreeMap<String, String>;

/// The most that ARGs before the first FROM may come to, in bytes.
const ARGUMENTS: usize = 1024 * 1024;
/// The most stages, and images, of a build.
const STAGES: usize = 1000;

/// All that a build's images depend on beside its Containerfiles.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--build-arg`.
    pub arguments: Arguments,
    /// `--build-context`: the names, and whether it is an image.
    pub contexts: BTreeMap<String, bool>,
    /// `TARGETARCH` and the like, as Buildah sets them by itself.
    pub builtin: Arguments,
}

impl Given {
    /// Without what Buildah sets by itself.
    #[must_use]
    pub fn of(arguments: Arguments, contexts: BTreeMap<String, bool>) -> Self {
        Self {
            arguments,
            contexts,
            builtin: Arguments::new(),
        }
    }
}

/// The images of a build, and the names that are none.
#[derive(Debug)]
struct Scan<'a> {
    given: &'a Given,
    images: Vec<Reference>,
    /// Those before the one that is read.
    stages: Vec<String>,
    current: Option<String>,
    arguments: Arguments,
    size: usize,
}

/// The images that these Containerfiles name, as one.
///
/// # Errors
/// A sentence for the user, with the line.
pub fn images(texts: &[String], given: &Given) -> Result<Vec<Reference>, String> {
    let mut scan = Scan {
        given,
        images: Vec::new(),
        stages: Vec::new(),
        current: None,
        arguments: Arguments::new(),
        size: 0,
    };
    let at = |(line, problem): (usize, String)| format!("Containerfile, line {line}: {problem}");
    for text in texts {
        for instruction in lines::instructions(text).map_err(at)? {
            scan.read(&instruction)
                .map_err(|problem| at((instruction.line, problem)))?;
        }
    }
    Ok(scan.images)
}

impl Scan<'_> {
    fn read(&mut self, instruction: &Instruction) -> Result<(), String> {
        match instruction.name.as_str() {
            "from" if !instruction.trigger => self.from(&instruction.rest),
            "arg" if self.current.is_none() && !instruction.trigger => self.arg(&instruction.rest),
            "copy" | "add" | "run" => self.flags(instruction),
            _ => Ok(()),
        }
    }

    /// An ARG before the first FROM.
    fn arg(&mut self, rest: &str) -> Result<(), String> {
        for word in words::quoted(rest) {
            let word = words::expand(&word, &|name| {
                self.arguments.get(name).cloned().unwrap_or_default()
            })?;
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (word.as_str(), None),
            };
            let given = self.given.arguments.get(name);
            let value = given.or(self.given.builtin.get(name));
            let value = value.map(String::as_str).or(default);
            // Said once more without a value, it keeps the one it has.
            if let Some(value) = value {
                self.arguments.insert(name.to_owned(), value.to_owned());
                self.size += name.len() + value.len();
            }
            if self.size > ARGUMENTS {
                return Err(format!(
                    "the ARGs before the first FROM come to more than {} MiB",
                    ARGUMENTS >> 20
                ));
            }
        }
        Ok(())
    }

    fn from(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split(words::is_blank).filter(|word| !word.is_empty());
        let Some(image) = words.next() else {
            return Ok(());
        };
        let stage = match (words.next(), words.next()) {
            (Some(r#as), Some(name)) if r#as.eq_ignore_ascii_case("as") => Some(name),
            _ => None,
        };
        self.stages.extend(self.current.take());
        if self.stages.len() > STAGES {
            return Err(format!("more than {STAGES} stages are not available here"));
        }
        let expanded = self.expand(image)?;
        // A context stands for what is written, not for what that comes to.
        let context = self.given.contexts.get(image) == Some(&true);
        if !context && !expanded.is_empty() && !self.is_stage(&expanded) {
            self.image(&expanded)?;
        }
        let name = stage.map(|stage| self.expand(stage)).transpose()?;
        let name = name.unwrap_or_else(|| self.stages.len().to_string());
        if !is_plain(&name) {
            return Err(format!(
                "{name:?} is no name for a stage; take letters, digits, `.`, `_` and `-`"
            ));
        }
        self.current = Some(name);
        Ok(())
    }

    /// `--from=…` of COPY, every `from=…` of `RUN --mount`.
    fn flags(&mut self, instruction: &Instruction) -> Result<(), String> {
        for flag in &instruction.flags {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            require_name(flag, name.trim_start_matches('-'))?;
            match name {
                "--from" => self.source(value, instruction.trigger)?,
                "--mount" => self.mount(value, instruction.trigger)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn mount(&mut self, value: &str, trigger: bool) -> Result<(), String> {
        if value.contains(['\'', '"', '\\']) {
            return Err(format!(
                "--mount={value}: quotes and backslashes within a mount are not available here; write it without"
            ));
        }
        for part in value.split(',') {
            let (key, source) = part.split_once('=').unwrap_or((part, ""));
            require_name(part, key)?;
            if key == "from" {
                self.source(source, trigger)?;
            }
        }
        Ok(())
    }

    /// A stage, a context or an image. A trigger's is that of another build, whose images are not known yet.
    fn source(&mut self, name: &str, trigger: bool) -> Result<(), String> {
        if name.contains('$') {
            return Err(format!(
                "--from={name}: variables are not available here, as in Docker; name a stage instead: FROM {name} AS source"
            ));
        }
        let image = name.split_once("://").map_or(name, |(_, image)| image);
        let plain = |part: &str| part.split(['/', ':', '@', '+']).all(is_plain);
        if !plain(image) {
            return Err(format!(
                "--from={name}: it is not the name of an image or a stage; take letters, digits, `.`, `_`, `-`, `/`, `:` and `@`"
            ));
        }
        if trigger {
            return Ok(Reference::parse(name).map(drop)?);
        }
        if self.given.contexts.contains_key(name) || self.is_stage(name) {
            return Ok(());
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "--from={name}: there is no stage of that number before this one"
            ));
        }
        self.image(name)
    }

    /// Stages have a name, and a number as well. Case counts.
    fn is_stage(&self, name: &str) -> bool {
        let number = name
            .parse()
            .is_ok_and(|at: usize| at < self.stages.len() && at.to_string() == name);
        number || self.stages.iter().any(|stage| stage == name)
    }

    fn image(&mut self, name: &str) -> Result<(), String> {
        let reference = Reference::parse(name)?;
        if name != "scratch" && !self.images.contains(&reference) {
            self.images.push(reference);
        }
        if self.images.len() > STAGES {
            return Err(format!("more than {STAGES} images are not available here"));
        }
        Ok(())
    }

    /// In a FROM: what an ARG before it declares, and what Buildah knows by itself.
    fn expand(&self, word: &str) -> Result<String, String> {
        words::expand(word, &|name| {
            let declared = self.arguments.get(name);
            let own = self.given.builtin.get(name);
            declared.or(own).cloned().unwrap_or_default()
        })
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// What a variable or a quote could turn into another flag is none.
fn require_name(whole: &str, name: &str) -> Result<(), String> {
    match name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    {
        true => Ok(()),
        false => Err(format!(
            "{whole}: the name of a flag or option has to stand there as it is, in lower case letters"
        )),
    }
}

#[cfg(test)]
mod tests;
