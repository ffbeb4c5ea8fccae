//! Reads command lines as the Go package pflag reads them.
//!
//! The forms are `--flag=value`, `--flag value`, grouped letters (`-aqf value`, `-fvalue`, `-f=value`) and `--` as the end of
//! the flags. A flag that is in no table does not exist, and there are no abbreviations.
//! Source: <https://pkg.go.dev/github.com/spf13/pflag>.

pub mod csv;

/// One flag of a command. `P` is its policy: what becomes of it, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag<P> {
    /// The long name, without dashes.
    pub long: &'static str,
    /// The letter of the short form.
    pub short: Option<char>,
    /// Whether the flag takes a value.
    pub arity: FlagArity,
    /// What becomes of the flag.
    pub policy: P,
}

/// Whether a flag takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagArity {
    /// The flag is on or off. `=true` and `=false` may follow it.
    Switch,
    /// The flag takes one value, after `=` or as the next argument.
    Value,
    /// The flag takes a value after `=` only. Without it, the flag has this value (pflag's `NoOptDefVal`).
    Optional(&'static str),
}

/// Which arguments belong to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopAt {
    /// All arguments. Flags and positional arguments may be mixed.
    End,
    /// The flags before the first positional argument. All arguments from there on are positional.
    FirstPositional,
}

/// A flag of the command line and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue<P: 'static> {
    /// The flag.
    pub flag: &'static Flag<P>,
    /// The value. A switch has `true` or `false`.
    pub value: String,
}

impl<P> FlagValue<P> {
    /// Returns the flag as one argument, `--name=value`, that has only one reading.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("--{}={}", self.flag.long, self.value)
    }
}

/// A command line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<P: 'static> {
    /// The flags, in the order of the command line.
    pub flags: Vec<FlagValue<P>>,
    /// The positional arguments, in order.
    pub positional: Vec<String>,
}

impl<P> Default for Parsed<P> {
    fn default() -> Self {
        Self {
            flags: Vec::new(),
            positional: Vec::new(),
        }
    }
}

impl<P> Parsed<P> {
    /// Returns all values of a flag, in order.
    pub fn values<'a>(&'a self, long: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let flags = self.flags.iter().filter(move |flag| flag.flag.long == long);
        flags.map(|flag| flag.value.as_str())
    }

    /// Returns the last value of a flag. It is the effective one.
    #[must_use]
    pub fn last(&self, long: &str) -> Option<&str> {
        let mut flags = self.flags.iter().filter(|flag| flag.flag.long == long);
        flags.next_back().map(|flag| flag.value.as_str())
    }

    /// Returns whether a switch is on.
    #[must_use]
    pub fn on(&self, long: &str) -> bool {
        self.last(long) == Some("true")
    }
}

/// Why a command line cannot be read. `flag` is the flag as the user wrote it, with its dashes and without a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The flag is in no table.
    #[error("unknown flag {flag}")]
    Unknown {
        /// The flag.
        flag: String,
    },
    /// The flag needs a value and is the last argument.
    #[error("{flag} needs a value")]
    MissingValue {
        /// The flag.
        flag: String,
    },
    /// The value of a switch is not a boolean.
    #[error("{flag} is a switch, and {value:?} is neither true nor false")]
    NotBoolean {
        /// The flag.
        flag: String,
        /// The value.
        value: String,
    },
    /// The value contains a NUL byte, which no argument of a process can contain.
    #[error("a NUL byte in the value of {flag}")]
    Nul {
        /// The flag.
        flag: String,
    },
}

/// Reads a command line with the flags of these tables. The first table that has a flag decides.
///
/// # Errors
/// [`ParseError`] for the first flag that is unknown or has no valid value.
pub fn parse<P>(
    tables: &[&'static [Flag<P>]],
    arguments: &[String],
    stop: StopAt,
) -> Result<Parsed<P>, ParseError> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.positional.extend(rest.by_ref().cloned());
        } else if let Some(long) = argument.strip_prefix("--") {
            let (name, glued) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let shown = format!("--{name}");
            let flag = find(tables, &shown, |flag| flag.long == name)?;
            parsed
                .flags
                .push(with_value(flag, &shown, glued, &mut rest)?);
        } else if argument.len() > 1 && argument.starts_with('-') {
            parse_letters(tables, argument, &mut rest, &mut parsed.flags)?;
        } else {
            parsed.positional.push(argument.clone());
            if stop == StopAt::FirstPositional {
                parsed.positional.extend(rest.by_ref().cloned());
            }
        }
    }
    Ok(parsed)
}

type Rest<'a> = std::slice::Iter<'a, String>;

/// Reads one argument with one or more letters. The last of them may carry its value.
fn parse_letters<P>(
    tables: &[&'static [Flag<P>]],
    argument: &str,
    rest: &mut Rest<'_>,
    flags: &mut Vec<FlagValue<P>>,
) -> Result<(), ParseError> {
    let mut letters = argument[1..].chars();
    while let Some(letter) = letters.next() {
        let shown = format!("-{letter}");
        let flag = find(tables, &shown, |flag| flag.short == Some(letter))?;
        let after = letters.as_str();
        let glued = after.strip_prefix('=').or(match flag.arity {
            FlagArity::Value if !after.is_empty() => Some(after),
            _ => None,
        });
        flags.push(with_value(flag, &shown, glued, rest)?);
        if glued.is_some() {
            break;
        }
    }
    Ok(())
}

fn find<P>(
    tables: &[&'static [Flag<P>]],
    shown: &str,
    is: impl Fn(&Flag<P>) -> bool,
) -> Result<&'static Flag<P>, ParseError> {
    let mut flags = tables.iter().flat_map(|table| table.iter());
    flags
        .find(|flag| is(flag))
        .ok_or_else(|| ParseError::Unknown {
            flag: shown.to_owned(),
        })
}

fn with_value<P>(
    flag: &'static Flag<P>,
    shown: &str,
    glued: Option<&str>,
    rest: &mut Rest<'_>,
) -> Result<FlagValue<P>, ParseError> {
    let shown = || shown.to_owned();
    let value = match (flag.arity, glued) {
        (FlagArity::Switch, None) => "true".to_owned(),
        (FlagArity::Switch, Some(text)) => match parse_bool(text) {
            Some(on) => on.to_string(),
            None => {
                return Err(ParseError::NotBoolean {
                    flag: shown(),
                    value: text.to_owned(),
                });
            }
        },
        (_, Some(text)) => text.to_owned(),
        (FlagArity::Optional(default), None) => default.to_owned(),
        (FlagArity::Value, None) => match rest.next() {
            Some(next) => next.clone(),
            None => return Err(ParseError::MissingValue { flag: shown() }),
        },
    };
    if value.contains('\0') {
        return Err(ParseError::Nul { flag: shown() });
    }
    Ok(FlagValue { flag, value })
}

/// Reads a boolean as Go's `strconv.ParseBool` does. Returns `None` for any other word.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn flag(long: &'static str, short: Option<char>, arity: FlagArity) -> Flag<()> {
        Flag {
            long,
            short,
            arity,
            policy: (),
        }
    }

    const TABLE: &[Flag<()>] = &[
        flag("tag", Some('t'), FlagArity::Value),
        flag("quiet", Some('q'), FlagArity::Switch),
        flag("pull", None, FlagArity::Optional("true")),
    ];

    fn read(arguments: &[&str], stop: StopAt) -> Result<String, ParseError> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let parsed = parse(&[TABLE], &arguments, stop)?;
        let flags: Vec<String> = parsed.flags.iter().map(FlagValue::argument).collect();
        Ok(format!(
            "{} -- {}",
            flags.join(" "),
            parsed.positional.join(" ")
        ))
    }

    #[test]
    fn a_command_ends_its_flags_only_if_it_is_to_stop_there() {
        let line = ["-q", "push", "-t", "x", "--", "-q"];
        assert_eq!(
            read(&line, StopAt::End).unwrap(),
            "--quiet=true --tag=x -- push -q"
        );
        assert_eq!(
            read(&line, StopAt::FirstPositional).unwrap(),
            "--quiet=true -- push -t x -- -q"
        );
    }

    #[test]
    fn an_optional_value_is_never_the_next_argument() {
        assert_eq!(
            read(&["--pull", "x"], StopAt::End).unwrap(),
            "--pull=true -- x"
        );
        assert_eq!(
            read(&["--pull=never"], StopAt::End).unwrap(),
            "--pull=never -- "
        );
    }

    #[test]
    fn an_error_names_the_flag_as_it_was_written() {
        for (argument, message) in [
            ("--nope=1", "unknown flag --nope"),
            ("-qz", "unknown flag -z"),
            ("-t", "-t needs a value"),
            (
                "--quiet=maybe",
                "--quiet is a switch, and \"maybe\" is neither true nor false",
            ),
            ("--tag=a\0b", "a NUL byte in the value of --tag"),
        ] {
            let error = read(&[argument], StopAt::End).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
