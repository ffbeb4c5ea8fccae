//! Rewrites here-documents.
//!
//! Source: moby/buildkit, `dockerfile2llb/convert.go` and `shell/lex.go`, and openshift/imagebuilder, `processHereDocs`.

use super::super::error::MAX_BRACES;
use super::super::heredoc::Document;
use super::scope::{NOTHING, UNSET};

/// Returns the text that Buildah expands to what BuildKit makes of `body`, in a COPY or an ADD. `None` if both read it alike.
///
/// BuildKit removes a backslash and reads no quotes there. Buildah keeps backslashes, and replaces no variable in single
/// quotes. Both look for the end, and for tabs under `<<-`, in the text as it is written. So a backslash that is gone must
/// not leave such a line or such a tab.
pub(super) fn body(body: &str, document: &Document) -> Option<String> {
    let quotes = body.contains(['\'', '"']);
    let alike = !body.contains('\\') && (!quotes || (!body.contains('$') && closes_quotes(body)));
    if alike {
        return None;
    }
    let mut reader = Reader {
        letters: body.chars().peekable(),
        document,
        text: String::with_capacity(body.len() * 2),
        line: 0,
    };
    reader.outside()?;
    (reader.text != body).then_some(reader.text)
}

fn closes_quotes(body: &str) -> bool {
    let mut letters = body.chars();
    while let Some(letter) = letters.next() {
        if matches!(letter, '\'' | '"') && !letters.any(|next| next == letter) {
            return false;
        }
    }
    true
}

struct Reader<'a> {
    letters: std::iter::Peekable<std::str::Chars<'a>>,
    document: &'a Document,
    text: String,
    /// Where the current line begins in `text`.
    line: usize,
}

impl Reader<'_> {
    /// Reads the text outside of braces. `None` if a brace is open at the end, which Buildah refuses too.
    fn outside(&mut self) -> Option<()> {
        while let Some(letter) = self.letters.next() {
            match letter {
                '\\' => {
                    let escaped = self.letters.next();
                    escaped.into_iter().for_each(|letter| self.escaped(letter));
                }
                '$' => self.dollar(0)?,
                letter => self.literal(letter),
            }
        }
        Some(())
    }

    fn literal(&mut self, letter: char) {
        if matches!(letter, '$' | '\\' | '\'' | '"') {
            self.text += &format!("${{{UNSET}:-\\{letter}}}");
        } else {
            self.push(letter);
        }
    }

    /// Writes a character whose backslash is gone. A tab at the beginning of a line would be gone too.
    fn escaped(&mut self, letter: char) {
        let begins = self.text.len() == self.line || self.text.ends_with('\t');
        if letter == '\t' && self.document.chomp && begins {
            self.text += NOTHING;
        }
        self.literal(letter);
    }

    /// Writes one character. A line that would end the document gets a beginning that is empty.
    fn push(&mut self, letter: char) {
        if letter == '\n' {
            let line = &self.text[self.line..];
            if self.document.ends_at(line) {
                let tabs = line.len() - line.trim_start_matches('\t').len();
                self.text.insert_str(self.line + tabs, NOTHING);
            }
            self.line = self.text.len() + 1;
        }
        self.text.push(letter);
    }

    /// Reads what follows a dollar sign. What it is must not depend on how the next character is written.
    fn dollar(&mut self, depth: usize) -> Option<()> {
        if self.letters.next_if_eq(&'{').is_none() {
            let next = self.letters.peek().copied();
            if depth == 0 && matches!(next, Some('\\' | '\'' | '"')) {
                self.literal('$');
                return Some(());
            }
            self.text.push('$');
            if next.is_some_and(|next| "@*#?-$!".contains(next)) {
                self.text.extend(self.letters.next());
                return Some(());
            }
            let word = |next: &char| next.is_alphanumeric() || *next == '_';
            while let Some(letter) = self.letters.next_if(word) {
                self.text.push(letter);
            }
            if depth == 0 && self.letters.peek() == Some(&'\\') {
                self.text += NOTHING;
            }
            return Some(());
        }
        self.text.push('$');
        if depth == MAX_BRACES {
            return None;
        }
        self.text.push('{');
        // A parameter of the shell may be a sign of an operator, so the name comes first.
        self.text.extend(self.letters.next());
        let word = |next: &char| next.is_alphanumeric() || *next == '_';
        while let Some(letter) = self.letters.next_if(word) {
            self.text.push(letter);
        }
        let raw = matches!(self.letters.peek(), Some('#' | '%' | '/'));
        while let Some(letter) = self.letters.next() {
            match letter {
                '}' => {
                    self.text.push('}');
                    return Some(());
                }
                '\\' => {
                    self.push('\\');
                    let escaped = self.letters.next();
                    escaped.into_iter().for_each(|letter| self.push(letter));
                }
                '$' => self.dollar(depth + 1)?,
                '\'' | '"' if !raw => {
                    self.text.push('\\');
                    self.text.push(letter);
                }
                letter => self.push(letter),
            }
        }
        None
    }
}

/// Returns the command that runs a here-document by its own interpreter. `None` if it does not begin with `#!`.
///
/// Buildah writes such a document to a file that a step under chroot isolation does not see. A descriptor of the shell has
/// it too, and leaves standard input as it is.
pub(super) fn script(body: &str, name: &str, chomp: bool) -> Option<String> {
    let body = if chomp {
        body.trim_start_matches('\t')
    } else {
        body
    };
    let line = body.strip_prefix("#!")?.lines().next()?.trim();
    let (program, argument) = match line.split_once([' ', '\t']) {
        Some((program, argument)) => (program, argument.trim()),
        None => (line, ""),
    };
    if program.is_empty() {
        return None;
    }
    let argument = match argument {
        "" => String::new(),
        argument => format!(" {}", quoted(argument)),
    };
    let dash = if chomp { "-" } else { "" };
    // Node.js opens what the link leads to, and a pipe has no name.
    let link = if is_node(line) {
        " --preserve-symlinks-main"
    } else {
        ""
    };
    let program = quoted(program);
    Some(format!(
        "exec {program}{argument}{link} /dev/fd/3 3<<{dash}'{name}'"
    ))
}

/// Whether the interpreter of `#!` is Node.js, and the next word may be an option of it.
fn is_node(line: &str) -> bool {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let node = |word: &str| matches!(base(word).as_str(), "node" | "nodejs");
    let program = words.next().unwrap_or_default();
    let found = node(program) || (base(program) == "env" && words.any(node));
    found && words.all(|word| word.starts_with('-'))
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=,:@".contains(&byte);
    if word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
