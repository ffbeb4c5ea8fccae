//! Finds the here-documents that a line begins, by the rules of the lexer that Buildah has from BuildKit.
//!
//! A line that this lexer cannot read begins no here-document, even if it looks so. Source: moby/buildkit,
//! `dockerfile/shell/lex.go`, for an environment without variables.

use std::iter::Peekable;
use std::str::Chars;

use super::error::{MAX_BRACES, Problem};

/// A here-document that begins after the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// The line that ends it.
    pub(super) name: String,
    /// Whether variables in it are replaced: its name has no quotes.
    pub(super) expand: bool,
    /// Whether tabs before that line are ignored: `<<-`.
    pub(super) chomp: bool,
}

impl Document {
    /// Whether this line ends it.
    pub(super) fn ends_at(&self, line: &str) -> bool {
        let line = line.trim_end_matches(['\r', '\n']);
        let tabs = if self.chomp {
            line.trim_start_matches('\t')
        } else {
            line
        };
        tabs == self.name
    }
}

/// Returns the here-documents of a whole line, in order.
pub(super) fn documents(line: &str) -> Result<Vec<Document>, Problem> {
    // If the line's quotes do not match, Buildah sees no words.
    let words = match Lexer::words(line, true, true) {
        Err(Unread::Deep) => return Err(Problem::HeredocDepth),
        words => words.unwrap_or_default(),
    };
    let documents = words.iter().filter_map(|word| document(word).transpose());
    documents.collect()
}

/// Whether a command consists of a here-document only.
pub(super) fn is_document(command: &str) -> bool {
    document(command).is_ok_and(|document| document.is_some())
}

/// Reads `[0-9]*<<-?NAME`.
fn document(word: &str) -> Result<Option<Document>, Problem> {
    let after = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(after) = after.strip_prefix("<<") else {
        return Ok(None);
    };
    let (name, chomp) = match after.strip_prefix('-') {
        Some(name) => (name, true),
        None => (after, false),
    };
    if name.is_empty() || name.contains('<') {
        return Ok(None);
    }
    let mut words =
        Lexer::words(name, false, false).map_err(|_| Problem::HeredocName(word.to_owned()))?;
    let raw = Lexer::words(name, true, true).unwrap_or_default();
    Ok(match (words.pop(), words.is_empty()) {
        (Some(word), true) => Some(Document {
            expand: raw.first() == Some(&word),
            name: word,
            chomp,
        }),
        _ => None,
    })
}

struct Lexer<'a> {
    letters: Peekable<Chars<'a>>,
    raw_quotes: bool,
    raw_escapes: bool,
    /// The word so far. Nested texts share it, as in BuildKit.
    word: String,
    depth: usize,
}

/// Why a line has no words.
enum Unread {
    /// A quote or brace is open.
    Unclosed,
    /// More nested braces than the stack has room for.
    Deep,
}

use Unread::Unclosed;

impl<'a> Lexer<'a> {
    fn words(text: &'a str, raw_quotes: bool, raw_escapes: bool) -> Result<Vec<String>, Unread> {
        let mut lexer = Self {
            // Go's scanner skips a byte-order mark.
            letters: text
                .strip_prefix('\u{feff}')
                .unwrap_or(text)
                .chars()
                .peekable(),
            raw_quotes,
            raw_escapes,
            word: String::new(),
            depth: 0,
        };
        lexer.until(None).map(|(_, words)| words)
    }

    /// Returns the text up to `stop`, and its words.
    fn until(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), Unread> {
        self.word.clear();
        let (mut text, mut words) = (String::new(), Vec::new());
        while let Some(letter) = self.letters.next() {
            match letter {
                letter if Some(letter) == stop => {
                    self.end(&mut words);
                    return Ok((text, words));
                }
                '\'' => {
                    let inner = self.single()?;
                    self.word += &inner;
                    text += &inner;
                }
                '"' => {
                    let inner = self.double()?;
                    self.word += &inner;
                    text += &inner;
                }
                '$' => {
                    let inner = self.dollar()?;
                    inner
                        .chars()
                        .for_each(|letter| self.add(letter, &mut words));
                    text += &inner;
                }
                '\\' => {
                    if self.raw_escapes {
                        self.word.push('\\');
                        text.push('\\');
                    }
                    let Some(escaped) = self.letters.next() else {
                        break;
                    };
                    self.word.push(escaped);
                    text.push(escaped);
                }
                letter => {
                    self.add(letter, &mut words);
                    text.push(letter);
                }
            }
        }
        if stop.is_some() {
            return Err(Unclosed);
        }
        self.end(&mut words);
        Ok((text, words))
    }

    fn add(&mut self, letter: char, words: &mut Vec<String>) {
        if letter.is_whitespace() {
            self.end(words);
        } else {
            self.word.push(letter);
        }
    }

    fn end(&mut self, words: &mut Vec<String>) {
        if !self.word.is_empty() {
            words.push(std::mem::take(&mut self.word));
        }
    }

    fn quote(&self, text: &str, quote: char) -> String {
        if self.raw_quotes {
            format!("{quote}{text}{quote}")
        } else {
            text.to_owned()
        }
    }

    fn single(&mut self) -> Result<String, Unread> {
        let mut text = String::new();
        loop {
            match self.letters.next().ok_or(Unclosed)? {
                '\'' => return Ok(self.quote(&text, '\'')),
                letter => text.push(letter),
            }
        }
    }

    fn double(&mut self) -> Result<String, Unread> {
        let mut text = String::new();
        loop {
            match self.letters.next().ok_or(Unclosed)? {
                '"' => return Ok(self.quote(&text, '"')),
                '$' => text += &self.dollar()?,
                '\\' => {
                    if self.raw_escapes {
                        text.push('\\');
                    }
                    let special = |next: &char| matches!(next, '"' | '$' | '\\');
                    text.push(self.letters.next_if(special).unwrap_or('\\'));
                }
                letter => text.push(letter),
            }
        }
    }

    /// Reads a variable. No variable has a value here, so the text stays as it is.
    fn dollar(&mut self) -> Result<String, Unread> {
        if self.letters.next_if_eq(&'{').is_none() {
            return Ok(format!("${}", self.name()));
        }
        if matches!(self.letters.peek(), None | Some('{' | '}' | ':')) {
            return Err(Unclosed);
        }
        let mut text = format!("${{{}", self.name());
        let mut sign = self.letters.next();
        text.extend(sign);
        match sign {
            Some('}') => return Ok(text),
            Some('/') => {
                text += &self.inner('/', true)?;
                text.push('/');
                text += &self.inner('}', true)?;
            }
            Some(':' | '+' | '-' | '?' | '#' | '%') => {
                if sign == Some(':') {
                    sign = self.letters.next();
                    text.extend(sign);
                }
                text += &self.inner('}', matches!(sign, Some('#' | '%')))?;
            }
            _ => return Err(Unclosed),
        }
        text.push('}');
        Ok(text)
    }

    fn inner(&mut self, stop: char, raw_escapes: bool) -> Result<String, Unread> {
        if self.depth == MAX_BRACES {
            return Err(Unread::Deep);
        }
        let before = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        self.depth += 1;
        let text = self.until(Some(stop));
        self.depth -= 1;
        self.raw_escapes = before;
        text.map(|(text, _)| text)
    }

    /// Reads a name: digits, a special parameter of the shell, or letters, digits and `_`.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let special = |next: &char| matches!(next, '@' | '*' | '#' | '?' | '-' | '$' | '!' | '0');
        match self.letters.peek() {
            Some(next) if next.is_numeric() => {
                while let Some(digit) = self.letters.next_if(|next| next.is_numeric()) {
                    name.push(digit);
                }
            }
            Some(next) if special(next) => name.extend(self.letters.next()),
            _ => {
                let word = |next: &char| next.is_alphanumeric() || *next == '_';
                while let Some(letter) = self.letters.next_if(word) {
                    name.push(letter);
                }
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Vec<String> {
        let documents = documents(line).unwrap();
        let sign = |chomp| if chomp { "-" } else { "" };
        documents
            .iter()
            .map(|document| format!("{}{}", sign(document.chomp), document.name))
            .collect()
    }

    #[test]
    fn names_lose_their_quotes() {
        assert_eq!(names("RUN <<EOF"), ["EOF"]);
        assert_eq!(names("COPY <<a <<-'b c' 3<<\"d\" /x"), ["a", "-b c", "d"]);
        assert_eq!(names("RUN x $(cat <<EOF"), ["EOF"]);
        assert_eq!(names("RUN x ${y:-z} <<E\\OF"), ["EOF"]);
        assert_eq!(names("RUN x $${ <<EOF"), ["EOF"]);
        assert_eq!(names("RUN cat <<EOF>x"), ["EOF>x"]);
    }

    #[test]
    fn unreadable_lines_have_no_documents() {
        for line in [
            "RUN it's <<EOF",
            "RUN \" <<EOF",
            "RUN ${x <<EOF",
            "RUN ${} <<EOF",
            "RUN ${:-x} <<EOF",
            "RUN a<<EOF",
            "RUN <<<EOF",
            "RUN << EOF",
            "RUN \"<<EOF\"",
            "RUN \\<<EOF",
            "RUN <<\u{feff}",
        ] {
            assert!(names(line).is_empty(), "{line}");
        }
        assert!(documents("RUN <<${x").unwrap().is_empty());
        assert!(documents(&"${a:-".repeat(100_000)).is_err());
    }

    /// This quirk of BuildKit decides which lines are instructions: a nested text discards the word before it.
    #[test]
    fn a_default_starts_a_new_word() {
        assert_eq!(names("RUN x${y:-z}<<EOF"), Vec::<String>::new());
    }
}
