//! Writes Dockerfiles anew, so that Buildah carries them out as BuildKit does. Refuses those for which it cannot.
//!
//! Only what differs is rewritten; all other bytes stay as they are. Whether a build may use what the result names is decided
//! afterwards, on the result: [`images`](super::images()) reads it.

mod copy;
mod directives;
mod documents;
mod edits;
mod hash;
mod line_ends;
mod mounts;
mod patterns;
mod ports;
mod posix;
mod run;
mod scope;
mod shell;
mod structure;
mod variables;
mod words;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::error::{DockerfileError, MAX_STAGES, Problem};
use super::images::BuildOptions;
use super::lexer::{self, Instruction};
use edits::{applied, part, require_whole};
use hash::hash;
use ports::Exposed;
use scope::{PREDEFINED, Scope};
use words::Edit;

/// What decides, beside the texts, how they are rewritten.
#[derive(Debug, Clone, Copy)]
pub struct RewriteOptions<'a> {
    /// The options of the build. The predefined variables are those of its only platform, or none.
    pub build: &'a BuildOptions,
    /// Whether the isolation of RUN steps gives `--network=none` what it promises.
    pub network_none: bool,
    /// A text that no other build has. It keeps steps out of the cache that depend on more than Buildah compares. Without it,
    /// the whole build has to stay out.
    pub nonce: Option<&'a str>,
}

/// The Dockerfiles for Buildah.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Their texts, in order.
    pub texts: Vec<String>,
    /// Values of `--build-arg` that the texts need.
    pub build_args: BTreeMap<String, String>,
    /// Whether the build must not use a cache.
    pub uncached: bool,
}

/// Rewrites the Dockerfiles of one build. Buildah reads several files as one.
///
/// The result is its own result: rewriting it changes nothing.
///
/// # Errors
/// [`DockerfileError`] for the first instruction that cannot be read or cannot be carried out.
pub fn rewrite(
    texts: &[String],
    options: RewriteOptions<'_>,
) -> Result<Rewritten, DockerfileError> {
    let mut rewriter = Rewriter::new(options);
    let mut rewritten = Vec::new();
    let at = |(line, problem)| DockerfileError { line, problem };
    for text in texts {
        let text = directives::escape_first(text);
        let text = line_ends::closed(&text).map_err(at)?;
        let instructions = lexer::instructions(&text).map_err(at)?;
        for instruction in &instructions {
            let before = rewriter.edits.len();
            rewriter
                .instruction(&text, instruction)
                .and_then(|()| require_whole(&text, &rewriter.edits[before..]))
                .map_err(|problem| at((instruction.line, problem)))?;
        }
        let edits = std::mem::take(&mut rewriter.edits);
        rewriter.file += 1;
        let within = || at((1, Problem::FlagWithinCharacter));
        let result = applied(&text, edits).ok_or_else(within)?;
        structure::check(&instructions, &result).map_err(at)?;
        rewritten.push(result);
    }
    Ok(Rewritten {
        texts: rewritten,
        ..rewriter.result
    })
}

/// Returns a key for names that differ in upper and lower case only. No name of a stage has a space.
fn folded(name: &str) -> String {
    format!(" {}", name.to_ascii_lowercase())
}

/// One stage so far.
#[derive(Debug)]
struct Stage {
    name: Option<String>,
    scope: Rc<Scope>,
    /// A hash of the text that names the image whose files it has. `None` if a step changes them, or the text is unknown.
    image: Option<String>,
    /// Whether its shell takes commands of POSIX.
    posix: bool,
    /// Its SHELL, or that of the stage that it is made from.
    shell: Option<Vec<String>>,
    /// Its first EXPOSE.
    exposed: Option<Exposed>,
}

struct Rewriter<'a> {
    options: RewriteOptions<'a>,
    global: Scope,
    /// All stages so far, with the current one.
    stages: Vec<Stage>,
    /// The places of the earlier stages, by their names and by [`folded`] ones.
    names: BTreeMap<String, usize>,
    /// The number of the current file.
    file: usize,
    /// Its changes.
    edits: Vec<Edit>,
    /// The ports of all ranges so far.
    ranges: usize,
    /// How the stages use each predefined variable: with a value of their own, or without.
    predefined: BTreeMap<String, Option<String>>,
    result: Rewritten,
}

impl<'a> Rewriter<'a> {
    fn new(options: RewriteOptions<'a>) -> Self {
        let mut global = Scope::global();
        for name in PREDEFINED {
            let value = options.build.predefined.get(name).cloned();
            global.set_argument(name, value);
        }
        Self {
            options,
            global,
            stages: Vec::new(),
            names: BTreeMap::new(),
            file: 0,
            edits: Vec::new(),
            ranges: 0,
            predefined: BTreeMap::new(),
            result: Rewritten::default(),
        }
    }

    /// Rewrites one instruction. A trigger of ONBUILD is for a later build and stays as it is.
    fn instruction(&mut self, text: &str, instruction: &Instruction) -> Result<(), Problem> {
        if instruction.trigger {
            return Ok(());
        }
        match instruction.name.as_str() {
            "from" => self.from(instruction),
            "arg" => self.arg(instruction),
            "env" => self.env(instruction),
            "expose" => self.expose(instruction),
            "workdir" => {
                // It may create the directory.
                self.change_files();
                self.substitute(instruction).map(drop)
            }
            "label" | "volume" | "user" | "stopsignal" => self.substitute(instruction).map(drop),
            "shell" => {
                self.shell(instruction);
                Ok(())
            }
            "cmd" | "entrypoint" => self.later_command(instruction),
            "copy" | "add" => self.copy(text, instruction),
            "run" => self.run(text, instruction),
            _ => Ok(()),
        }
    }

    /// Rewrites the variables of an instruction's arguments. Returns their value, if it is known.
    fn substitute(&mut self, instruction: &Instruction) -> Result<Option<String>, Problem> {
        let expansion = words::expand(&instruction.rest, self.scope())?;
        self.edit(instruction, expansion.edits)?;
        self.identify(instruction, expansion.value.as_deref())?;
        Ok(expansion.value)
    }

    /// Puts a hash of the variables' values into an instruction, as a substitution that expands to nothing.
    ///
    /// Buildah takes a step from its cache if the text is the same. It compares the values of ARGs only for RUN.
    fn identify(&mut self, instruction: &Instruction, value: Option<&str>) -> Result<(), Problem> {
        let rest = instruction.rest.trim_end();
        // Behind these the substitution would be read otherwise. It would be a part of the name of a here-document.
        let last = rest.rsplit(super::expansion::is_blank).next();
        let open = rest.ends_with(['\\', '`', '$']) || last.is_some_and(|last| last.contains("<<"));
        let exempt = open || instruction.is_json() || is_identified(rest);
        if exempt || !rest.contains('$') || !self.scope().has_arguments() {
            return Ok(());
        }
        let hash = match value {
            Some(value) => hash(std::iter::once(value)),
            None => hash(self.scope().argument_texts()),
        };
        let identity = format!("{IDENTITY}{hash}}}");
        self.scope().change(identity.len())?;
        let end = instruction.span(0..rest.len()).end;
        self.edits.push((end..end, identity));
        Ok(())
    }

    fn edit(&mut self, instruction: &Instruction, edits: Vec<Edit>) -> Result<(), Problem> {
        // An array of JSON has other escapes.
        let json = !edits.is_empty() && instruction.is_json();
        for (part, text) in edits {
            if json && text.contains('\\') {
                let part = &instruction.rest[part];
                return Err(Problem::VariablePattern(part.to_owned()));
            }
            self.edits.push((instruction.span(part), text));
        }
        Ok(())
    }

    /// The variables at this place.
    fn scope(&self) -> &Scope {
        self.stages
            .last()
            .map_or(&self.global, |stage| &stage.scope)
    }

    fn scope_mut(&mut self) -> &mut Scope {
        match self.stages.last_mut() {
            Some(stage) => Rc::make_mut(&mut stage.scope),
            None => &mut self.global,
        }
    }

    /// Returns the place of an earlier stage, by its name or number. A name that is spelled as a stage's wins; otherwise
    /// upper and lower case are alike, as in BuildKit.
    fn stage(&self, name: &str) -> Option<usize> {
        let earlier = self.stages.len().saturating_sub(1);
        let number = name
            .parse()
            .ok()
            .filter(|at: &usize| at.to_string() == name);
        let number = number.filter(|at| *at < earlier);
        let names = &self.names;
        let spelled = number.or_else(|| names.get(name).copied());
        spelled.or_else(|| names.get(&folded(name)).copied())
    }

    /// Notes that a step changes the files of the current stage.
    fn change_files(&mut self) {
        if let Some(stage) = self.stages.last_mut() {
            stage.image = None;
        }
    }

    /// Makes the current stage an earlier one.
    fn end_stage(&mut self) {
        let Some(at) = self.stages.len().checked_sub(1) else {
            return;
        };
        if let Some(name) = &self.stages[at].name {
            self.names.insert(folded(name), at);
            self.names.insert(name.clone(), at);
        }
    }

    /// Returns how the stage of this name is spelled. `None` if it is spelled so, or is no stage.
    fn respelled(&self, name: &str) -> Option<String> {
        if self.options.build.build_contexts.contains_key(name) {
            return None;
        }
        let spelled = self.stages[self.stage(name)?].name.clone()?;
        let number = name.bytes().all(|byte| byte.is_ascii_digit());
        (spelled != name && !number).then_some(spelled)
    }

    fn from(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        if self.stages.len() > MAX_STAGES {
            return Err(Problem::TooManyStages);
        }
        let mut identity = self.flags_of_from(instruction)?;
        let expansion = words::expand(&instruction.rest, &self.global)?;
        self.edit(instruction, expansion.edits)?;
        let blank = super::expansion::is_blank;
        let mut names = instruction
            .rest
            .split(blank)
            .filter(|word| !word.is_empty());
        let written = names.next().unwrap_or_default();
        let image = words::expand(written, &self.global)?.value;
        let name = match (names.next(), names.next()) {
            (Some(r#as), Some(name)) if r#as.eq_ignore_ascii_case("as") => {
                words::expand(name, &self.global)?.value
            }
            _ => None,
        };
        self.end_stage();
        identity.push(image.clone());
        let identity: Option<Vec<String>> = identity.into_iter().collect();
        let of_texts = |texts: Vec<String>| hash(texts.iter().map(String::as_str));
        self.stages.push(Stage {
            name,
            scope: Rc::new(self.global.stage(image.as_deref() == Some("scratch"))),
            image: identity.map(of_texts),
            posix: true,
            shell: None,
            exposed: None,
        });
        let Some(base) = image.as_deref().and_then(|image| self.stage(image)) else {
            return Ok(());
        };
        let spelled = image.as_deref().and_then(|image| self.respelled(image));
        if let Some(spelled) = spelled.filter(|_| Some(written) == image.as_deref()) {
            let span = instruction.span(0..written.len());
            self.edits.push((span, spelled));
        }
        let base = &self.stages[base];
        let (scope, image) = (Rc::new(Scope::after(&base.scope)), base.image.clone());
        let (posix, shell) = (base.posix, base.shell.clone());
        if let Some(stage) = self.stages.last_mut() {
            (stage.scope, stage.image) = (scope, image);
            (stage.posix, stage.shell) = (posix, shell);
        }
        Ok(())
    }

    /// Returns the flags with the values of their variables. Only `--platform` is known.
    fn flags_of_from(&mut self, instruction: &Instruction) -> Result<Vec<Option<String>>, Problem> {
        let mut values = Vec::new();
        for (flag, span) in instruction.flags.iter().zip(&instruction.flag_spans) {
            // Buildah 1.43 takes --after too, and does nothing with it.
            if !flag.starts_with("--platform=") {
                return Err(Problem::unknown_flag(flag));
            }
            let words::Expansion { value, edits } = words::expand(flag, &self.global)?;
            values.push(value);
            if !edits.is_empty() {
                let flag = applied(flag, edits).ok_or(Problem::FlagWithinCharacter)?;
                self.edits.push((span.clone(), flag));
            }
        }
        Ok(values)
    }
}

/// How the identity of an instruction begins. A hash and a brace follow.
const IDENTITY: &str = "${CI_CD_AGENTS_UNSET:+";

/// Whether an instruction ends with an identity.
fn is_identified(rest: &str) -> bool {
    let hash = rest.rfind(IDENTITY).map(|at| &rest[at + IDENTITY.len()..]);
    let hash = hash.and_then(|hash| hash.strip_suffix('}'));
    hash.is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
