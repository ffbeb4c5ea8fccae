//! Why a Dockerfile cannot be read.

use image_ref::InvalidReference;
use thiserror::Error;

/// The most variables in braces that one word may have; each nested one takes some of the stack.
pub(crate) const MAX_BRACES: usize = 100;
/// The longest that a word may become by expansion, in bytes.
pub(crate) const MAX_WORD: usize = 64 * 1024;
/// The most that the ARGs before the first FROM may come to, in bytes.
pub(crate) const MAX_ARGS: usize = 1024 * 1024;
/// The most stages, and the most images, of a build.
pub(crate) const MAX_STAGES: usize = 1000;
/// The most ports that all ranges of EXPOSE come to.
pub(crate) const MAX_PORTS: usize = 65536;

/// A Dockerfile that the builder refuses, with the line of the instruction.
#[derive(Debug, Error)]
#[error("Containerfile, line {line}: {problem}")]
pub struct DockerfileError {
    /// The first line of the instruction, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with one instruction.
#[derive(Debug, Error)]
pub enum Problem {
    /// No line ends a here-document.
    #[error("the here-document <<{0} does not end; add a line that consists of {0} only")]
    HeredocUnterminated(String),
    /// The name of a here-document has an open quote or brace.
    #[error("{0}: a quote or brace is not closed")]
    HeredocName(String),
    /// A line has too many nested variables.
    #[error(
        "too many nested variables in braces; put the line into a script and copy that into the image"
    )]
    HeredocDepth,
    /// A second `# escape=`.
    #[error("expected one escape directive, found two")]
    EscapeTwice,
    /// `# escape=` with another character.
    #[error("the escape directive takes \\ or `, found {0:?}")]
    EscapeCharacter(char),
    /// A word has too many variables in braces.
    #[error("a word with more than {MAX_BRACES} variables in braces")]
    BraceCount,
    /// A word cannot be expanded.
    #[error("{beginning}: {problem}")]
    Expansion {
        /// The first 100 characters of the word.
        beginning: String,
        /// What is wrong with it.
        problem: ExpansionProblem,
    },
    /// The ARGs before the first FROM are too large.
    #[error("the ARGs before the first FROM come to more than {} MiB", MAX_ARGS >> 20)]
    ArgsTooLarge,
    /// Too many stages.
    #[error("more than {MAX_STAGES} stages are not available here")]
    TooManyStages,
    /// Too many images.
    #[error("more than {MAX_STAGES} images are not available here")]
    TooManyImages,
    /// The name after AS is invalid.
    #[error("invalid stage name {0:?}; use letters, digits, `.`, `_` and `-`")]
    StageName(String),
    /// A mount has quotes or backslashes.
    #[error(
        "--mount={0}: quotes and backslashes within a mount are not available here; write it without them"
    )]
    MountQuotes(String),
    /// `--from=` has a variable.
    #[error(
        "--from={0}: variables are not available here, as in Docker; name a stage instead: FROM {0} AS source"
    )]
    FromVariable(String),
    /// `--from=` names neither an image nor a stage.
    #[error(
        "--from={0}: it is not the name of an image or a stage; use letters, digits, `.`, `_`, `-`, `/`, `:` and `@`"
    )]
    FromName(String),
    /// `--from=` has the number of a stage that is missing.
    #[error("--from={0}: there is no stage of that number before this one")]
    FromNumber(String),
    /// A variable or a quote could turn the name of a flag into another one.
    #[error("{0}: write the name of a flag or option here as it is, in lower case letters")]
    FlagName(String),
    /// `${NAME:?message}` without a value.
    #[error(
        "{name}: {message}; set {name} by an ARG or ENV of this file or by --build-arg: a base image's variables are not visible before the build"
    )]
    VariableRequired {
        /// The name of the variable.
        name: String,
        /// The message of the file.
        message: String,
    },
    /// ARG or ENV sets the variable that has to stay unset.
    #[error(
        "{0}: the builder needs one variable that is never set, and this is it; use another name"
    )]
    ReservedVariable(String),
    /// A pattern is applied to a variable whose value is unknown.
    #[error(
        "{0}: its value is not known before the build; set the variable by an ARG or ENV of this file or by --build-arg"
    )]
    VariableUnknown(String),
    /// A pattern is invalid or too long.
    #[error("{0}: this pattern is not available here; give the result in a --build-arg")]
    VariablePattern(String),
    /// The result of a pattern has a line break.
    #[error(
        "{0}: the result has a line break, which would end the instruction; give the variable a value of one line"
    )]
    VariableLines(String),
    /// A switch of a mount has a value that is neither true nor false.
    #[error("--mount=…,{0}: expected true or false")]
    MountSwitch(String),
    /// The source of a mount has a variable without a known value.
    #[error(
        "--mount={0}: the value of a variable in its source is not known before the build; set it by an ARG or ENV of this file, or write the path"
    )]
    MountVariable(String),
    /// The value of a variable in a mount may add a field.
    #[error(
        "--mount={mount}: the value of ${name} has a comma, or is not known before the build; write the value instead of the variable"
    )]
    MountValue {
        /// The value of the flag.
        mount: String,
        /// The name of the variable.
        name: String,
    },
    /// A secret has no usable name.
    #[error("--mount={0}: expected id=NAME, and for env=NAME the name of a variable")]
    SecretName(String),
    /// A secret in a variable needs a shell.
    #[error(
        "--mount=type=secret,…,env={0}: Buildah has secrets in files only, and only a step of the form RUN COMMAND with a shell of POSIX can read one into a variable; use target=PATH and read the file"
    )]
    SecretVariable(String),
    /// `#!` in a here-document, with another SHELL.
    #[error(
        "a here-document with #! needs a SHELL of POSIX; write RUN INTERPRETER <<EOF, or set SHELL [\"/bin/sh\", \"-c\"] before it"
    )]
    ScriptShell,
    /// `RUN --network=none`.
    #[error(
        "RUN --network=none: steps have the pod's network here, and the builder has no right to make another one; remove the flag, or build where the builder's isolation is oci"
    )]
    NetworkNone,
    /// A flag of an instruction that Buildah cannot fulfill.
    #[error("{flag}: {reason}; {instead}")]
    Flag {
        /// The flag as it is written.
        flag: String,
        /// Why it is not available.
        reason: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
    /// `ADD` of a Git repository.
    #[error(
        "ADD {0}: the builder fetches no Git repository; check it out in the job, and give the directory as --build-context NAME=DIRECTORY for COPY --from=NAME"
    )]
    GitSource(String),
    /// A predefined ARG has another default.
    #[error(
        "ARG {name}={value}: the builder sets {name}, and a default of its own for one stage is not available here; use another name for the argument"
    )]
    PredefinedArg {
        /// The name of the argument.
        name: String,
        /// Its default.
        value: String,
    },
    /// The ranges of EXPOSE are too large.
    #[error("the ranges of EXPOSE come to more than {MAX_PORTS} ports")]
    TooManyPorts,
    /// The changes come to more than a build may have.
    #[error(
        "the values of the variables in this file come to more than {0} MiB; write shorter values, or the text without variables"
    )]
    TooManyChanges(usize),
    /// A change of the text would change its instructions.
    #[error(
        "for Buildah, a variable or an escape of this instruction or of the one before would begin or end an instruction or a here-document; write the text without it"
    )]
    Structure,
    /// A line ends with several escape characters.
    #[error(
        "the line ends with several {0}; Docker reads them as text, and Buildah continues the line; put the text into quotes, or into a variable"
    )]
    LineEnd(char),
    /// A flag begins or ends within a character.
    #[error(
        "a flag ends within a character, because Buildah takes the bytes 85 and A0 for spaces; write a plain space between the flags, and no character with such a byte in them"
    )]
    FlagWithinCharacter,
    /// A line is not UTF-8, and is more than a comment, or the text has to change.
    #[error("the file is not UTF-8; convert it, for example with iconv")]
    Encoding,
    /// An image's name is invalid.
    #[error(transparent)]
    Image(#[from] InvalidReference),
}

impl Problem {
    /// Rejects a flag that an instruction does not have.
    pub(crate) fn unknown_flag(flag: &str) -> Self {
        Self::Flag {
            flag: flag.to_owned(),
            reason: "Buildah does not know the flag here",
            instead: "remove it",
        }
    }
}

/// Why a word cannot be expanded.
#[derive(Debug, Error)]
pub enum ExpansionProblem {
    /// The result is too long.
    #[error("it comes to more than {} KiB", MAX_WORD / 1024)]
    TooLong,
    /// The word ends before this character.
    #[error("a {0} is missing")]
    Missing(char),
    /// A quote is open at the end.
    #[error("a quote is not closed")]
    Quote,
    /// `${NAME…}` has a form that is not read.
    #[error(
        "the builder has to know the image's name before the build, and reads ${{NAME}}, ${{NAME:-default}} and ${{NAME:+other}} only; give the whole name in a --build-arg"
    )]
    Modifier,
}
