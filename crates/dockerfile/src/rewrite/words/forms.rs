//! Writes the forms of a variable that Buildah reads as BuildKit does.

use super::super::super::error::Problem;
use super::super::scope::{NOTHING, PREDEFINED, UNSET, Variable};
use super::piece::Piece;

/// Writes `${NAME-word}`, `${NAME+word}` and their forms with a colon.
pub(super) fn defaulted(
    name: &str,
    sign: char,
    colon: bool,
    word: Piece,
    variable: &Variable,
) -> (String, Option<String>) {
    let Piece { text, value, .. } = word;
    let is_set = matches!(variable, Variable::Known(_) | Variable::Set);
    let with = |sign: &str| format!("${{{name}:{sign}{text}}}");
    let known = match variable {
        Variable::Known(known) => Some(known.clone()),
        Variable::Unset => Some(String::new()),
        Variable::Set | Variable::Unknown => None,
    };
    match (sign, colon || !is_set) {
        // An unset variable is empty to Buildah, so the colon makes no difference.
        ('-', true) => {
            let result = known.and_then(|known| if known.is_empty() { value } else { Some(known) });
            (with("-"), result)
        }
        ('-', false) => (format!("${{{name}}}"), known),
        (_, true) => {
            let result = known.and_then(|known| if known.is_empty() { Some(known) } else { value });
            (with("+"), result)
        }
        // No build sets this variable.
        (_, false) => (format!("${{{UNSET}:-{text}}}"), value),
    }
}

/// Writes `${NAME:?message}` and `${NAME?message}`. A build without a value ends before its first step.
pub(super) fn required(
    name: &str,
    message: &Piece,
    colon: bool,
    variable: &Variable,
) -> Result<(String, Option<String>), Problem> {
    let value = match variable {
        Variable::Known(value) if !colon || !value.is_empty() => Some(value.clone()),
        Variable::Set if !colon || never_empty(name) => None,
        _ => {
            let default = || "it is not allowed to be unset".to_owned();
            let message = message.value.clone().filter(|message| !message.is_empty());
            return Err(Problem::VariableRequired {
                name: name.to_owned(),
                message: message.unwrap_or_else(default),
            });
        }
    };
    Ok((format!("${{{name}}}"), value))
}

/// Whether the builder gives the variable a value that is not empty, for each platform. Only a variant may be empty.
fn never_empty(name: &str) -> bool {
    PREDEFINED.contains(&name) && !name.ends_with("VARIANT")
}

/// Writes a value of one line so that Buildah reads it as it is. An empty one must not leave its line empty: Buildah skips such
/// a line. It must not make a comment of its line, or continue it: both escape characters do so, also before blanks.
pub(super) fn literal(value: &str, quoted: bool) -> String {
    if value.is_empty() {
        return NOTHING.to_owned();
    }
    let comment = value.trim_start().starts_with('#');
    let continues = value.ends_with(|last: char| last.is_whitespace() || "\\`".contains(last));
    let special = |letter: char| match letter {
        '"' | '$' | '\\' => true,
        // The sign of a here-document.
        '\'' | '<' => !quoted,
        letter => !quoted && letter.is_whitespace(),
    };
    let mut text = String::with_capacity(value.len());
    text.extend(comment.then_some(NOTHING));
    for letter in value.chars() {
        text.extend(special(letter).then_some('\\'));
        text.push(letter);
    }
    text.extend(continues.then_some(NOTHING));
    text
}
