//! The functions of a template, and the text and the truth of a value.

use std::cmp::Ordering;

use serde_json::Value;

use super::error::TemplateError;
use super::printf;
use super::value::{length, show, truthy};

pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let few = || TemplateError(format!("calls {name} with too few arguments"));
    let first = || arguments.first().ok_or_else(few);
    let second = || arguments.get(1).ok_or_else(few);
    Ok(match name {
        "json" => first()?.to_string().into(),
        "index" => index(first()?, &arguments[1..])?,
        "slice" => slice(first()?, &arguments[1..])?,
        "len" => length(first()?).into(),
        "join" => {
            let parts: Vec<_> = list(first()?).iter().map(show).collect();
            parts.join(&show(second()?)).into()
        }
        "split" => {
            let (text, by) = (show(first()?), show(second()?));
            text.split(by.as_str()).map(Value::from).collect()
        }
        "title" => title(&show(first()?)).into(),
        "pad" => {
            let (before, after) = (blanks(arguments.get(1))?, blanks(arguments.get(2))?);
            format!("{before}{}{after}", show(first()?)).into()
        }
        "truncate" => {
            let letters = whole(second()?);
            show(first()?)
                .chars()
                .take(letters)
                .collect::<String>()
                .into()
        }
        "upper" => show(first()?).to_uppercase().into(),
        "lower" => show(first()?).to_lowercase().into(),
        "eq" => {
            let (left, right) = (first()?, &arguments[1..]);
            right.iter().any(|value| value == left).into()
        }
        "ne" => (first()? != second()?).into(),
        "lt" => (compare(first()?, second()?)? == Ordering::Less).into(),
        "le" => (compare(first()?, second()?)? != Ordering::Greater).into(),
        "gt" => (compare(first()?, second()?)? == Ordering::Greater).into(),
        "ge" => (compare(first()?, second()?)? != Ordering::Less).into(),
        "not" => (!truthy(first()?)).into(),
        "and" => choose(arguments, |value| !truthy(value)).ok_or_else(few)?,
        "or" => choose(arguments, truthy).ok_or_else(few)?,
        "print" => arguments.iter().map(show).collect::<String>().into(),
        "println" => {
            let parts: Vec<_> = arguments.iter().map(show).collect();
            format!("{}\n", parts.join(" ")).into()
        }
        "printf" => printf::format(&show(first()?), &arguments[1..])?.into(),
        _ => {
            return Err(TemplateError(format!(
                "calls {name}, which is not available here"
            )));
        }
    })
}

/// Returns as many blanks as the width says, with the limit of printf.
fn blanks(width: Option<&Value>) -> Result<String, TemplateError> {
    let Some(width) = width else {
        return Ok(String::new());
    };
    let number = width.as_u64().ok_or_else(|| {
        TemplateError(format!(
            "calls pad with {width}; expected 0 or a positive whole number"
        ))
    })?;
    Ok(" ".repeat(printf::bounded(number)))
}

/// Returns the first value that ends the search, or the last value.
fn choose(arguments: &[Value], ends: impl Fn(&Value) -> bool) -> Option<Value> {
    let found = arguments.iter().find(|value| ends(value));
    found.or(arguments.last()).cloned()
}

fn out_of_range(at: &Value) -> TemplateError {
    TemplateError(format!("has an index out of range: {at}"))
}

/// Returns an element. A missing key of a map is an empty text, and a missing element of a list is an error, as in Go.
fn index(value: &Value, keys: &[Value]) -> Result<Value, TemplateError> {
    let mut value = value;
    for key in keys {
        let inner = match (value, key) {
            (Value::Object(map), Value::String(name)) => map.get(name),
            (Value::Array(items), Value::Number(_)) => {
                let item = items.get(whole(key));
                Some(item.ok_or_else(|| out_of_range(key))?)
            }
            (Value::Null, Value::Number(_)) => return Err(out_of_range(key)),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return Ok(Value::from("")),
        }
    }
    Ok(value.clone())
}

/// Returns a part of a text, in bytes, or of a list.
fn slice(value: &Value, bounds: &[Value]) -> Result<Value, TemplateError> {
    let end = length(value);
    let from = bounds.first().map_or(0, whole);
    let to = bounds.get(1).map_or(end, whole);
    if to > end || from > to {
        let wrong = if to > end { to } else { from };
        return Err(out_of_range(&wrong.into()));
    }
    match value {
        Value::String(text) => {
            let part = text.get(from..to);
            part.map(Value::from)
                .ok_or_else(|| out_of_range(&from.into()))
        }
        Value::Array(items) => Ok(items[from..to].into()),
        _ => Err(TemplateError(
            "calls slice of a value that is no text and no list".to_owned(),
        )),
    }
}

/// Returns a number as an index. Any other value becomes the largest index.
fn whole(value: &Value) -> usize {
    let number = value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok());
    number.unwrap_or(usize::MAX)
}

fn compare(left: &Value, right: &Value) -> Result<Ordering, TemplateError> {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => None,
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    };
    order.ok_or_else(|| TemplateError("compares values of different types".to_owned()))
}

fn title(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
