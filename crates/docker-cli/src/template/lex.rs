//! Splits a template into texts and actions, and an action into tokens.

use serde_json::Value;

use super::error::TemplateError;

/// A text or an action, after `{{-` and `-}}` have trimmed white space.
pub(super) enum Piece {
    Text(String),
    Action(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Path(Vec<String>),
    /// A variable without its `$`, and the fields after it. `$` alone has an empty name.
    Variable(String, Vec<String>),
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Comma,
    Literal(Value),
    Open,
    /// A closing parenthesis and the fields after it.
    Close(Vec<String>),
    Pipe,
}

pub(super) fn pieces(mut text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut trim = false;
    loop {
        let (before, rest) = match text.split_once("{{") {
            Some((before, rest)) => (before, Some(rest)),
            None => (text, None),
        };
        let before = if trim { before.trim_start() } else { before };
        let trims = rest.is_some_and(|rest| rest.starts_with("- "));
        let before = if trims { before.trim_end() } else { before };
        pieces.push(Piece::Text(before.to_owned()));
        let Some(rest) = rest else { return Ok(pieces) };
        let Some((action, after)) = rest.split_once("}}") else {
            return Err(TemplateError("has an action that does not end".to_owned()));
        };
        let action = if trims { &action[1..] } else { action };
        trim = action.ends_with(" -");
        let action = if trim {
            &action[..action.len() - 1]
        } else {
            action
        };
        if !action.trim_start().starts_with("/*") {
            pieces.push(Piece::Action(tokens(action)?));
        }
        text = after;
    }
}

fn tokens(action: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '|' => (Token::Pipe, 1),
            '(' => (Token::Open, 1),
            ')' => {
                let (path, length) = path(&rest[1..]);
                (Token::Close(path), length + 1)
            }
            '.' => {
                let (path, length) = path(rest);
                (Token::Path(path), length.max(1))
            }
            '$' => {
                let part = |c: char| !(c.is_alphanumeric() || c == '_');
                let end = rest[1..].find(part).unwrap_or(rest.len() - 1) + 1;
                let (path, length) = path(&rest[end..]);
                (Token::Variable(rest[1..end].to_owned(), path), end + length)
            }
            ':' if rest.starts_with(":=") => (Token::Declare, 2),
            '=' => (Token::Assign, 1),
            ',' => (Token::Comma, 1),
            '"' | '`' => quoted(rest, first)?,
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Reads `.A.B`. Returns the names and the length.
fn path(text: &str) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    let mut length = 0;
    while let Some(rest) = text[length..].strip_prefix('.') {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        if end == 0 {
            break;
        }
        names.push(rest[..end].to_owned());
        length += end + 1;
    }
    (names, length)
}

fn quoted(text: &str, quote: char) -> Result<(Token, usize), TemplateError> {
    let unended = || TemplateError("has a quote that does not end".to_owned());
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' && quote == '"' {
            escaped = true;
        } else if letter == quote {
            let whole = &text[..=at];
            let value = match quote {
                '"' => serde_json::from_str(whole).map_err(|_| unended())?,
                _ => Value::from(&text[1..at]),
            };
            return Ok((Token::Literal(value), at + 1));
        }
    }
    Err(unended())
}

fn word(text: &str) -> Result<(Token, usize), TemplateError> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    let word = &text[..end];
    let token = match (word, word.parse::<i64>()) {
        ("", _) => return Err(TemplateError(format!("has an unexpected {:.1}", text))),
        (_, Ok(number)) => Token::Literal(number.into()),
        ("true", _) => Token::Literal(true.into()),
        ("false", _) => Token::Literal(false.into()),
        _ => Token::Word(word.to_owned()),
    };
    Ok((token, end))
}
