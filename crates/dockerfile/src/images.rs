//! Lists the images that a Containerfile names. The builder pulls those that need credentials before the build, so that
//! the build has no credentials.
//!
//! It follows the rules of Buildah 1.39 and 1.43, and refuses what those decide only during the build, such as a variable in
//! `--from=`. A base image's `ONBUILD` and variables are not visible here. The builder's `plan/build.rs` covers them: a
//! build's policy.json accepts images of registries only.

use std::collections::BTreeMap;

use super::error::{DockerfileError, MAX_ARGS, MAX_STAGES, Problem};
use super::expansion;
use super::lexer::{self, Instruction};
use image_ref::Reference;

/// Values of `--build-arg`, by name.
pub type BuildArgs = BTreeMap<String, String>;

/// The options of a build that decide, beside its Containerfiles, which images it names.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The values of `--build-arg`.
    pub build_args: BuildArgs,
    /// The names of `--build-context`, and whether each is an image.
    pub build_contexts: BTreeMap<String, bool>,
    /// The variables that Buildah sets by itself, such as `TARGETARCH`.
    pub predefined: BuildArgs,
}

impl BuildOptions {
    /// Creates the options without predefined variables.
    #[must_use]
    pub fn new(build_args: BuildArgs, build_contexts: BTreeMap<String, bool>) -> Self {
        Self {
            build_args,
            build_contexts,
            predefined: BuildArgs::new(),
        }
    }
}

/// The images of a build so far, and the names of its stages.
#[derive(Debug)]
struct Scan<'a> {
    options: &'a BuildOptions,
    images: Vec<Reference>,
    /// The stages before the current one.
    stages: Vec<String>,
    current: Option<String>,
    args: BuildArgs,
    size: usize,
}

/// Lists the images that these Containerfiles name. Buildah reads several files as one.
///
/// # Errors
/// [`DockerfileError`] for the first instruction that cannot be read or is not available.
pub fn images(texts: &[String], options: &BuildOptions) -> Result<Vec<Reference>, DockerfileError> {
    let mut scan = Scan {
        options,
        images: Vec::new(),
        stages: Vec::new(),
        current: None,
        args: BuildArgs::new(),
        size: 0,
    };
    let at = |(line, problem)| DockerfileError { line, problem };
    for text in texts {
        for instruction in lexer::instructions(text).map_err(at)? {
            scan.read(&instruction)
                .map_err(|problem| at((instruction.line, problem)))?;
        }
    }
    Ok(scan.images)
}

impl Scan<'_> {
    fn read(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        match instruction.name.as_str() {
            "from" if !instruction.trigger => self.from(&instruction.rest),
            "arg" if self.current.is_none() && !instruction.trigger => self.arg(&instruction.rest),
            "copy" | "add" | "run" => self.flags(instruction),
            _ => Ok(()),
        }
    }

    /// Reads an ARG before the first FROM.
    fn arg(&mut self, rest: &str) -> Result<(), Problem> {
        for word in expansion::split_quoted(rest) {
            let word = expansion::expand(&word, &|name| {
                self.args.get(name).cloned().unwrap_or_default()
            })?;
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (word.as_str(), None),
            };
            let set = self.options.build_args.get(name);
            let set = set.or(self.options.predefined.get(name));
            let value = set.map(String::as_str).or(default);
            // A second ARG without a value keeps the first one's.
            if let Some(value) = value {
                self.args.insert(name.to_owned(), value.to_owned());
                self.size += name.len() + value.len();
            }
            if self.size > MAX_ARGS {
                return Err(Problem::ArgsTooLarge);
            }
        }
        Ok(())
    }

    fn from(&mut self, rest: &str) -> Result<(), Problem> {
        let mut words = rest
            .split(expansion::is_blank)
            .filter(|word| !word.is_empty());
        let Some(image) = words.next() else {
            return Ok(());
        };
        let stage = match (words.next(), words.next()) {
            (Some(r#as), Some(name)) if r#as.eq_ignore_ascii_case("as") => Some(name),
            _ => None,
        };
        self.stages.extend(self.current.take());
        if self.stages.len() > MAX_STAGES {
            return Err(Problem::TooManyStages);
        }
        let expanded = self.expand(image)?;
        // A context replaces the name as it is written, before variables are replaced.
        let context = self.options.build_contexts.get(image) == Some(&true);
        if !context && !expanded.is_empty() && !self.is_stage(&expanded) {
            self.image(&expanded)?;
        }
        let name = stage.map(|stage| self.expand(stage)).transpose()?;
        let name = name.unwrap_or_else(|| self.stages.len().to_string());
        if !is_plain(&name) {
            return Err(Problem::StageName(name));
        }
        self.current = Some(name);
        Ok(())
    }

    /// Reads `--from=…` of COPY and every `from=…` of `RUN --mount`.
    fn flags(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        for flag in &instruction.flags {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            require_name(flag, name.trim_start_matches('-'))?;
            // Buildah takes every flag of COPY that contains `--from` for it.
            if instruction.name == "copy" && name != "--from" && flag.contains("--from") {
                return Err(Problem::FlagName(flag.clone()));
            }
            match name {
                "--from" => self.source(value, instruction.trigger)?,
                "--mount" => self.mount(value, instruction.trigger)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn mount(&mut self, value: &str, trigger: bool) -> Result<(), Problem> {
        if value.contains(['\'', '"', '\\']) {
            return Err(Problem::MountQuotes(value.to_owned()));
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

    /// Reads the name of a stage, a context or an image. A trigger belongs to a later build, so its image is only checked.
    fn source(&mut self, name: &str, trigger: bool) -> Result<(), Problem> {
        if name.contains('$') {
            return Err(Problem::FromVariable(name.to_owned()));
        }
        let image = name.split_once("://").map_or(name, |(_, image)| image);
        let plain = |part: &str| part.split(['/', ':', '@', '+']).all(is_plain);
        if !plain(image) {
            return Err(Problem::FromName(name.to_owned()));
        }
        if trigger {
            Reference::parse(name)?;
            return Ok(());
        }
        if self.options.build_contexts.contains_key(name) || self.is_stage(name) {
            return Ok(());
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Problem::FromNumber(name.to_owned()));
        }
        self.image(name)
    }

    /// Whether it is the name or the number of an earlier stage. Names are case-sensitive.
    fn is_stage(&self, name: &str) -> bool {
        let number = name
            .parse()
            .is_ok_and(|at: usize| at < self.stages.len() && at.to_string() == name);
        number || self.stages.iter().any(|stage| stage == name)
    }

    fn image(&mut self, name: &str) -> Result<(), Problem> {
        let reference = Reference::parse(name)?;
        if name != "scratch" && !self.images.contains(&reference) {
            self.images.push(reference);
        }
        if self.images.len() > MAX_STAGES {
            return Err(Problem::TooManyImages);
        }
        Ok(())
    }

    /// Expands a word of FROM. It sees the ARGs before the first FROM, and the predefined variables.
    fn expand(&self, word: &str) -> Result<String, Problem> {
        expansion::expand(word, &|name| {
            let declared = self.args.get(name);
            let predefined = self.options.predefined.get(name);
            declared.or(predefined).cloned().unwrap_or_default()
        })
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// Rejects flag names that a variable or a quote could expand into a different flag.
fn require_name(whole: &str, name: &str) -> Result<(), Problem> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    if name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Problem::FlagName(whole.to_owned()))
}

#[cfg(test)]
mod tests;
