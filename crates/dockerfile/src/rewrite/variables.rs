//! Rewrites ARG, ENV and EXPOSE.

use super::super::error::{MAX_PORTS, Problem};
use super::super::expansion;
use super::super::lexer::Instruction;
use super::Rewriter;
use super::ports::{Exposed, Port, range};
use super::scope::{PREDEFINED, UNSET};
use super::words::{self, Edit};

impl Rewriter<'_> {
    /// Reads ARG. A value of `--build-arg` makes the default unimportant, whatever its form.
    pub(super) fn arg(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        let rest = &instruction.rest;
        for span in expansion::word_spans(rest) {
            let word = &rest[span.clone()];
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (word, None),
            };
            let name = words::expand(name, self.scope())?.value.unwrap_or_default();
            settable(&name)?;
            let given = self.options.build.build_args.get(&name).cloned();
            let after_name = word.find('=').map(|at| span.start + at..span.end);
            let (Some(default), Some(after_name)) = (default, after_name) else {
                self.bare_arg(&name, given)?;
                continue;
            };
            if PREDEFINED.contains(&name.as_str()) {
                let value = words::expand(default, self.scope())?.value;
                self.edits
                    .push((instruction.span(after_name), String::new()));
                self.predefined_arg(&name, given, value.unwrap_or_else(|| default.to_owned()))?;
                continue;
            }
            if let Some(given) = given {
                if default.contains('$') {
                    self.edits
                        .push((instruction.span(after_name), String::new()));
                }
                self.scope_mut().set_argument(&name, Some(given));
                continue;
            }
            let expanded = words::expand(default, self.scope())?;
            let start = after_name.start + 1;
            let shifted = |(part, text): Edit| (part.start + start..part.end + start, text);
            // Buildah hands the text of an ARG to a later stage, and not its value.
            let value = expanded.value.as_ref().filter(|value| is_plain(value));
            let value = value.filter(|value| *value != default && !self.stages.is_empty());
            let edits = match value {
                Some(value) => vec![(start..after_name.end, value.clone())],
                None => expanded.edits.into_iter().map(shifted).collect(),
            };
            self.edit(instruction, edits)?;
            self.scope_mut().set_argument(&name, expanded.value);
        }
        Ok(())
    }

    /// Declares an ARG without a default. In a stage it has the value of the ARG before the first FROM.
    fn bare_arg(&mut self, name: &str, given: Option<String>) -> Result<(), Problem> {
        let predefined = PREDEFINED.contains(&name);
        if predefined && given.is_none() {
            self.use_predefined(name, None)?;
        }
        let value = match given {
            Some(given) => Some(Some(given)),
            None if self.stages.is_empty() => None,
            None => self.global.argument(name).cloned(),
        };
        if let Some(value) = value {
            self.scope_mut().set_argument(name, value);
        }
        Ok(())
    }

    /// Declares a predefined ARG with a default, which Buildah ignores or refuses. BuildKit takes it.
    fn predefined_arg(
        &mut self,
        name: &str,
        given: Option<String>,
        default: String,
    ) -> Result<(), Problem> {
        let own = self.options.build.predefined.get(name);
        let same = own == Some(&default);
        if given.is_none() && !same {
            // Buildah reads `--build-arg TARGETPLATFORM` as a platform of the build.
            let settable = !name.ends_with("PLATFORM") && !self.stages.is_empty();
            if !settable {
                return Err(Problem::PredefinedArg {
                    name: name.to_owned(),
                    value: default,
                });
            }
            self.use_predefined(name, Some(default.clone()))?;
            let arguments = &mut self.result.build_args;
            arguments.insert(name.to_owned(), default.clone());
        } else if given.is_none() {
            self.use_predefined(name, None)?;
        }
        self.scope_mut().set_argument(name, given.or(Some(default)));
        Ok(())
    }

    /// Notes how a stage, or a FROM, uses a predefined variable. `--build-arg` is for all of them, so they have to agree.
    fn use_predefined(&mut self, name: &str, value: Option<String>) -> Result<(), Problem> {
        let before = self.predefined.insert(name.to_owned(), value.clone());
        match before {
            Some(before) if before != value => Err(Problem::PredefinedArg {
                name: name.to_owned(),
                value: before.or(value).unwrap_or_default(),
            }),
            _ => Ok(()),
        }
    }

    /// Reads `ENV NAME=VALUE …` or `ENV NAME VALUE`.
    pub(super) fn env(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        let rest = &instruction.rest;
        let spans = expansion::word_spans(rest);
        let Some(first) = spans.first() else {
            return Ok(());
        };
        let mut values = Vec::new();
        if rest[first.clone()].contains('=') {
            for span in spans {
                let (name, value) = rest[span.clone()].split_once('=').unwrap_or_default();
                let value = words::expand(value, self.scope())?.value;
                values.push((name.to_owned(), value));
            }
        } else {
            let value = words::expand(rest[first.end..].trim(), self.scope())?.value;
            values.push((rest[first.clone()].to_owned(), value));
        }
        for (name, _) in &values {
            let name = words::expand(name, self.scope())?.value;
            settable(&name.unwrap_or_default())?;
        }
        self.substitute(instruction)?;
        for (name, value) in values {
            self.scope_mut().set_environment(&name, value);
        }
        Ok(())
    }

    /// Reads EXPOSE. Buildah takes a range for one port, and leaves out a port that another EXPOSE has with another protocol.
    pub(super) fn expose(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        self.substitute(instruction)?;
        let rest = &instruction.rest;
        let mut ports = Vec::new();
        for span in expansion::word_spans(rest) {
            if let Some(range) = range(&rest[span.clone()]) {
                self.ranges += range.len();
                if self.ranges > MAX_PORTS {
                    return Err(Problem::TooManyPorts);
                }
                let text = range.join(" ");
                self.edits.push((instruction.span(span), text));
                ports.extend(range);
            } else {
                ports.push(rest[span].to_owned());
            }
        }
        let ports: Vec<Port> = ports.iter().filter_map(|port| Port::parse(port)).collect();
        let end = instruction.span(0..rest.len()).end;
        let (file, Some(stage)) = (self.file, self.stages.last_mut()) else {
            return Ok(());
        };
        let Some(exposed) = stage
            .exposed
            .as_mut()
            .filter(|exposed| exposed.file == file)
        else {
            stage.exposed = Some(Exposed::new(file, end, &ports));
            return Ok(());
        };
        for port in ports {
            if exposed.add(&port) {
                let text = format!(" {}/{}", port.number, port.protocol);
                self.edits.push((exposed.end..exposed.end, text));
            }
        }
        Ok(())
    }
}

/// Whether a value stays as it is wherever it is put.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=,:@".contains(&byte);
    value.bytes().all(plain)
}

/// Refuses the name of the variable that has to stay unset.
fn settable(name: &str) -> Result<(), Problem> {
    if name == UNSET {
        return Err(Problem::ReservedVariable(name.to_owned()));
    }
    Ok(())
}
