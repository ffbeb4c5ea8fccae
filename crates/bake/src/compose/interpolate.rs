//! Variables in compose files: `$NAME`, `${NAME}`, `${NAME:-default}` and the other forms.

use serde_json::Value;

use crate::budget::Budget;
use crate::error::{BakeError, Result};

/// Returns the value of a variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Defaults within defaults.
const DEPTH: usize = 20;

/// Replaces the variables in all texts of a value. The keys stay.
pub(super) fn all(value: Value, lookup: Lookup<'_>, budget: &mut Budget) -> Result<Value> {
    Ok(match value {
        Value::String(text) => {
            let text = substitute(&text, lookup, 0)?;
            budget.take(text.len())?;
            Value::String(text)
        }
        Value::Array(list) => {
            let list = list.into_iter();
            let list: Result<Vec<Value>> = list.map(|item| all(item, lookup, budget)).collect();
            Value::Array(list?)
        }
        Value::Object(map) => {
            let pairs = map.into_iter();
            let map: Result<_> = pairs
                .map(|(key, item)| Ok((key, all(item, lookup, budget)?)))
                .collect();
            Value::Object(map?)
        }
        other => other,
    })
}

fn substitute(text: &str, lookup: Lookup<'_>, depth: usize) -> Result<String> {
    let wrong = || {
        BakeError::new(format!(
            "{text:?} is no valid text with variables; write $$ for a dollar"
        ))
    };
    if depth > DEPTH {
        return Err(wrong());
    }
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        written.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            written.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = closing(inner).ok_or_else(wrong)?;
            written.push_str(&braced(&inner[..end], lookup, depth).ok_or_else(wrong)??);
            rest = &inner[end + 1..];
        } else {
            let length = name_length(rest);
            if length == 0 {
                return Err(wrong());
            }
            written.push_str(&lookup(&rest[..length]).unwrap_or_default());
            rest = &rest[length..];
        }
    }
    written.push_str(rest);
    Ok(written)
}

fn name_length(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts { end.unwrap_or(text.len()) } else { 0 }
}

/// Returns where the brace ends.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if before == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        before = letter;
    }
    None
}

fn braced(inner: &str, lookup: Lookup<'_>, depth: usize) -> Option<Result<String>> {
    let length = name_length(inner);
    if length == 0 {
        return None;
    }
    let (name, operator) = inner.split_at(length);
    let value = lookup(name);
    let filled = value.clone().filter(|value| !value.is_empty());
    let other = |word: &str| substitute(word, lookup, depth + 1);
    let message = |word: &str| {
        let word = other(word)?;
        Err(BakeError::new(format!(
            "variable {name} is required: {word}"
        )))
    };
    Some(match operator {
        "" => Ok(value.unwrap_or_default()),
        operator if operator.starts_with(":-") => match filled {
            Some(value) => Ok(value),
            None => other(&operator[2..]),
        },
        operator if operator.starts_with(":?") => match filled {
            Some(value) => Ok(value),
            None => message(&operator[2..]),
        },
        operator if operator.starts_with(":+") => match filled {
            Some(_) => other(&operator[2..]),
            None => Ok(String::new()),
        },
        operator if operator.starts_with('-') => match value {
            Some(value) => Ok(value),
            None => other(&operator[1..]),
        },
        operator if operator.starts_with('?') => match value {
            Some(value) => Ok(value),
            None => message(&operator[1..]),
        },
        operator if operator.starts_with('+') => match value {
            Some(_) => other(&operator[1..]),
            None => Ok(String::new()),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_in_each_form() {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("$A-${A}", "a-a"),
            ("$$A", "$A"),
            ("${N:-d}${N-d}${EMPTY:-d}${EMPTY-d}", "ddd"),
            ("${N:-${A}b}", "ab"),
            ("${A:+x}${N+x}", "x"),
            ("${N}", ""),
        ] {
            assert_eq!(substitute(text, &lookup, 0).unwrap(), expected, "{text}");
        }
        for wrong in ["${", "$", "${1}", "${N:?needed}", "${A!}"] {
            assert!(substitute(wrong, &lookup, 0).is_err(), "{wrong}");
        }
    }
}
