//! Rewrites the variables of an instruction's arguments to substitutions that Buildah reads as BuildKit does.
//!
//! Buildah has no `${V-d}`, `${V+s}` and `${V?m}`, takes the message of `${V:?m}` for a value, and its patterns stop at
//! slashes. Source: openshift/imagebuilder, `shell_parser.go`, and moby/buildkit, `shell/lex.go`.

mod forms;
mod piece;

use std::ops::Range;

use super::super::error::{MAX_BRACES, Problem};
use super::patterns;
use super::scope::{NOTHING, Scope, Variable};
use forms::{defaulted, literal, required};
use piece::Piece;

/// A change of a text: these bytes become this text.
pub(super) type Edit = (Range<usize>, String);

/// What a text expands to, and what has to change in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expansion {
    /// The result. `None` if it depends on a variable whose value is unknown.
    pub(super) value: Option<String>,
    /// The changes.
    pub(super) edits: Vec<Edit>,
}

/// Reads a text with quotes, escapes and variables. A text that BuildKit cannot read has no value and no changes: Buildah
/// refuses it too.
pub(super) fn expand(text: &str, scope: &Scope) -> Result<Expansion, Problem> {
    let mut reader = Reader {
        text,
        at: 0,
        scope,
        depth: 0,
        edits: Vec::new(),
    };
    match reader.until(None) {
        Ok(piece) => Ok(Expansion {
            value: piece.value,
            edits: reader.edits,
        }),
        Err(Stop::Malformed) => Ok(Expansion::default()),
        Err(Stop::Problem(problem)) => Err(problem),
    }
}

enum Stop {
    Malformed,
    Problem(Problem),
}

use Stop::Malformed;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    scope: &'a Scope,
    depth: usize,
    edits: Vec<Edit>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn until(&mut self, stop: Option<char>) -> Result<Piece, Stop> {
        let mut piece = Piece::new();
        loop {
            let start = self.at;
            let Some(letter) = self.next() else {
                return if stop.is_some() {
                    Err(Malformed)
                } else {
                    Ok(piece)
                };
            };
            match letter {
                letter if Some(letter) == stop => return Ok(piece),
                '\'' => {
                    let length = self.text[self.at..].find('\'').ok_or(Malformed)?;
                    let inner = &self.text[self.at..self.at + length];
                    self.at += length + 1;
                    piece.push(&format!("'{inner}'"), Some(inner));
                }
                '"' => self.double(&mut piece)?,
                '$' => self.variable(start, false, &mut piece)?,
                '\\' => {
                    let escaped = self.next().map(String::from).unwrap_or_default();
                    piece.push(&format!("\\{escaped}"), Some(&escaped));
                }
                letter => {
                    let letter = letter.to_string();
                    piece.push(&letter, Some(&letter));
                }
            }
        }
    }

    fn double(&mut self, piece: &mut Piece) -> Result<(), Stop> {
        piece.push("\"", Some(""));
        loop {
            let start = self.at;
            match self.next().ok_or(Malformed)? {
                '"' => {
                    piece.push("\"", Some(""));
                    return Ok(());
                }
                '$' => self.variable(start, true, piece)?,
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '$' | '\\')) => {
                        self.next();
                        piece.push(&format!("\\{escaped}"), Some(&escaped.to_string()));
                    }
                    _ => piece.push("\\", Some("\\")),
                },
                letter => {
                    let letter = letter.to_string();
                    piece.push(&letter, Some(&letter));
                }
            }
        }
    }

    /// Reads a variable after its dollar sign, which is at `start`.
    fn variable(&mut self, start: usize, quoted: bool, piece: &mut Piece) -> Result<(), Stop> {
        if self.peek() != Some('{') {
            if self.parameter() {
                // It is not set in BuildKit. Buildah does not know it, or only its first digit.
                self.edit(start, NOTHING)?;
                piece.push(NOTHING, Some(""));
                return Ok(());
            }
            let name = self.name();
            let value = match name.as_str() {
                "" => Some("$".to_owned()),
                // The rest of the text is not known either.
                _ if piece.value.is_none() => None,
                name => self.scope.value(name),
            };
            piece.push(&self.text[start..self.at], value.as_deref());
            piece.named = !name.is_empty();
            return Ok(());
        }
        self.next();
        if self.depth == MAX_BRACES {
            return Err(Stop::Problem(Problem::BraceCount));
        }
        self.depth += 1;
        let edits = self.edits.len();
        let (mut text, value) = self.braces(quoted)?;
        self.depth -= 1;
        // A name before it must not go on in the result.
        if text.starts_with(is_word) && piece.named {
            text.insert_str(0, NOTHING);
        }
        // The outermost change contains those within it.
        self.edits.truncate(edits);
        if self.text[start..self.at] != text {
            self.edit(start, &text)?;
        }
        piece.push(&text, value.as_deref());
        Ok(())
    }

    /// Changes the text from `start` on, outside of braces.
    fn edit(&mut self, start: usize, text: &str) -> Result<(), Stop> {
        if self.depth == 0 {
            let bytes = text.len() + size_of::<Edit>();
            self.scope.change(bytes).map_err(Stop::Problem)?;
            self.edits.push((start..self.at, text.to_owned()));
        }
        Ok(())
    }

    /// Reads the rest of `${…}`.
    fn braces(&mut self, quoted: bool) -> Result<(String, Option<String>), Stop> {
        let name = self.name();
        if name.is_empty() {
            return Err(Malformed);
        }
        let mut sign = self.next().ok_or(Malformed)?;
        let colon = sign == ':';
        match sign {
            '}' => return Ok((format!("${{{name}}}"), self.scope.value(&name))),
            '#' | '%' | '/' => return self.pattern(&name, sign, quoted),
            ':' => sign = self.next().ok_or(Malformed)?,
            _ => {}
        }
        if !matches!(sign, '-' | '+' | '?') {
            return Err(Malformed);
        }
        let word = self.until(Some('}'))?;
        let variable = self.scope.variable(&name);
        if sign == '?' {
            return required(&name, &word, colon, &variable).map_err(Stop::Problem);
        }
        Ok(defaulted(&name, sign, colon, word, &variable))
    }

    /// Reads a pattern, and replaces the substitution by its result.
    fn pattern(
        &mut self,
        name: &str,
        sign: char,
        quoted: bool,
    ) -> Result<(String, Option<String>), Stop> {
        let start = self.at;
        let doubled = self.peek() == Some(sign);
        if doubled {
            self.next();
        }
        let stop = if sign == '/' { '/' } else { '}' };
        let pattern = self.raw(stop)?;
        let replacement = match sign {
            '/' => self.raw('}')?,
            _ => Some(String::new()),
        };
        let whole = || format!("${{{name}{sign}{}", &self.text[start..self.at]);
        let known = match self.scope.variable(name) {
            Variable::Known(value) => Some(value),
            Variable::Unset => Some(String::new()),
            Variable::Set | Variable::Unknown => None,
        };
        let (Some(value), Some(pattern), Some(replacement)) = (known, pattern, replacement) else {
            return Err(Stop::Problem(Problem::VariableUnknown(whole())));
        };
        let steps = patterns::steps(&value, sign, &pattern);
        let allowed = self.scope.may_match(steps).then_some(());
        let result = allowed
            .and_then(|()| patterns::apply(&value, sign, doubled, &pattern, &replacement))
            .ok_or_else(|| Stop::Problem(Problem::VariablePattern(whole())))?;
        if result.contains(['\n', '\r']) {
            return Err(Stop::Problem(Problem::VariableLines(whole())));
        }
        let text = literal(&result, quoted);
        self.scope.change(text.len()).map_err(Stop::Problem)?;
        Ok((text, Some(result)))
    }

    /// Reads a pattern up to `stop`, with its escapes. It has a value if all its variables have, and it has no quotes.
    fn raw(&mut self, stop: char) -> Result<Option<String>, Stop> {
        let mut piece = Piece::new();
        loop {
            let start = self.at;
            match self.next().ok_or(Malformed)? {
                letter if letter == stop => return Ok(piece.value),
                '\'' | '"' => piece.value = None,
                '$' => self.variable(start, false, &mut piece)?,
                '\\' => {
                    let escaped = self.next().ok_or(Malformed)?;
                    piece.push("", Some(&format!("\\{escaped}")));
                }
                letter => piece.push("", Some(&letter.to_string())),
            }
        }
    }

    /// Reads a parameter of the shell: its number, or a sign such as in `$$`.
    fn parameter(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let digits = rest
            .find(|letter: char| !letter.is_numeric())
            .unwrap_or(rest.len());
        let sign = usize::from(rest.starts_with(['@', '*', '#', '?', '-', '$', '!']));
        self.at += digits + sign.min(usize::from(digits == 0));
        digits + sign > 0
    }

    /// Reads a name: letters, digits and `_`.
    fn name(&mut self) -> String {
        let rest = &self.text[self.at..];
        let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_owned()
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests;
