//! Types of variables: `string`, `list(string)`, `object({…})` and so on.

use std::collections::BTreeMap;

use hcl_edit::Span;
use hcl_edit::expr::{Expression, FuncCall};
use pflag::parse_bool;
use serde_json::{Map, Value};

use crate::error::{BakeError, Result};
use crate::value::{boolean, equal, expected, from_number, number, text};

/// A type constraint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Any,
    String,
    Number,
    Bool,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Tuple(Vec<Type>),
    /// The types of the attributes, and whether each may be missing.
    Object(BTreeMap<String, (Type, bool)>),
}

impl Type {
    /// Reads a type.
    pub(crate) fn parse(expression: &Expression) -> Result<Self> {
        match expression {
            Expression::Variable(name) => Self::simple(name.as_str()),
            Expression::String(name) => {
                let inner: Expression = name.value().parse().map_err(|_| unknown(name.value()))?;
                match inner {
                    Expression::String(_) => Err(unknown(name.value())),
                    inner => Self::parse(&inner),
                }
            }
            Expression::FuncCall(call) => Self::of_call(call),
            Expression::Parenthesis(inner) => Self::parse(inner.inner()),
            _ => Err(BakeError::new("expected a type, such as list(string)")),
        }
    }

    fn simple(name: &str) -> Result<Self> {
        Ok(match name {
            "any" => Self::Any,
            "string" => Self::String,
            "number" => Self::Number,
            "bool" => Self::Bool,
            _ => return Err(unknown(name)),
        })
    }

    fn of_call(call: &FuncCall) -> Result<Self> {
        let name = call.name.name.as_str();
        let arguments: Vec<&Expression> = call.args.iter().collect();
        let [inner] = arguments.as_slice() else {
            return Err(BakeError::new(format!("{name}(…) takes one type")));
        };
        let boxed = || Self::parse(inner).map(Box::new);
        Ok(match (name, inner) {
            ("list", _) => Self::List(boxed()?),
            ("set", _) => Self::Set(boxed()?),
            ("map", _) => Self::Map(boxed()?),
            ("tuple", Expression::Array(types)) => {
                let types: Result<Vec<Self>> = types.iter().map(Self::parse).collect();
                Self::Tuple(types?)
            }
            ("object", Expression::Object(attributes)) => {
                let mut types = BTreeMap::new();
                for (key, value) in attributes.iter() {
                    let key = match (key.as_ident(), key.as_expr()) {
                        (Some(name), _) => name.as_str().to_owned(),
                        (_, Some(expression)) => crate::definition::keyword(expression)?,
                        _ => continue,
                    };
                    types.insert(key, Self::attribute(value.expr())?);
                }
                Self::Object(types)
            }
            _ => return Err(unknown(&format!("{name}(…)"))),
        })
    }

    fn attribute(expression: &Expression) -> Result<(Self, bool)> {
        if let Expression::FuncCall(call) = expression
            && call.name.name.as_str() == "optional"
        {
            let mut arguments = call.args.iter();
            let inner = arguments.next().filter(|_| arguments.next().is_none());
            let inner = inner.ok_or_else(|| {
                BakeError::new("optional(…) takes one type").at(0, expression.span())
            })?;
            return Ok((Self::parse(inner)?, true));
        }
        Ok((Self::parse(expression)?, false))
    }

    /// Returns the name of the type, as `--list` prints it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Any => "any".to_owned(),
            Self::String => "string".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::List(inner) => format!("list of {}", inner.name()),
            Self::Set(inner) => format!("set of {}", inner.name()),
            Self::Map(inner) => format!("map of {}", inner.name()),
            Self::Tuple(_) => "tuple".to_owned(),
            Self::Object(_) => "object".to_owned(),
        }
    }

    fn is_primitive(&self) -> bool {
        matches!(self, Self::String | Self::Number | Self::Bool)
    }

    /// Converts a value. Null stays null.
    pub(crate) fn convert(&self, value: Value) -> Result<Value> {
        if value.is_null() {
            return Ok(value);
        }
        match (self, value) {
            (Self::Any, value) => Ok(value),
            (Self::String, value) => text(&value).map(Value::String),
            (Self::Number, value) => number(&value).and_then(from_number),
            (Self::Bool, value) => boolean(&value).map(Value::Bool),
            (Self::List(inner), Value::Array(list)) => {
                let list: Result<Vec<Value>> = list.into_iter().map(|v| inner.convert(v)).collect();
                list.map(Value::Array)
            }
            (Self::Set(inner), Value::Array(list)) => {
                let list: Result<Vec<Value>> = list.into_iter().map(|v| inner.convert(v)).collect();
                Ok(Value::Array(set(list?)))
            }
            (Self::Map(inner), Value::Object(map)) => {
                let pairs = map.into_iter();
                let map: Result<Map<String, Value>> = pairs
                    .map(|(key, value)| Ok((key, inner.convert(value)?)))
                    .collect();
                map.map(Value::Object)
            }
            (Self::Tuple(types), Value::Array(list)) if types.len() == list.len() => {
                let pairs = types.iter().zip(list);
                let list: Result<Vec<Value>> = pairs.map(|(t, v)| t.convert(v)).collect();
                list.map(Value::Array)
            }
            (Self::Object(types), Value::Object(mut map)) => {
                let mut converted = Map::new();
                for (key, (inner, optional)) in types {
                    let value = match map.remove(key) {
                        Some(value) => inner.convert(value)?,
                        None if *optional => Value::Null,
                        None => return Err(BakeError::new(format!("attribute {key} is missing"))),
                    };
                    converted.insert(key.clone(), value);
                }
                Ok(Value::Object(converted))
            }
            (other, value) => Err(expected(&format!("type {}", other.name()), &value)),
        }
    }

    /// Reads the value of a variable of the environment. Lists are CSV, and maps have `key:value` fields.
    pub(crate) fn read(&self, given: &str) -> Result<Value> {
        let fields = || pflag::csv::split(given);
        let primitive = |inner: &Self| {
            let known = inner.is_primitive();
            known.then_some(()).ok_or_else(|| self.needs_json())
        };
        match self {
            Self::String => Ok(Value::from(given)),
            Self::Bool => parse_bool(given)
                .map(Value::Bool)
                .ok_or_else(|| BakeError::new(format!("expected true or false, found {given:?}"))),
            Self::Number => number(&Value::from(given)).and_then(from_number),
            Self::List(inner) | Self::Set(inner) => {
                primitive(inner)?;
                let list: Result<Vec<Value>> =
                    fields().iter().map(|field| inner.read(field)).collect();
                let list = list?;
                let is_set = matches!(self, Self::Set(_));
                Ok(Value::Array(if is_set { set(list) } else { list }))
            }
            Self::Map(inner) => {
                primitive(inner)?;
                let mut map = Map::new();
                for field in fields() {
                    let (key, value) = field.split_once(':').ok_or_else(|| {
                        BakeError::new(format!("expected KEY:VALUE, found {field:?}"))
                    })?;
                    map.insert(key.to_owned(), inner.read(value)?);
                }
                Ok(Value::Object(map))
            }
            Self::Tuple(types) => {
                let fields = fields();
                if types.len() != fields.len() {
                    return Err(BakeError::new(format!(
                        "expected {} fields, found {}",
                        types.len(),
                        fields.len()
                    )));
                }
                let pairs = types.iter().zip(&fields);
                let list: Result<Vec<Value>> = pairs
                    .map(|(inner, field)| primitive(inner).and_then(|()| inner.read(field)))
                    .collect();
                list.map(Value::Array)
            }
            Self::Any | Self::Object(_) => Err(self.needs_json()),
        }
    }

    fn needs_json(&self) -> BakeError {
        BakeError::new(format!(
            "a plain text has no type {}; set NAME_JSON to the value as JSON",
            self.name()
        ))
    }

    /// Returns the type of a value.
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::String(_) | Value::Null => Self::String,
            Value::Array(_) => Self::Any,
            Value::Object(_) => Self::Object(BTreeMap::new()),
        }
    }
}

/// Returns a set: sorted, each value once.
pub(crate) fn set(list: Vec<Value>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for value in list {
        if !found.iter().any(|known| equal(known, &value)) {
            found.push(value);
        }
    }
    found.sort_by(|left, right| match (left, right) {
        (Value::Number(left), Value::Number(right)) => left
            .as_f64()
            .partial_cmp(&right.as_f64())
            .unwrap_or(std::cmp::Ordering::Equal),
        (left, right) => text(left).ok().cmp(&text(right).ok()),
    });
    found
}

fn unknown(name: &str) -> BakeError {
    BakeError::new(format!(
        "unknown type {name}; expected string, number, bool, any, list(…), set(…), map(…), tuple([…]) or object({{…}})"
    ))
}
