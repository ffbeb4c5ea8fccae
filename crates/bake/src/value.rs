//! Values of expressions, and HCL's conversions between them. A number is an integer if it has no fraction.

use serde_json::{Number, Value};

use crate::error::{BakeError, Result};

/// Up to here a float holds every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns the kind of a value, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

pub(crate) fn from_number(number: f64) -> Result<Value> {
    #[allow(clippy::cast_possible_truncation)]
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Ok(Value::from(number as i64));
    }
    let number = Number::from_f64(number);
    number.map(Value::Number).ok_or_else(|| {
        BakeError::new("the result is no finite number; check for a division by zero")
    })
}

/// Returns a text, as HCL converts strings, numbers and bools.
pub(crate) fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(on) => Ok(on.to_string()),
        Value::Number(number) => Ok(number_text(number)),
        other => Err(expected("a string", other)),
    }
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format!("{float}"),
        _ => number.to_string(),
    }
}

pub(crate) fn number(value: &Value) -> Result<f64> {
    let found = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|float: &f64| float.is_finite()),
        _ => None,
    };
    found.ok_or_else(|| expected("a number", value))
}

/// Returns an integer that is the number of something.
pub(crate) fn integer(value: &Value) -> Result<i64> {
    let float = number(value)?;
    #[allow(clippy::cast_possible_truncation)]
    if float.fract() == 0.0 && float.abs() < EXACT {
        return Ok(float as i64);
    }
    Err(expected("a whole number", value))
}

pub(crate) fn boolean(value: &Value) -> Result<bool> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(expected("a bool", other)),
    }
}

/// Returns the elements of a list, or the values of an object.
pub(crate) fn elements(value: &Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(list) => Ok(list.clone()),
        Value::Object(map) => Ok(map.values().cloned().collect()),
        other => Err(expected("a list", other)),
    }
}

/// Returns the error of a value of another kind. It shows short values only.
pub(crate) fn expected(what: &str, found: &Value) -> BakeError {
    let shown = match found {
        Value::String(text) if text.len() < 40 => format!("the string {text:?}"),
        Value::Number(number) => format!("the number {number}"),
        other => kind(other).to_owned(),
    };
    BakeError::new(format!("expected {what}, found {shown}"))
}

/// Compares as HCL does: `1` and `1.0` are equal.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (left, right) => left == right,
    }
}

/// Returns an attribute of an object.
pub(crate) fn attribute(value: &Value, name: &str) -> Result<Value> {
    match value {
        Value::Object(map) => map.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = map.keys().map(String::as_str).collect();
            BakeError::new(format!(
                "the object has no attribute {name}; it has: {}",
                known.join(", ")
            ))
        }),
        other => Err(expected(&format!("an object with {name}"), other)),
    }
}

/// Returns the element of a list or of an object.
pub(crate) fn element(value: &Value, key: &Value) -> Result<Value> {
    match value {
        Value::Object(_) => attribute(value, &text(key)?),
        Value::Array(list) => {
            let index = integer(key)?;
            let found = usize::try_from(index).ok().and_then(|at| list.get(at));
            found.cloned().ok_or_else(|| {
                BakeError::new(format!(
                    "the list has {} elements, and none at {index}",
                    list.len()
                ))
            })
        }
        other => Err(expected("a list or an object before [", other)),
    }
}
