//! Command lines as pflag reads them: `--flag=value`, `--flag value`, glued short flags, `--` as the end.
//!
//! What is not in the table does not exist. There are no abbreviations.

/// One flag and what is done with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// Its long name.
    pub long: &'static str,
    /// Its short name.
    pub short: Option<char>,
    /// Whether it takes a value.
    pub takes: Takes,
    /// What is done with it.
    pub does: Does,
}

/// Whether a flag takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// None, or `=true` and `=false`.
    Switch,
    /// Always one.
    Value,
    /// Only after `=`; else this one.
    Optional(&'static str),
}

/// What is done with a flag. The text says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// Handed on to Buildah as it is.
    Pass(&'static str),
    /// Handed on after a look at its value.
    Look(&'static str),
    /// Not available.
    Refuse(&'static str),
}

/// A flag that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its long name.
    pub name: &'static str,
    /// Its value; that of a switch is `true` or `false`.
    pub value: String,
    /// Whether its value is looked at.
    pub look: bool,
}

impl Given {
    /// The flag as it is handed on: one argument that cannot be misread.
    #[must_use]
    pub(crate) fn argument(&self) -> String {
        format!("--{}={}", self.name, self.value)
    }
}

/// A command line, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Flags in order.
    pub flags: Vec<Given>,
    /// The rest in order.
    pub positional: Vec<String>,
}

impl Parsed {
    /// The values of one flag, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let given = self.flags.iter().filter(move |given| given.name == name);
        given.map(|given| given.value.as_str())
    }

    /// The last value of one flag: the one that counts.
    #[must_use]
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        let mut given = self.flags.iter().filter(|given| given.name == name);
        given.next_back().map(|given| given.value.as_str())
    }

    /// Whether a switch is on.
    #[must_use]
    pub(crate) fn on(&self, name: &str) -> bool {
        self.last(name) == Some("true")
    }
}

/// Takes a command line apart. With `first_word`, the first word that is no flag ends it, and it and all after it are
/// positional.
///
/// # Errors
/// A sentence on the first flag that is unknown, refused or malformed.
pub(crate) fn parse(
    tables: &[&'static [Flag]],
    arguments: &[String],
    first_word: bool,
) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.positional.extend(rest.by_ref().cloned());
        } else if let Some(long) = argument.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let flag = find(tables, |flag| flag.long == name)
                .ok_or_else(|| unknown(&format!("--{name}")))?;
            let value = match (value, flag.takes) {
                (Some(value), _) => value,
                (None, Takes::Switch) => "true".to_owned(),
                (None, Takes::Optional(default)) => default.to_owned(),
                (None, Takes::Value) => needed(rest.next(), &format!("--{name}"))?,
            };
            parsed.flags.push(judged(flag, value)?);
        } else if argument.len() > 1 && argument.starts_with('-') {
            short(tables, argument, &mut rest, &mut parsed.flags)?;
        } else {
            parsed.positional.push(argument.clone());
            if first_word {
                parsed.positional.extend(rest.by_ref().cloned());
            }
        }
    }
    Ok(parsed)
}

/// One argument with one or more short flags, the last of which may carry its value.
fn short<'a>(
    tables: &[&'static [Flag]],
    argument: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    flags: &mut Vec<Given>,
) -> Result<(), String> {
    let mut letters = argument[1..].chars();
    while let Some(letter) = letters.next() {
        let name = format!("-{letter}");
        let flag = find(tables, |flag| flag.short == Some(letter)).ok_or_else(|| unknown(&name))?;
        let after = letters.as_str();
        let glued = after.strip_prefix('=').or(match flag.takes {
            Takes::Value if !after.is_empty() => Some(after),
            _ => None,
        });
        let (value, ends) = match (glued, flag.takes) {
            (Some(value), _) => (value.to_owned(), true),
            (None, Takes::Switch) => ("true".to_owned(), false),
            (None, Takes::Optional(default)) => (default.to_owned(), false),
            (None, Takes::Value) => (needed(rest.next(), &name)?, true),
        };
        flags.push(judged(flag, value)?);
        if ends {
            break;
        }
    }
    Ok(())
}

fn find(tables: &[&'static [Flag]], is: impl Fn(&Flag) -> bool) -> Option<&'static Flag> {
    tables
        .iter()
        .flat_map(|table| table.iter())
        .find(|flag| is(flag))
}

fn judged(flag: &'static Flag, value: String) -> Result<Given, String> {
    let name = flag.long;
    if let Does::Refuse(why) = flag.does {
        return Err(format!("--{name} is not available: {why}"));
    }
    // What strconv.ParseBool reads.
    let value = match (flag.takes, value.as_str()) {
        (Takes::Switch, "1" | "t" | "T" | "true" | "TRUE" | "True") => "true".to_owned(),
        (Takes::Switch, "0" | "f" | "F" | "false" | "FALSE" | "False") => "false".to_owned(),
        (Takes::Switch, _) => {
            return Err(format!(
                "--{name} is a switch, and {value:?} is neither true nor false"
            ));
        }
        _ => value,
    };
    if value.contains('\0') {
        return Err(format!("a NUL byte in the value of --{name}"));
    }
    let look = matches!(flag.does, Does::Look(_));
    Ok(Given { name, value, look })
}

fn needed(value: Option<&String>, name: &str) -> Result<String, String> {
    value
        .cloned()
        .ok_or_else(|| format!("{name} needs a value"))
}

fn unknown(name: &str) -> String {
    format!(
        "{name} is not among the flags that the builder takes for this command; docs/builds.md lists them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Flag] = &[
        Flag {
            long: "tag",
            short: Some('t'),
            takes: Takes::Value,
            does: Does::Pass(""),
        },
        Flag {
            long: "quiet",
            short: Some('q'),
            takes: Takes::Switch,
            does: Does::Pass(""),
        },
        Flag {
            long: "pull",
            short: None,
            takes: Takes::Optional("true"),
            does: Does::Pass(""),
        },
        Flag {
            long: "cap-add",
            short: Some('C'),
            takes: Takes::Value,
            does: Does::Refuse("no"),
        },
    ];

    fn read(arguments: &[&str]) -> Result<String, String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let parsed = parse(&[TABLE], &arguments, false)?;
        let flags: Vec<String> = parsed.flags.iter().map(Given::argument).collect();
        Ok(format!(
            "{} -- {}",
            flags.join(" "),
            parsed.positional.join(" ")
        ))
    }

    #[test]
    fn every_spelling_of_pflag_becomes_one() {
        for spelling in [
            &["--tag=x", "--quiet", "."][..],
            &["--tag", "x", "--quiet=1", "."],
            &["-t", "x", "-q", "."],
            &["-tx", "-q=true", "."],
            &["-t=x", "-q", "--", "."],
        ] {
            assert_eq!(
                read(spelling).unwrap(),
                "--tag=x --quiet=true -- .",
                "{spelling:?}"
            );
        }
        assert_eq!(read(&["-qt", "x"]).unwrap(), "--quiet=true --tag=x -- ");
        assert_eq!(read(&["--pull", "x"]).unwrap(), "--pull=true -- x");
        assert_eq!(read(&["--", "--cap-add=x"]).unwrap(), " -- --cap-add=x");
        assert_eq!(read(&["-t", "--cap-add"]).unwrap(), "--tag=--cap-add -- ");
        assert_eq!(read(&["-"]).unwrap(), " -- -");
    }

    #[test]
    fn nothing_is_hidden_in_a_spelling() {
        for spelling in [
            &["--cap-add=x"][..],
            &["--cap-add", "x"],
            &["-qCx"],
            &["-qC", "x"],
            &["--tag", "a", "--cap-add", "--", "x"],
            &["--cap-ad", "x"],
            &["--ta", "x"],
            &["--Tag", "x"],
            &["---tag"],
            &["-x"],
            &["--tag"],
            &["-t"],
            &["--quiet=maybe"],
            &["--tag=a\0b"],
        ] {
            assert!(read(spelling).is_err(), "{spelling:?}");
        }
    }
}
