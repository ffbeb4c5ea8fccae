//! Flags of Buildah: what the builder does with each, and the command line read with them.
//!
//! The crate `pflag` reads the forms of a command line. This file rejects the flags that are not available.

use super::rejected::Rejected;
use pflag::{ParseError, StopAt};

/// One flag of Buildah and what the builder does with it.
pub(crate) type Flag = pflag::Flag<FlagPolicy>;
/// A flag of Buildah with its value.
pub(crate) type FlagValue = pflag::FlagValue<FlagPolicy>;
/// A command line of Buildah, taken apart.
pub(crate) type Parsed = pflag::Parsed<FlagPolicy>;

/// What the builder does with a flag. The text is the reason, for docs/builds.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlagPolicy {
    /// The flag goes to Buildah as it is.
    Pass(&'static str),
    /// The planner checks the value and writes a new flag.
    Check(&'static str),
    /// The flag is not available.
    Refuse(&'static str),
}

/// Reads a command line. With [`StopAt::FirstPositional`], the first word that is not a flag and all after it are positional.
///
/// # Errors
/// [`Rejected`] for a flag that is unknown, refused or malformed.
pub(crate) fn parse(
    tables: &[&'static [Flag]],
    arguments: &[String],
    stop: StopAt,
) -> Result<Parsed, Rejected> {
    let parsed = pflag::parse(tables, arguments, stop).map_err(|error| match error {
        ParseError::Unknown { flag } => Rejected::UnknownFlag(flag),
        error => Rejected::Flag(error),
    })?;
    for value in &parsed.flags {
        if let FlagPolicy::Refuse(reason) = value.flag.policy {
            let flag = value.flag.long;
            return Err(Rejected::RefusedFlag { flag, reason });
        }
    }
    Ok(parsed)
}

/// Returns the flags that go to Buildah as they are.
pub(crate) fn passed(parsed: &Parsed) -> impl Iterator<Item = &FlagValue> {
    let passed = |value: &&FlagValue| matches!(value.flag.policy, FlagPolicy::Pass(_));
    parsed.flags.iter().filter(passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pflag::FlagArity;

    const TABLE: &[Flag] = &[
        Flag {
            long: "tag",
            short: Some('t'),
            arity: FlagArity::Value,
            policy: FlagPolicy::Pass(""),
        },
        Flag {
            long: "quiet",
            short: Some('q'),
            arity: FlagArity::Switch,
            policy: FlagPolicy::Pass(""),
        },
        Flag {
            long: "pull",
            short: None,
            arity: FlagArity::Optional("true"),
            policy: FlagPolicy::Pass(""),
        },
        Flag {
            long: "cap-add",
            short: Some('C'),
            arity: FlagArity::Value,
            policy: FlagPolicy::Refuse("no"),
        },
    ];

    fn read(arguments: &[&str]) -> Result<String, Rejected> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let parsed = parse(&[TABLE], &arguments, StopAt::End)?;
        let flags: Vec<String> = parsed.flags.iter().map(FlagValue::argument).collect();
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
