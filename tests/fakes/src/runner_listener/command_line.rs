//! The command line, and the inputs that the environment holds.

use std::collections::BTreeMap;

/// The environment as managed code sees and hands it on; the process's own block stays as it is.
pub(super) type Environment = BTreeMap<String, String>;

/// CommandLineParser.cs: commands, then `--name value` and `--flag`; what begins with one dash is no value.
#[derive(Default)]
pub(super) struct CommandLine {
    pub(super) command: String,
    pub(super) values: BTreeMap<String, String>,
    pub(super) flags: Vec<String>,
}

/// CommandSettings.cs, validOptions.
const KNOWN: [&str; 17] = [
    "auth",
    "labels",
    "name",
    "runnergroup",
    "token",
    "url",
    "work",
    "disableupdate",
    "ephemeral",
    "replace",
    "unattended",
    "no-default-labels",
    "local",
    "once",
    "jitconfig",
    "startuptype",
    "pat",
];

impl CommandLine {
    pub(super) fn parse() -> Self {
        let mut parsed = Self::default();
        let mut scope: Option<String> = None;
        for argument in std::env::args().skip(1) {
            if let Some(name) = argument.strip_prefix("--").filter(|name| !name.is_empty()) {
                parsed.flags.extend(scope.replace(name.to_owned()));
            } else if argument.starts_with('-') {
                // "Ignoring arg"
            } else if let Some(name) = scope.take() {
                parsed.values.entry(name).or_insert(argument);
            } else {
                parsed.command = argument;
            }
        }
        parsed.flags.extend(scope);
        parsed
    }

    /// CommandSettings.cs: arguments first, then ACTIONS_RUNNER_INPUT_NAME, trimmed, names in any case. All of those leave
    /// the environment, the empty ones too.
    pub(super) fn take_inputs(&mut self, environment: &mut Environment) {
        const PREFIX: &str = "ACTIONS_RUNNER_INPUT_";
        environment.retain(|name, value| {
            if !name.to_uppercase().starts_with(PREFIX) {
                return true;
            }
            let input = name[PREFIX.len()..].to_lowercase();
            let value = value.trim();
            if !value.is_empty() {
                self.values.entry(input).or_insert(value.to_owned());
            }
            false
        });
    }

    /// An unknown argument is an error message, and no more.
    pub(super) fn check(&self) {
        for name in self.values.keys().chain(&self.flags) {
            if !KNOWN.contains(&name.as_str()) {
                let command = &self.command;
                eprintln!(
                    "Unrecognized command-line input arguments for command {command}: '{name}'"
                );
            }
        }
    }

    pub(super) fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }
}
