//! The JSON form of a definition: objects are blocks, and texts are templates.

use hcl_edit::expr::{Array, Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::template::{HeredocTemplate, Template};
use hcl_edit::{Decorated, Formatted, Ident, Number};
use serde_json::{Map, Value};

use crate::definition::{Attribute, Block, Definition};
use crate::error::{BakeError, Result};

impl Definition {
    /// Adds a JSON file.
    pub(crate) fn add_json(&mut self, file: usize, name: &str, text: &str) -> Result<()> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| BakeError::in_line(name, error.line(), error.to_string()))?;
        let Value::Object(root) = value else {
            return Err(BakeError::in_line(name, 1, "expected an object"));
        };
        for (key, value) in root {
            if !matches!(key.as_str(), "variable" | "function" | "group" | "target") {
                let expression = expression(&value)
                    .map_err(|error| BakeError::new(format!("{name}: {key}: {error}")))?;
                self.attributes.insert(key, Attribute { file, expression });
                continue;
            }
            for (label, body) in bodies(value) {
                let block = block(file, &label, body)
                    .map_err(|error| BakeError::new(format!("{name}: {key}.{label}: {error}")))?;
                self.add_block(&key, block)?;
            }
        }
        Ok(())
    }
}

/// Returns the labels and bodies of an object of blocks. Each level may be a list of objects.
fn bodies(value: Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for object in list(value) {
        if let Value::Object(object) = object {
            for (label, body) in object {
                found.extend(list(body).into_iter().map(|body| (label.clone(), body)));
            }
        }
    }
    found
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        other => vec![other],
    }
}

fn block(file: usize, label: &str, body: Value) -> Result<Block> {
    let Value::Object(body) = body else {
        return Err(BakeError::new("expected an object"));
    };
    let mut block = Block {
        file,
        label: label.to_owned(),
        ..Block::default()
    };
    for (key, value) in body {
        if key == "validation" {
            for inner in list(value) {
                block.inner.push(self::block(file, "", inner)?);
            }
            continue;
        }
        let expression =
            expression(&value).map_err(|error| BakeError::new(format!("{key}: {error}")))?;
        block.attributes.insert(key, Attribute { file, expression });
    }
    Ok(block)
}

fn expression(value: &Value) -> Result<Expression> {
    Ok(match value {
        Value::Null => Expression::null(),
        Value::Bool(on) => Expression::Bool(Decorated::new(*on)),
        Value::Number(number) => {
            let integer = number.as_i64().map(Number::from);
            let float = || number.as_f64().and_then(Number::from_f64);
            let number = integer.or_else(float);
            Expression::Number(Formatted::new(number.unwrap_or(Number::from(0))))
        }
        Value::String(text) => template(text)?,
        Value::Array(list) => {
            let list: Result<Array> = list.iter().map(expression).collect();
            Expression::Array(list?)
        }
        Value::Object(map) => Expression::Object(object(map)?),
    })
}

fn object(map: &Map<String, Value>) -> Result<Object> {
    let mut object = Object::new();
    for (key, value) in map {
        let key = ObjectKey::Expression(template(key)?);
        object.insert(key, ObjectValue::new(expression(value)?));
    }
    Ok(object)
}

/// Returns a text as a template, if it has an interpolation or a directive.
fn template(text: &str) -> Result<Expression> {
    if !text.contains("${") && !text.contains("%{") {
        return Ok(Expression::String(Decorated::new(text.to_owned())));
    }
    let template: Template = text.parse().map_err(|error: hcl_edit::parser::Error| {
        BakeError::new(format!("template {text:?}: {}", error.message()))
    })?;
    // As in a here-document, the literals have no escapes.
    let heredoc = HeredocTemplate::new(Ident::new("EOT"), template);
    Ok(Expression::HeredocTemplate(Box::new(heredoc)))
}
