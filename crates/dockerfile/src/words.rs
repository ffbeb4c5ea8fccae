//! Words of an instruction: its flags, and variables in a word.
//!
//! Source: openshift/imagebuilder, `split_command.go`, `line_parsers.go` and `shell_parser.go`.

use std::iter::Peekable;
use std::str::Chars;

/// What separates words, except between flags.
pub(super) fn is_blank(letter: char) -> bool {
    matches!(letter, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// The flags that arguments begin with, and what follows them. Goes by bytes, as Buildah does.
pub(super) fn flags(line: &str) -> (Vec<String>, String) {
    let bytes = line.as_bytes();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).copied().is_some_and(is_space) {
            at += 1;
        }
        if !bytes[at..].starts_with(b"--") {
            return (found, text(&bytes[at..]));
        }
        let (word, quoted, after) = flag(bytes, at);
        at = after;
        if word == "--" {
            return (found, text(&bytes[at..]));
        }
        if quoted || !word.is_empty() {
            found.push(word);
        }
    }
}

/// The flag that begins at `at`, whether it has quotes, and where it ends.
fn flag(bytes: &[u8], mut at: usize) -> (String, bool, usize) {
    let (mut word, mut quote, mut quoted) = (String::new(), None, false);
    while let Some(&byte) = bytes.get(at) {
        match (byte, quote) {
            (byte, None) if is_space(byte) => break,
            (b'\'' | b'"', None) => (quote, quoted) = (Some(byte), true),
            (byte, Some(open)) if byte == open => quote = None,
            (b'\\', _) => {
                at += 1;
                word.extend(bytes.get(at).map(|&byte| char::from(byte)));
            }
            _ => word.push(char::from(byte)),
        }
        at += 1;
    }
    (word, quoted, at.min(bytes.len()))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0x85 | 0xa0)
}

/// Words of an ARG, their quotes and escapes kept.
pub(super) fn quoted(rest: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (letter, None) if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            _ => {}
        }
        word.push(letter);
        if letter == '\\' && quote != Some('\'') {
            word.extend(letters.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A word with its variables replaced, its quotes and escapes removed.
pub(super) fn expand(word: &str, value: &dyn Fn(&str) -> String) -> Result<String, String> {
    let braces = word.matches("${").count();
    if braces > DEPTH {
        return Err(format!("a word with more than {DEPTH} variables in braces"));
    }
    let mut letters = word.chars().peekable();
    until(&mut letters, None, value).map_err(|problem| {
        let beginning: String = word.chars().take(100).collect();
        format!("{beginning}: {problem}")
    })
}

/// As many braces may be in each other: each takes some of the stack.
pub(super) const DEPTH: usize = 100;

type Letters<'a> = Peekable<Chars<'a>>;
type Value<'a> = &'a dyn Fn(&str) -> String;

/// The most that a word becomes, in bytes: variables of variables of variables would fill all memory.
const LONG: usize = 64 * 1024;

fn short(text: String) -> Result<String, String> {
    match text.len() > LONG {
        true => Err(format!("it comes to more than {} KiB", LONG / 1024)),
        false => Ok(text),
    }
}

fn until(
    letters: &mut Letters<'_>,
    stop: Option<char>,
    value: Value<'_>,
) -> Result<String, String> {
    let mut result = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == stop => return Ok(result),
            '\'' => result += &single(letters)?,
            '"' => result = short(result + &double(letters, value)?)?,
            '$' => result = short(result + &variable(letters, value)?)?,
            '\\' => result.extend(letters.next()),
            letter => result.push(letter),
        }
    }
    match stop {
        Some(stop) => Err(format!("a {stop} is missing")),
        None => Ok(result),
    }
}

fn single(letters: &mut Letters<'_>) -> Result<String, String> {
    let mut result = String::new();
    for letter in letters {
        match letter {
            '\'' => return Ok(result),
            letter => result.push(letter),
        }
    }
    Err("a quote is not closed".to_owned())
}

fn double(letters: &mut Letters<'_>, value: Value<'_>) -> Result<String, String> {
    let mut result = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Ok(result),
            '$' => result = short(result + &variable(letters, value)?)?,
            '\\' => match letters.next_if(|next| matches!(next, '"' | '$' | '\\')) {
                Some(escaped) => result.push(escaped),
                None => result.push('\\'),
            },
            letter => result.push(letter),
        }
    }
    Err("a quote is not closed".to_owned())
}

/// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}` and `${NAME:?error}`, after the dollar sign.
fn variable(letters: &mut Letters<'_>, value: Value<'_>) -> Result<String, String> {
    if letters.next_if_eq(&'{').is_none() {
        let name = name(letters);
        return Ok(match name.is_empty() {
            true => "$".to_owned(),
            false => value(&name),
        });
    }
    let found = value(&name(letters));
    match letters.next() {
        Some('}') => Ok(found),
        Some(':') => {
            let modifier = letters.next();
            let word = until(letters, Some('}'), value)?;
            match modifier {
                Some('-' | '?') if found.is_empty() => Ok(word),
                Some('-' | '?') => Ok(found),
                Some('+') if found.is_empty() => Ok(found),
                Some('+') => Ok(word),
                _ => Err(UNKNOWN.to_owned()),
            }
        }
        _ => Err(UNKNOWN.to_owned()),
    }
}

const UNKNOWN: &str = "the builder has to know which image is meant before the build, and reads ${NAME}, ${NAME:-default} and ${NAME:+other} only; give the whole name in a --build-arg";

/// A digit alone, or letters, digits and `_`.
fn name(letters: &mut Letters<'_>) -> String {
    if let Some(digit) = letters.next_if(char::is_ascii_digit) {
        return digit.to_string();
    }
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|next| next.is_alphanumeric() || *next == '_') {
        name.push(letter);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_what_comes_first_without_its_quotes() {
        let read = |line: &str| {
            let (flags, rest) = flags(line);
            format!("{}|{rest}", flags.join(" "))
        };
        assert_eq!(read("--a=b  --c d --e"), "--a=b --c|d --e");
        assert_eq!(read("--a=\"b c\" --d='e\"f' g"), "--a=b c --d=e\"f|g");
        assert_eq!(read("--\"from\"=x y"), "--from=x|y");
        assert_eq!(read("--fr\\om=x y"), "--from=x|y");
        assert_eq!(read("--a -- --b"), "--a| --b");
        assert_eq!(read("-a --b"), "|-a --b");
        assert_eq!(read("--a=\"b"), "--a=b|");
        assert_eq!(read("--a=b\\"), "--a=b|");
        // Half of a no-break space is a space to Buildah.
        assert_eq!(read("--a\u{a0}--b c"), "--a\u{c2} --b|c");
    }

    #[test]
    fn variables_are_replaced_as_a_shell_would() {
        let value = |name: &str| match name {
            "A" => "x".to_owned(),
            "B" => "y z".to_owned(),
            _ => String::new(),
        };
        for (word, wanted) in [
            ("a$A-${A}", "ax-x"),
            ("${N:-d$A}${A:-d}", "dxx"),
            ("${A:+o}${N:+o}", "o"),
            ("${N:?e}", "e"),
            ("'$A'\"$B\"\\$A", "$Ay z$A"),
            ("\"a\\b\\\"\"", "a\\b\""),
            ("$", "$"),
            ("$1a", "a"),
        ] {
            assert_eq!(expand(word, &value).unwrap(), wanted, "{word}");
        }
        for word in [
            "${A", "${A#x}", "${A/x/y}", "${A-x}", "'a", "\"a", "${A:=x}",
        ] {
            assert!(expand(word, &value).is_err(), "{word}");
        }
        assert!(expand(&"${A:-".repeat(100_000), &value).is_err());
        for word in ["$A", "\"$A\"", "${N:-$A}"] {
            let long = |_: &str| "x".repeat(LONG);
            assert_eq!(expand("$A", &long).unwrap().len(), LONG);
            assert!(expand(&word.repeat(100_000), &long).is_err(), "{word}");
        }
        assert_eq!(
            quoted("A='b c' D=\"e f\\\" g\" h\\ i"),
            ["A='b c'", "D=\"e f\\\" g\"", "h\\ i"]
        );
    }
}
