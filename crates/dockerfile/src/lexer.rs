//! Splits a Containerfile's text into instructions, by the rules of the parser in Buildah 1.39 and 1.43.
//!
//! These rules differ from Docker's in two points. A comment or an empty line ends the directives. Two escape characters at the
//! end of a line continue it; to Docker they do not. Source: openshift/imagebuilder and moby/buildkit, `dockerfile/parser`.

use std::ops::Range;

use super::error::Problem;
use super::{expansion, heredoc};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its first line, from 1.
    pub(super) line: usize,
    /// Its name in lower case.
    pub(super) name: String,
    /// The words that begin with `--`, without quotes.
    pub(super) flags: Vec<String>,
    /// The text after the flags, without white space around it.
    pub(super) rest: String,
    /// Whether it is the trigger of an ONBUILD.
    pub(super) trigger: bool,
    /// The bytes of the file that each flag takes, quotes included.
    pub(super) flag_spans: Vec<Range<usize>>,
    /// Where the arguments begin in the file, with the first flag.
    pub(super) arguments_at: usize,
    /// Where the rest begins in the joined line.
    rest_at: usize,
    /// Which bytes of the file the joined line consists of.
    pieces: Pieces,
    /// The here-documents that follow it.
    pub(super) documents: Vec<Body>,
}

impl Instruction {
    /// Returns the bytes of the file that a part of `rest` takes. They include line continuations within the part.
    pub(super) fn span(&self, part: Range<usize>) -> Range<usize> {
        self.pieces
            .span(self.rest_at + part.start..self.rest_at + part.end)
    }
}

/// A here-document and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// The name, and how the body is read.
    pub(super) document: heredoc::Document,
    /// The bytes of the file between the instruction, or the document before, and the line that ends this one.
    pub(super) span: Range<usize>,
}

/// The parts of the file that make up a joined line: where each begins in the line and in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Pieces(Vec<(usize, usize)>);

impl Pieces {
    fn at(&self, offset: usize) -> usize {
        let after = self.0.partition_point(|(line, _)| *line <= offset);
        let piece = after.checked_sub(1).and_then(|last| self.0.get(last));
        piece.map_or(offset, |(line, file)| file + (offset - line))
    }

    fn span(&self, part: Range<usize>) -> Range<usize> {
        let start = self.at(part.start);
        match part.end.checked_sub(1).filter(|last| *last >= part.start) {
            Some(last) => start..self.at(last) + 1,
            None => start..start,
        }
    }
}

/// A problem, with the line of the instruction.
pub(super) type Fault = (usize, Problem);

/// Who reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Docker,
    Buildah,
}

/// Returns all instructions of one file, as Buildah reads it.
pub(super) fn instructions(text: &str) -> Result<Vec<Instruction>, Fault> {
    instructions_for(Reader::Buildah, text).map(|(found, _)| found)
}

/// Returns all instructions of one file, and its escape character.
pub(super) fn instructions_for(
    reader: Reader,
    text: &str,
) -> Result<(Vec<Instruction>, char), Fault> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offset = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
    let mut lines = body.lines().enumerate();
    let mut escape = Escape::new(reader);
    let mut found = Vec::new();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start();
        escape
            .directive(line)
            .map_err(|problem| (index + 1, problem))?;
        let (mut whole, mut open) = escape.continued(without_comment(line));
        let mut pieces = Pieces(vec![(0, offset(line))]);
        if !open && whole.is_empty() {
            continue;
        }
        let mut last = line;
        while open {
            let Some((_, next)) = lines.next() else { break };
            last = next;
            let bare = next.trim_start();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            let part;
            (part, open) = escape.continued(next);
            pieces.0.push((whole.len(), offset(next)));
            whole += &part;
        }
        let mut instruction = instruction_or_trigger(index + 1, &whole, pieces);
        if instruction.may_have_heredocs() {
            let documents = heredoc::documents(&whole).map_err(|problem| (index + 1, problem))?;
            let mut start = next_line(text, offset(last) + last.len());
            for document in documents {
                let end =
                    skip_heredoc(&document, &mut lines).map_err(|problem| (index + 1, problem))?;
                let span = start..offset(end);
                start = next_line(text, span.end + end.len());
                instruction.documents.push(Body { document, span });
            }
        }
        found.push(instruction);
    }
    Ok((found, escape.token))
}

/// Returns where the line after the one that ends at `end` begins.
fn next_line(text: &str, end: usize) -> usize {
    text[end..].find('\n').map_or(text.len(), |at| end + at + 1)
}

/// Skips the body of a here-document, whose lines are not instructions, and returns the line that ends it.
fn skip_heredoc<'a>(
    document: &heredoc::Document,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<&'a str, Problem> {
    lines
        .map(|(_, line)| line)
        .find(|line| document.ends_at(line))
        .ok_or_else(|| Problem::HeredocUnterminated(document.name.clone()))
}

fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line }
}

/// Reads the instruction in `line` that begins at `at`.
fn instruction(number: usize, line: &str, at: usize, pieces: Pieces) -> Instruction {
    let whole = line[at..].trim();
    let offset = |part: &str| part.as_ptr() as usize - line.as_ptr() as usize;
    let (name, after) = match whole.split_once(expansion::is_blank) {
        Some((name, after)) => (name, after.trim_start_matches(expansion::is_blank)),
        None => (whole, &whole[whole.len()..]),
    };
    let expansion::Flags { flags, rest, end } = expansion::flags(after);
    let blank = rest.len() - rest.trim_start().len();
    let flags_at = offset(after);
    let spans = flags.iter().map(|(_, span)| {
        let span = span.start + flags_at..span.end + flags_at;
        pieces.span(span)
    });
    Instruction {
        line: number,
        name: name.to_lowercase(),
        flag_spans: spans.collect(),
        flags: flags.into_iter().map(|(flag, _)| flag).collect(),
        arguments_at: pieces.at(flags_at),
        rest_at: flags_at + end + blank,
        rest: rest.trim().to_owned(),
        trigger: false,
        pieces,
        documents: Vec::new(),
    }
}

/// Ignores flags of ONBUILD itself, as Buildah does. A nested ONBUILD is not a trigger.
fn instruction_or_trigger(line: usize, whole: &str, pieces: Pieces) -> Instruction {
    let outer = instruction(line, whole, 0, pieces);
    match outer.name.as_str() {
        "onbuild" => Instruction {
            trigger: true,
            // A trigger is not rewritten, so its place does not matter.
            ..instruction(line, &outer.rest, 0, Pieces::default())
        },
        _ => outer,
    }
}

impl Instruction {
    fn may_have_heredocs(&self) -> bool {
        matches!(self.name.as_str(), "run" | "copy" | "add") && !self.is_json()
    }

    /// Whether the arguments are an array. Go reads the first value of a text and ignores the rest.
    pub(super) fn is_json(&self) -> bool {
        if !self.rest.starts_with('[') {
            return false;
        }
        let text = without_surrogates(&self.rest);
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Vec<String>>();
        values.take(1).all(|value| value.is_ok())
    }

    /// Whether Buildah reads an array where Docker reads a command: text follows the array.
    pub(super) fn is_array_with_more(&self) -> bool {
        let whole = serde_json::from_str::<Vec<String>>(&without_surrogates(&self.rest));
        self.is_json() && whole.is_err()
    }
}

/// Replaces each escape of an unpaired UTF-16 surrogate by one of equal length: Go accepts them, Rust does not.
fn without_surrogates(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole += before;
        let surrogate = matches!(
            escape.as_bytes(),
            [
                b'\\',
                b'u',
                b'd' | b'D',
                b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F',
                ..,
            ]
        );
        // An escaped backslash does not begin an escape.
        let length = escape.chars().take(2).map(char::len_utf8).sum();
        let (taken, length) = if surrogate {
            ("\\u00", 4)
        } else {
            (&escape[..length], length)
        };
        whole += taken;
        rest = &escape[length..];
    }
    whole + rest
}

/// The character that continues a line.
#[derive(Debug)]
struct Escape {
    reader: Reader,
    token: char,
    /// Whether a directive may still come.
    open: bool,
    seen: bool,
}

impl Escape {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            token: '\\',
            open: true,
            seen: false,
        }
    }

    /// Reads `# escape=…`. Any other line, even a comment or an empty one, ends the directives.
    fn directive(&mut self, line: &str) -> Result<(), Problem> {
        if !self.open {
            return Ok(());
        }
        let blank = [' ', '\t'];
        let value = line
            .strip_prefix('#')
            .map(|rest| rest.trim_start_matches(blank).to_lowercase())
            .and_then(|rest| rest.strip_prefix("escape").map(str::to_owned))
            .and_then(|rest| {
                let rest = rest.trim_start_matches(blank).strip_prefix('=')?;
                // A blank is the character only if there is no other.
                let bare = rest.trim_start_matches(blank);
                bare.chars().next().or(rest.chars().last())
            });
        let Some(token) = value else {
            self.open = false;
            return Ok(());
        };
        if self.seen {
            return Err(Problem::EscapeTwice);
        }
        if !matches!(token, '\\' | '`') {
            return Err(Problem::EscapeCharacter(token));
        }
        (self.seen, self.token) = (true, token);
        Ok(())
    }

    /// Returns a line without its continuation character, and whether it continues.
    fn continued(&self, line: &str) -> (String, bool) {
        let bare = line.trim_end_matches([' ', '\t']);
        let escaped = |part: &str| self.reader == Reader::Docker && part.ends_with(self.token);
        match bare.strip_suffix(self.token) {
            Some(part) if !escaped(part) => (part.to_owned(), true),
            _ => (line.to_owned(), false),
        }
    }
}

#[cfg(test)]
mod tests;
