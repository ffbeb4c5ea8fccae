//! Reads the words of an instruction: its flags, quotes and variables.
//!
//! Source: openshift/imagebuilder, `split_command.go`, `line_parsers.go` and `shell_parser.go`.

use std::iter::Peekable;
use std::ops::Range;
use std::str::Chars;

use super::error::{ExpansionProblem, MAX_BRACES, MAX_WORD, Problem};

/// Whether the letter separates words. Flags are separated by other rules.
pub(super) fn is_blank(letter: char) -> bool {
    matches!(letter, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// The flags at the beginning of the arguments.
pub(super) struct Flags {
    /// Each flag without its quotes, and the bytes that it takes.
    pub(super) flags: Vec<(String, Range<usize>)>,
    /// The text after them.
    pub(super) rest: String,
    /// Where that text begins, in bytes.
    pub(super) end: usize,
}

/// Reads the flags at the beginning of the arguments. It reads bytes, as Buildah does.
pub(super) fn flags(line: &str) -> Flags {
    let bytes = line.as_bytes();
    let until = |flags, end: usize| Flags {
        flags,
        rest: String::from_utf8_lossy(&bytes[end..]).into_owned(),
        end,
    };
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).copied().is_some_and(is_space) {
            at += 1;
        }
        if !bytes[at..].starts_with(b"--") {
            return until(found, at);
        }
        let start = at;
        let (word, quoted, after) = flag(bytes, at);
        at = after;
        if word == "--" {
            return until(found, at);
        }
        if quoted || !word.is_empty() {
            found.push((word, start..after));
        }
    }
}

/// Returns the flag that begins at `at`, whether it has quotes, and its end.
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

/// Splits an ARG into words, and keeps their quotes and escapes.
pub(super) fn split_quoted(rest: &str) -> Vec<String> {
    let spans = word_spans(rest).into_iter();
    spans.map(|span| rest[span].to_owned()).collect()
}

/// Returns the bytes of each of these words.
pub(super) fn word_spans(rest: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let (mut start, mut quote) = (None, None);
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (letter, quote) {
            (letter, None) if letter.is_whitespace() => {
                words.extend(start.take().map(|start| start..at));
                continue;
            }
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            _ => {}
        }
        start.get_or_insert(at);
        if letter == '\\' && quote != Some('\'') {
            letters.next();
        }
    }
    words.extend(start.map(|start| start..rest.len()));
    words
}

/// Replaces the variables of a word, and removes its quotes and escapes.
pub(super) fn expand(word: &str, value: &dyn Fn(&str) -> String) -> Result<String, Problem> {
    let braces = word.matches("${").count();
    if braces > MAX_BRACES {
        return Err(Problem::BraceCount);
    }
    let mut letters = word.chars().peekable();
    until(&mut letters, None, value).map_err(|problem| Problem::Expansion {
        beginning: word.chars().take(100).collect(),
        problem,
    })
}

type Letters<'a> = Peekable<Chars<'a>>;
type Value<'a> = &'a dyn Fn(&str) -> String;

type Expanded = Result<String, ExpansionProblem>;

/// Rejects a text that is too long. Variables that hold variables would fill all memory.
fn bounded(text: String) -> Expanded {
    if text.len() > MAX_WORD {
        return Err(ExpansionProblem::TooLong);
    }
    Ok(text)
}

fn until(letters: &mut Letters<'_>, stop: Option<char>, value: Value<'_>) -> Expanded {
    let mut result = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == stop => return Ok(result),
            '\'' => result += &single_quoted(letters)?,
            '"' => result = bounded(result + &double_quoted(letters, value)?)?,
            '$' => result = bounded(result + &variable(letters, value)?)?,
            '\\' => result.extend(letters.next()),
            letter => result.push(letter),
        }
    }
    match stop {
        Some(stop) => Err(ExpansionProblem::Missing(stop)),
        None => Ok(result),
    }
}

fn single_quoted(letters: &mut Letters<'_>) -> Expanded {
    let mut result = String::new();
    for letter in letters {
        match letter {
            '\'' => return Ok(result),
            letter => result.push(letter),
        }
    }
    Err(ExpansionProblem::Quote)
}

fn double_quoted(letters: &mut Letters<'_>, value: Value<'_>) -> Expanded {
    let mut result = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Ok(result),
            '$' => result = bounded(result + &variable(letters, value)?)?,
            '\\' => match letters.next_if(|next| matches!(next, '"' | '$' | '\\')) {
                Some(escaped) => result.push(escaped),
                None => result.push('\\'),
            },
            letter => result.push(letter),
        }
    }
    Err(ExpansionProblem::Quote)
}

/// Reads `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}` or `${NAME:?error}` after the dollar sign.
fn variable(letters: &mut Letters<'_>, value: Value<'_>) -> Expanded {
    if letters.next_if_eq(&'{').is_none() {
        let name = name(letters);
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        return Ok(value(&name));
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
                _ => Err(ExpansionProblem::Modifier),
            }
        }
        _ => Err(ExpansionProblem::Modifier),
    }
}

/// Reads a name: a single digit, or letters, digits and `_`.
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
    fn flags_come_first_and_lose_their_quotes() {
        let read = |line: &str| {
            let Flags { flags, rest, .. } = flags(line);
            let flags: Vec<String> = flags.into_iter().map(|(flag, _)| flag).collect();
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
        // Buildah takes the second byte of a no-break space for a space.
        assert_eq!(read("--a\u{a0}--b c"), "--a\u{c2} --b|c");
    }

    #[test]
    fn replaces_variables_as_a_shell_does() {
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
            let long = |_: &str| "x".repeat(MAX_WORD);
            assert_eq!(expand("$A", &long).unwrap().len(), MAX_WORD);
            assert!(expand(&word.repeat(100_000), &long).is_err(), "{word}");
        }
        assert_eq!(
            split_quoted("A='b c' D=\"e f\\\" g\" h\\ i"),
            ["A='b c'", "D=\"e f\\\" g\"", "h\\ i"]
        );
    }
}
