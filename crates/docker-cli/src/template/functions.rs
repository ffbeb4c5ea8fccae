//! The functions of a template, and the text and the truth of a value.

use serde_json::Value;

use super::error::TemplateError;

pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let few = || TemplateError(format!("calls {name} with too few arguments"));
    let first = || arguments.first().ok_or_else(few);
    let second = || arguments.get(1).ok_or_else(few);
    Ok(match name {
        "json" => first()?.to_string().into(),
        "index" => index(first()?, &arguments[1..]),
        "len" => length(first()?).into(),
        "join" => {
            let parts: Vec<_> = list(first()?).iter().map(show).collect();
            parts.join(&show(second()?)).into()
        }
        "split" => {
            let (text, by) = (show(first()?), show(second()?));
            text.split(by.as_str()).map(Value::from).collect()
        }
        "upper" => show(first()?).to_uppercase().into(),
        "lower" => show(first()?).to_lowercase().into(),
        "eq" => {
            let (left, right) = (first()?, &arguments[1..]);
            right.iter().any(|value| value == left).into()
        }
        "ne" => (first()? != second()?).into(),
        "not" => (!truthy(first()?)).into(),
        "and" => choose(arguments, |value| !truthy(value)).ok_or_else(few)?,
        "or" => choose(arguments, truthy).ok_or_else(few)?,
        "print" => arguments.iter().map(show).collect::<String>().into(),
        "println" => {
            let parts: Vec<_> = arguments.iter().map(show).collect();
            format!("{}\n", parts.join(" ")).into()
        }
        "printf" => printf(&show(first()?), &arguments[1..]).into(),
        _ => {
            return Err(TemplateError(format!(
                "calls {name}, which is not available here"
            )));
        }
    })
}

/// Returns the first value that ends the search, or the last value.
fn choose(arguments: &[Value], ends: impl Fn(&Value) -> bool) -> Option<Value> {
    let found = arguments.iter().find(|value| ends(value));
    found.or(arguments.last()).cloned()
}

fn index(value: &Value, keys: &[Value]) -> Value {
    let mut value = value;
    for key in keys {
        let inner = match (value, key) {
            (Value::Object(map), Value::String(name)) => map.get(name),
            (Value::Array(items), Value::Number(at)) => {
                let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| items.get(at))
            }
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return Value::from(""),
        }
    }
    value.clone()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    }
}

/// Formats `%s`, `%v`, `%d`, `%q` and `%%`. Any other verb prints the plain value.
fn printf(format: &str, arguments: &[Value]) -> String {
    let mut text = String::new();
    let mut arguments = arguments.iter();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => text.push('%'),
            Some('q') => text += &format!("{:?}", arguments.next().map(show).unwrap_or_default()),
            Some(_) => text += &arguments.next().map(show).unwrap_or_default(),
            None => text.push('%'),
        }
    }
    text
}

/// Returns the truth of a value, as Go's text/template does.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        other => length(other) > 0,
    }
}

/// Returns the text of a value, as Go's `%v` does.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", show(value)))
                .collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}
