//! Command lines as Docker reads them: pflag's rules, and what each flag that was found turns into.

use super::types::Unavailable;
use super::types::{Does, Flag, Takes};

/// A verb's arguments, taken apart.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    found: Vec<(&'static Flag, String)>,
    /// What is not a flag.
    pub(super) words: Vec<String>,
}

/// Which arguments belong to a command.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Until {
    /// All of them: flags and words may be mixed.
    End,
    /// Those before the first word, which is a verb.
    Word,
}

/// Takes `arguments` apart; the second value is how many were used.
pub(super) fn parse(
    command: &str,
    flags: &[&'static [Flag]],
    arguments: &[String],
    until: Until,
) -> Result<(Parsed, usize), Unavailable> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.words.extend(rest.by_ref().cloned());
        } else if let Some(long) = argument.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let flag = known(command, flags, argument, |flag| flag.long == name)?;
            let value = flag.value(command, argument, value, &mut rest)?;
            parsed.found.push((flag, value));
        } else if argument.len() > 1 && argument.starts_with('-') {
            parsed.shorts(command, flags, argument, &mut rest)?;
        } else if until == Until::Word {
            return Ok((parsed, arguments.len() - rest.len() - 1));
        } else {
            parsed.words.push(argument.clone());
        }
    }
    Ok((parsed, arguments.len()))
}

fn known(
    command: &str,
    flags: &[&'static [Flag]],
    argument: &str,
    is: impl Fn(&Flag) -> bool,
) -> Result<&'static Flag, Unavailable> {
    let flag = flags.iter().flat_map(|some| some.iter()).find(|f| is(f));
    flag.ok_or_else(|| {
        let name = argument.split('=').next().unwrap_or(argument);
        Unavailable::usage(command, &format!("unknown flag {name}"))
    })
}

type Rest<'a> = std::slice::Iter<'a, String>;

impl Flag {
    /// The value: glued, the next argument, or what a bare flag means.
    fn value(
        &self,
        command: &str,
        argument: &str,
        glued: Option<&str>,
        rest: &mut Rest<'_>,
    ) -> Result<String, Unavailable> {
        match (&self.takes, glued) {
            (Takes::Switch, Some(text)) => match truth(text) {
                Some(on) => Ok(on.to_string()),
                None => Err(Unavailable::usage(
                    command,
                    &format!("{argument}: true or false is expected"),
                )),
            },
            (Takes::Switch, None) => Ok("true".to_owned()),
            (Takes::Value, Some(text)) => Ok(text.to_owned()),
            (Takes::Value, None) => rest.next().cloned().ok_or_else(|| {
                Unavailable::usage(command, &format!("flag needs an argument: {argument}"))
            }),
        }
    }
}

impl Parsed {
    /// `-aqf value`, `-fvalue`, `-f=value`.
    fn shorts(
        &mut self,
        command: &str,
        flags: &[&'static [Flag]],
        argument: &str,
        rest: &mut Rest<'_>,
    ) -> Result<(), Unavailable> {
        for (at, letter) in argument.char_indices().skip(1) {
            let flag = known(command, flags, argument, |flag| flag.short == Some(letter))?;
            let after = &argument[at + letter.len_utf8()..];
            let glued = match (&flag.takes, after.strip_prefix('=')) {
                (_, Some(value)) => Some(value),
                (Takes::Value, None) if !after.is_empty() => Some(after),
                _ => None,
            };
            let value = flag.value(command, argument, glued, rest)?;
            self.found.push((flag, value));
            if glued.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Every value of a flag, in order.
    pub(super) fn all<'a>(&'a self, long: &'static str) -> impl Iterator<Item = &'a str> {
        let of = move |(flag, _): &&(&Flag, String)| flag.long == long;
        self.found
            .iter()
            .filter(of)
            .map(|(_, value)| value.as_str())
    }

    /// The value that counts where a flag was repeated.
    pub(super) fn last(&self, long: &'static str) -> Option<&str> {
        self.all(long).last()
    }

    /// Whether a switch is on.
    pub(super) fn on(&self, long: &'static str) -> bool {
        self.last(long) == Some("true")
    }

    /// The flags that go to Buildah as they are or under another name.
    pub(super) fn passed(&self) -> Vec<String> {
        let mut passed = Vec::new();
        for (flag, value) in &self.found {
            let name = match flag.does {
                Does::Passed => flag.long,
                Does::Renamed(name) => name,
                _ => continue,
            };
            passed.push(match (&flag.takes, value.as_str()) {
                (Takes::Switch, "true") => format!("--{name}"),
                _ => format!("--{name}={value}"),
            });
        }
        passed
    }

    /// Refuses what is not available, and says what is left out.
    pub(super) fn judge(&self, command: &str) -> Result<Vec<String>, Unavailable> {
        let mut notes = Vec::new();
        for (flag, value) in &self.found {
            if flag.takes == Takes::Switch && value == "false" {
                continue;
            }
            match flag.does {
                Does::Unavailable(because, instead) => {
                    let what = format!("{command} --{}", flag.long);
                    return Err(Unavailable::refused(&what, because, instead));
                }
                Does::Ignored(why) => {
                    let note = format!("{command}: --{} is left out: {why}", flag.long);
                    if !notes.contains(&note) {
                        notes.push(note);
                    }
                }
                _ => {}
            }
        }
        Ok(notes)
    }
}

/// The words that Go's strconv.ParseBool takes.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{Does, switch, value};
    use super::*;

    const FLAGS: &[Flag] = &[
        value("tag", Some('t'), Does::Passed),
        value("file", Some('f'), Does::Renamed("containerfile")),
        switch("quiet", Some('q'), Does::Passed),
        switch("push", None, Does::Ours("")),
        switch("odd", None, Does::Ignored("it is odd")),
        switch("bad", None, Does::Unavailable("it is bad", "good")),
    ];

    fn read(line: &str) -> Result<Parsed, Unavailable> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse("docker x", &[FLAGS], &arguments, Until::End).map(|(parsed, _)| parsed)
    }

    #[test]
    fn every_way_to_write_a_flag_is_read() {
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
    fn words_may_stand_between_flags_and_all_are_words_after_two_dashes() {
        let parsed = read("a -t b - -- --tag c").unwrap();
        assert_eq!(parsed.words, ["a", "-", "--tag", "c"]);
        assert_eq!(parsed.last("tag"), Some("b"));
    }

    #[test]
    fn flags_are_passed_on_under_buildahs_names_and_glued() {
        let parsed = read("-f -x --tag --push -q --quiet=false .").unwrap();
        assert_eq!(
            parsed.passed(),
            [
                "--containerfile=-x",
                "--tag=--push",
                "--quiet",
                "--quiet=false"
            ]
        );
    }

    #[test]
    fn nothing_is_left_out_or_refused_in_silence() {
        let notes = read("--odd --odd").unwrap().judge("docker x").unwrap();
        assert_eq!(notes, ["docker x: --odd is left out: it is odd"]);
        assert!(
            read("--odd=false --bad=false")
                .unwrap()
                .judge("docker x")
                .unwrap()
                .is_empty()
        );
        let refused = read("--bad").unwrap().judge("docker x").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "docker x --bad is not available, because it is bad; use good"
        );
    }

    #[test]
    fn a_mistake_is_named() {
        for (line, said) in [
            ("--nope=1", "unknown flag --nope"),
            ("-z", "unknown flag -z"),
            ("--tag", "flag needs an argument: --tag"),
            ("--push=maybe", "true or false is expected"),
        ] {
            let text = read(line).unwrap_err().to_string();
            assert!(text.contains(said), "{text}");
        }
    }
}
