//! Parses the text of a template.

use serde_json::Value;

use super::error::TemplateError;
use super::lex::{Piece, Token, pieces};

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
}

/// Commands, and the variables that get their result.
#[derive(Debug)]
pub(super) struct Pipe {
    /// `$x :=` has one variable, and `$k, $v :=` of a range has two.
    pub(super) variables: Vec<String>,
    /// Whether the variables are new, as with `:=`.
    pub(super) declares: bool,
    /// Each gets the result of the command before it.
    pub(super) commands: Commands,
}

pub(super) type Commands = Vec<Vec<Term>>;

/// An operand.
#[derive(Debug)]
pub(super) enum Term {
    Dot(Vec<String>),
    Variable(String, Vec<String>),
    Literal(Value),
    Group(Commands, Vec<String>),
    Function(String),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut pieces = pieces(text)?.into_iter();
    let (nodes, end) = block(&mut pieces, 0)?;
    match end {
        None => Ok(nodes),
        Some(_) => Err(TemplateError("has an {{end}} too many".to_owned())),
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
    let ranges = matches!(tokens.first(), Some(Token::Word(word)) if word == "range");
    if condition.variables.len() > if ranges { 2 } else { 1 } {
        return Err(TemplateError("has too many variables".to_owned()));
    }
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
    let (variables, declares, rest) = variables(tokens);
    let mut rest = rest.iter();
    let (commands, closed) = commands(&mut rest, 0)?;
    if closed.is_some() {
        return Err(TemplateError("has a ) too many".to_owned()));
    }
    Ok(Pipe {
        variables,
        declares,
        commands,
    })
}

/// Reads `$x :=`, `$k, $v :=` or `$x =`. Returns the names, whether they are new, and the tokens after them.
fn variables(tokens: &[Token]) -> (Vec<String>, bool, &[Token]) {
    let mut names = Vec::new();
    let mut rest = tokens;
    while let [Token::Variable(name, path), after @ ..] = rest {
        if !path.is_empty() || name.is_empty() {
            break;
        }
        names.push(name.clone());
        match after {
            [Token::Comma, after @ ..] => rest = after,
            [Token::Declare, after @ ..] => return (names, true, after),
            [Token::Assign, after @ ..] => return (names, false, after),
            _ => break,
        }
    }
    (Vec::new(), false, tokens)
}

type Tokens<'a> = std::slice::Iter<'a, Token>;

/// Reads commands up to the end or a closing parenthesis. The second value has the fields after the parenthesis.
fn commands(
    tokens: &mut Tokens<'_>,
    depth: usize,
) -> Result<(Commands, Option<Vec<String>>), TemplateError> {
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
            Token::Variable(name, path) => Term::Variable(name.clone(), path.clone()),
            Token::Declare | Token::Assign | Token::Comma => {
                return Err(TemplateError("has a misplaced :=, = or comma".to_owned()));
            }
            Token::Literal(value) => Term::Literal(value.clone()),
        };
        pipe[last].push(term);
    }
    Ok((pipe, None))
}
