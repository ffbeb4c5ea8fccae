//! Functions of lists and objects.

use serde_json::{Map, Value};

use super::function::{Function, MANY, function, optional};
use crate::budget::Context;
use crate::error::{BakeError, Result};
use crate::types::set;
use crate::value::{element, elements, equal, expected, from_number, integer, number, text};

pub(super) const FUNCTIONS: &[Function] = &[
    function("length", (1, 1), |a, _| match &a[0] {
        Value::String(text) => Ok(Value::from(text.chars().count())),
        other => Ok(Value::from(elements(other)?.len())),
    }),
    function("concat", (1, MANY), |a, _| {
        let lists: Result<Vec<Vec<Value>>> = a.iter().map(list).collect();
        Ok(Value::Array(lists?.concat()))
    }),
    function("contains", (2, 2), |a, _| {
        let found = elements(&a[0])?.iter().any(|item| equal(item, &a[1]));
        Ok(Value::Bool(found))
    }),
    function("compact", (1, 1), |a, _| {
        let kept = list(&a[0])?.into_iter();
        Ok(kept
            .filter(|item| !item.is_null() && item.as_str() != Some(""))
            .collect())
    }),
    function("distinct", (1, 1), |a, _| {
        let mut found: Vec<Value> = Vec::new();
        for item in list(&a[0])? {
            if !found.iter().any(|known| equal(known, &item)) {
                found.push(item);
            }
        }
        Ok(Value::Array(found))
    }),
    function("flatten", (1, 1), |a, _| {
        Ok(Value::Array(flatten(list(&a[0])?)))
    }),
    function("reverselist", (1, 1), |a, _| {
        Ok(list(&a[0])?.into_iter().rev().collect())
    }),
    function("sort", (1, 1), |a, _| {
        let texts: Result<Vec<String>> = list(&a[0])?.iter().map(text).collect();
        let mut texts = texts?;
        texts.sort();
        Ok(Value::from(texts))
    }),
    function("element", (2, 2), |a, _| {
        let list = list(&a[0])?;
        let count = i64::try_from(list.len()).unwrap_or(i64::MAX);
        if count == 0 {
            return Err(BakeError::new("the list is empty"));
        }
        element(&a[0], &Value::from(integer(&a[1])?.rem_euclid(count)))
    }),
    function("index", (2, 2), |a, _| element(&a[0], &a[1])),
    function("hasindex", (2, 2), |a, _| {
        Ok(Value::Bool(element(&a[0], &a[1]).is_ok()))
    }),
    function("indexof", (2, 2), |a, _| {
        let at = list(&a[0])?.iter().position(|item| equal(item, &a[1]));
        at.map(Value::from)
            .ok_or_else(|| BakeError::new("the list has no such element"))
    }),
    function("slice", (2, 3), slice),
    function("chunklist", (2, 2), |a, _| {
        let size =
            usize::try_from(integer(&a[1])?).map_err(|_| BakeError::new("the size is negative"))?;
        let list = list(&a[0])?;
        let size = if size == 0 { list.len().max(1) } else { size };
        Ok(list.chunks(size).map(Value::from).collect())
    }),
    function("range", (1, 3), range),
    function("coalesce", (1, MANY), |a, _| {
        let mut found = a.iter().filter(|value| !value.is_null());
        let found = found.next().cloned();
        found.ok_or_else(|| BakeError::new("all arguments are null"))
    }),
    function("coalescelist", (1, MANY), |a, _| {
        for value in a {
            if !elements(value)?.is_empty() {
                return Ok(value.clone());
            }
        }
        Err(BakeError::new("all lists are empty"))
    }),
    function("keys", (1, 1), |a, _| {
        Ok(object(&a[0])?
            .keys()
            .map(String::as_str)
            .map(Value::from)
            .collect())
    }),
    function("values", (1, 1), |a, _| {
        Ok(object(&a[0])?.values().cloned().collect())
    }),
    function("lookup", (2, 3), |a, _| {
        let found = object(&a[0])?.get(&text(&a[1])?).cloned();
        found
            .or_else(|| a.get(2).cloned())
            .ok_or_else(|| BakeError::new("the object has no such key, and there is no default"))
    }),
    function("merge", (1, MANY), |a, _| {
        let mut merged = Map::new();
        for value in a.iter().filter(|value| !value.is_null()) {
            merged.extend(object(value)?.clone());
        }
        Ok(Value::Object(merged))
    }),
    function("zipmap", (2, 2), |a, _| {
        let (keys, values) = (list(&a[0])?, list(&a[1])?);
        if keys.len() != values.len() {
            return Err(BakeError::new("the lists have different lengths"));
        }
        let pairs = keys.iter().zip(values);
        let map: Result<Map<String, Value>> =
            pairs.map(|(key, value)| Ok((text(key)?, value))).collect();
        map.map(Value::Object)
    }),
    function("setproduct", (1, MANY), product),
];

pub(super) fn list(value: &Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(list) => Ok(list.clone()),
        other => Err(expected("a list", other)),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value
        .as_object()
        .ok_or_else(|| expected("an object", value))
}

fn flatten(list: Vec<Value>) -> Vec<Value> {
    let mut flat = Vec::new();
    for item in list {
        match item {
            Value::Array(inner) => flat.extend(flatten(inner)),
            other => flat.push(other),
        }
    }
    flat
}

fn slice(arguments: &[Value], _: &mut Context) -> Result<Value> {
    let list = list(&arguments[0])?;
    let start = usize::try_from(integer(&arguments[1])?).unwrap_or(usize::MAX);
    let end = match optional(arguments, 2) {
        Some(end) => usize::try_from(integer(end)?).unwrap_or(usize::MAX),
        None => list.len(),
    };
    let piece = list.get(start..end).ok_or_else(|| {
        BakeError::new(format!(
            "{start} to {end} is outside of a list of {}",
            list.len()
        ))
    })?;
    Ok(Value::from(piece))
}

fn range(arguments: &[Value], context: &mut Context) -> Result<Value> {
    let numbers: Result<Vec<f64>> = arguments.iter().map(number).collect();
    let (start, end, step) = match numbers?.as_slice() {
        [end] => (0.0, *end, if *end < 0.0 { -1.0 } else { 1.0 }),
        [start, end] => (*start, *end, if end < start { -1.0 } else { 1.0 }),
        [start, end, step, ..] => (*start, *end, *step),
        [] => (0.0, 0.0, 1.0),
    };
    if step == 0.0 || (end - start) * step < 0.0 {
        return Err(BakeError::new(
            "the step does not lead from the start to the end",
        ));
    }
    let (mut list, mut at) = (Vec::new(), start);
    while (step > 0.0 && at < end) || (step < 0.0 && at > end) {
        context.budget.take_elements(1)?;
        list.push(from_number(at)?);
        at += step;
    }
    Ok(Value::Array(list))
}

fn product(arguments: &[Value], context: &mut Context) -> Result<Value> {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for argument in arguments {
        let list = list(argument)?;
        let mut longer = Vec::new();
        for row in &rows {
            for item in &list {
                context.budget.take_elements(row.len() + 1)?;
                let mut row = row.clone();
                row.push(item.clone());
                longer.push(row);
            }
        }
        rows = longer;
    }
    Ok(Value::Array(set(rows
        .into_iter()
        .map(Value::Array)
        .collect())))
}
