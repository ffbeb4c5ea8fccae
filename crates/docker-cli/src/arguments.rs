//! Reads command lines with Docker's flags, and applies the policy of each flag.

use pflag::{FlagArity, ParseError, StopAt};

use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy};

/// A verb's command line, taken apart.
pub(super) type Parsed = pflag::Parsed<FlagPolicy>;

/// Reads the command line of `command`. The error messages are those of Docker's own pflag.
pub(super) fn parse(
    command: &str,
    flags: &[&'static [Flag]],
    arguments: &[String],
    stop: StopAt,
) -> Result<Parsed, TranslateError> {
    pflag::parse(flags, arguments, stop).map_err(|error| {
        let message = match error {
            ParseError::MissingValue { flag } => format!("flag needs an argument: {flag}"),
            ParseError::NotBoolean { flag, value } => {
                format!("{flag}={value}: expected true or false")
            }
            error => error.to_string(),
        };
        TranslateError::usage(command, &message)
    })
}

/// Returns the flags that go to Buildah as they are or under another name.
pub(super) fn passed(parsed: &Parsed) -> Vec<String> {
    let mut passed = Vec::new();
    for value in &parsed.flags {
        let name = match value.flag.policy {
            FlagPolicy::Passed => value.flag.long,
            FlagPolicy::Renamed(name) => name,
            _ => continue,
        };
        passed.push(match (value.flag.arity, value.value.as_str()) {
            (FlagArity::Switch, "true") => format!("--{name}"),
            (_, value) => format!("--{name}={value}"),
        });
    }
    passed
}

/// Returns a notice for each flag that is left out.
///
/// # Errors
/// [`TranslateError`] for a flag that is not available. A switch with the value `false` is accepted.
pub(super) fn notices(parsed: &Parsed, command: &str) -> Result<Vec<String>, TranslateError> {
    let mut notices = Vec::new();
    for value in &parsed.flags {
        let flag = value.flag;
        if flag.arity == FlagArity::Switch && value.value == "false" {
            continue;
        }
        match flag.policy {
            FlagPolicy::NotAvailable(because, instead) => {
                let what = format!("{command} --{}", flag.long);
                return Err(TranslateError::not_available(&what, because, instead));
            }
            FlagPolicy::Ignored(why) => {
                let notice = format!("{command}: --{} is left out: {why}", flag.long);
                if !notices.contains(&notice) {
                    notices.push(notice);
                }
            }
            _ => {}
        }
    }
    Ok(notices)
}

#[cfg(test)]
mod tests {
    use super::super::flag_specs::{FlagPolicy, switch, value};
    use super::*;

    const FLAGS: &[Flag] = &[
        value("tag", Some('t'), FlagPolicy::Passed),
        value("file", Some('f'), FlagPolicy::Renamed("containerfile")),
        switch("quiet", Some('q'), FlagPolicy::Passed),
        switch("push", None, FlagPolicy::Handled("")),
        switch("odd", None, FlagPolicy::Ignored("it is odd")),
        switch("bad", None, FlagPolicy::NotAvailable("it is bad", "good")),
    ];

    fn read(line: &str) -> Result<Parsed, TranslateError> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse("docker x", &[FLAGS], &arguments, StopAt::End)
    }

    #[test]
    fn every_form_of_a_flag_is_read() {
        for line in ["--tag=a", "--tag a", "-t a", "-ta", "-t=a", "-qta", "-qt a"] {
            assert_eq!(read(line).unwrap().last("tag"), Some("a"), "{line}");
        }
        for (line, on) in [
            ("--push", true),
            ("--push=false", false),
            ("--push=0", false),
            ("", false),
        ] {
            assert_eq!(read(line).unwrap().on("push"), on, "{line}");
        }
        assert!(read("-qta").unwrap().on("quiet"));
        assert!(!read("-q=false").unwrap().on("quiet"));
    }

    #[test]
    fn positional_arguments_mix_with_flags_and_follow_two_dashes() {
        let parsed = read("a -t b - -- --tag c").unwrap();
        assert_eq!(parsed.positional, ["a", "-", "--tag", "c"]);
        assert_eq!(parsed.last("tag"), Some("b"));
    }

    #[test]
    fn flags_are_passed_on_with_buildahs_names() {
        let parsed = read("-f -x --tag --push -q --quiet=false .").unwrap();
        assert_eq!(
            passed(&parsed),
            [
                "--containerfile=-x",
                "--tag=--push",
                "--quiet",
                "--quiet=false"
            ]
        );
    }

    #[test]
    fn ignored_and_unavailable_flags_are_reported() {
        let notes = notices(&read("--odd --odd").unwrap(), "docker x").unwrap();
        assert_eq!(notes, ["docker x: --odd is left out: it is odd"]);
        assert!(
            notices(&read("--odd=false --bad=false").unwrap(), "docker x")
                .unwrap()
                .is_empty()
        );
        let refused = notices(&read("--bad").unwrap(), "docker x").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "docker x --bad is not available, because it is bad; use good"
        );
    }

    #[test]
    fn an_error_names_the_mistake() {
        for (line, expected) in [
            ("--nope=1", "unknown flag --nope"),
            ("-z", "unknown flag -z"),
            ("--tag", "flag needs an argument: --tag"),
            ("--push=maybe", "expected true or false"),
        ] {
            let text = read(line).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
