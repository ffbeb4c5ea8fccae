//! Parses the text of a template.

use serde_json::Value;

use super::error::TemplateError;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
}

/// Commands. Each gets the result of the command before it.
pub(super) type Pipe = Vec<Vec<Term>>;

/// An operand.
#[derive(Debug)]
pub(super) enum Term {
    Dot(Vec<String>),
    Root(Vec<String>),
    Literal(Value),
    Group(Pipe, Vec<String>),
    Function(String),
}

/// A text or an action, after `{{-` and `-}}` have trimmed white space.
enum Piece {
    Text(String),
    Action(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Path(Vec<String>),
    Root(Vec<String>),
    Literal(Value),
    Open,
    /// A closing parenthesis and the fields after it.
    Close(Vec<String>),
    Pipe,
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut pieces = pieces(text)?.into_iter();
    let (nodes, end) = block(&mut pieces, 0)?;
    match end {
        None => Ok(nodes),
        Some(_) => Err(TemplateError("has an {{end}} too many".to_owned())),
    }
}

fn pieces(mut text: &str) -> Result<Vec<Piece>, TemplateError> {
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

/// The end of a block: `{{end}}`, or `{{else …}}` with the tokens after the word.
enum End {
    End,
    Else(Vec<Token>),
}

type Pieces = std::vec::IntoIter<Piece>;

fn block(pieces: &mut Pieces, depth: usize) -> Result<(Vec<Node>, Option<End>), TemplateError> {
    if depth > 32 {
        return Err(TemplateError("is nested too deeply".to_owned()));
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let tokens = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        let word = match tokens.first() {
            Some(Token::Word(word)) => word.as_str(),
            _ => "",
        };
        match word {
            "end" => return Ok((nodes, Some(End::End))),
            "else" => return Ok((nodes, Some(End::Else(tokens[1..].to_vec())))),
            "if" | "with" | "range" => nodes.push(branch(&tokens, pieces, depth)?),
            _ => nodes.push(Node::Action(pipe(&tokens)?)),
        }
    }
    Ok((nodes, None))
}

fn branch(tokens: &[Token], pieces: &mut Pieces, depth: usize) -> Result<Node, TemplateError> {
    let unended = || TemplateError("lacks an {{end}}".to_owned());
    let condition = pipe(&tokens[1..])?;
    let (yes, end) = block(pieces, depth + 1)?;
    let no = match end.ok_or_else(unended)? {
        End::End => Vec::new(),
        End::Else(rest) if rest.is_empty() => {
            let (no, end) = block(pieces, depth + 1)?;
            if !matches!(end, Some(End::End)) {
                return Err(unended());
            }
            no
        }
        End::Else(rest) => vec![branch(&rest, pieces, depth + 1)?],
    };
    Ok(match tokens.first() {
        Some(Token::Word(word)) if word == "if" => Node::If(condition, yes, no),
        Some(Token::Word(word)) if word == "with" => Node::With(condition, yes, no),
        _ => Node::Range(condition, yes, no),
    })
}

fn pipe(tokens: &[Token]) -> Result<Pipe, TemplateError> {
    let mut tokens = tokens.iter();
    let (pipe, closed) = commands(&mut tokens, 0)?;
    if closed.is_some() {
        return Err(TemplateError("has a ) too many".to_owned()));
    }
    Ok(pipe)
}

type Tokens<'a> = std::slice::Iter<'a, Token>;

/// Reads commands up to the end or a closing parenthesis. The second value has the fields after the parenthesis.
fn commands(
    tokens: &mut Tokens<'_>,
    depth: usize,
) -> Result<(Pipe, Option<Vec<String>>), TemplateError> {
    if depth > 32 {
        return Err(TemplateError("is nested too deeply".to_owned()));
    }
    let mut pipe = vec![Vec::new()];
    while let Some(token) = tokens.next() {
        let last = pipe.len() - 1;
        let term = match token {
            Token::Pipe => {
                pipe.push(Vec::new());
                continue;
            }
            Token::Close(path) => return Ok((pipe, Some(path.clone()))),
            Token::Open => {
                let (inner, path) = commands(tokens, depth + 1)?;
                let unclosed = || TemplateError("lacks a )".to_owned());
                Term::Group(inner, path.ok_or_else(unclosed)?)
            }
            Token::Word(word) => Term::Function(word.clone()),
            Token::Path(path) => Term::Dot(path.clone()),
            Token::Root(path) => Term::Root(path.clone()),
            Token::Literal(value) => Term::Literal(value.clone()),
        };
        pipe[last].push(term);
    }
    Ok((pipe, None))
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
                let (path, length) = path(&rest[1..]);
                if rest[1..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                    return Err(TemplateError(
                        "has a variable, which is not available here".to_owned(),
                    ));
                }
                (Token::Root(path), length + 1)
            }
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
