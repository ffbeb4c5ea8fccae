//! A command line of Buildah as a value. It is rendered once, when the operation starts.

use std::fmt;

use super::flags::FlagValue;

/// One flag with its value. It is rendered as a single argument, so that Buildah cannot read it in another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlagArgument {
    name: &'static str,
    value: String,
}

impl FlagArgument {
    /// Creates `--name=value`.
    pub(crate) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
        }
    }
}

impl fmt::Display for FlagArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}={}", self.name, self.value)
    }
}

impl From<&FlagValue> for FlagArgument {
    fn from(value: &FlagValue) -> Self {
        Self::new(value.flag.long, value.value.as_str())
    }
}

/// `buildah [GLOBAL] VERB [FLAGS] [-- POSITIONAL]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BuildahCommand {
    /// Flags before the verb.
    pub global: Vec<FlagArgument>,
    /// The verb, such as `build` or `manifest push`. Empty for `buildah --version` and the like.
    pub verb: &'static str,
    /// Flags after the verb. The last one of a name counts.
    pub flags: Vec<FlagArgument>,
    /// Arguments that are not flags.
    pub positional: Vec<String>,
}

impl BuildahCommand {
    /// Creates a command with its verb only.
    pub(crate) fn new(verb: &'static str) -> Self {
        Self {
            verb,
            ..Self::default()
        }
    }

    /// Returns the arguments of the program. `--` stands before positional ones, so that none is read as a flag.
    pub(crate) fn render(&self) -> Vec<String> {
        let mut arguments: Vec<String> = self.global.iter().map(ToString::to_string).collect();
        arguments.extend(self.verb.split_whitespace().map(str::to_owned));
        arguments.extend(self.flags.iter().map(ToString::to_string));
        if !self.positional.is_empty() {
            arguments.push("--".to_owned());
            arguments.extend(self.positional.iter().cloned());
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_each_part_in_its_place() {
        let command = BuildahCommand {
            global: vec![FlagArgument::new("root", "/x")],
            verb: "manifest push",
            flags: vec![FlagArgument::new("all", "true")],
            positional: vec!["--rm".to_owned(), "a b".to_owned()],
        };
        let rendered = [
            "--root=/x",
            "manifest",
            "push",
            "--all=true",
            "--",
            "--rm",
            "a b",
        ];
        assert_eq!(command.render(), rendered);
    }

    #[test]
    fn renders_nothing_for_missing_parts() {
        assert_eq!(BuildahCommand::new("images").render(), ["images"]);
        assert!(BuildahCommand::new("").render().is_empty());
    }
}
