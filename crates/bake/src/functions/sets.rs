//! Functions of sets. A set is a sorted list with each value once.

use serde_json::Value;

use super::collections::list;
use super::function::{Function, MANY, function};
use crate::error::Result;
use crate::types::set;
use crate::value::equal;

pub(super) const FUNCTIONS: &[Function] = &[
    function("sethaselement", (2, 2), |a, _| {
        Ok(Value::Bool(has(&list(&a[0])?, &a[1])))
    }),
    function("setunion", (1, MANY), |a, _| {
        let lists: Result<Vec<Vec<Value>>> = a.iter().map(list).collect();
        Ok(Value::Array(set(lists?.concat())))
    }),
    function("setintersection", (1, MANY), |a, _| {
        let mut found = list(&a[0])?;
        for other in &a[1..] {
            let other = list(other)?;
            found.retain(|item| has(&other, item));
        }
        Ok(Value::Array(set(found)))
    }),
    function("setsubtract", (2, 2), |a, _| {
        let other = list(&a[1])?;
        let mut found = list(&a[0])?;
        found.retain(|item| !has(&other, item));
        Ok(Value::Array(set(found)))
    }),
    function("setsymmetricdifference", (1, MANY), |a, _| {
        let mut found = list(&a[0])?;
        for other in &a[1..] {
            let other = list(other)?;
            let added: Vec<Value> = other
                .iter()
                .filter(|item| !has(&found, item))
                .cloned()
                .collect();
            found.retain(|item| !has(&other, item));
            found.extend(added);
        }
        Ok(Value::Array(set(found)))
    }),
];

fn has(list: &[Value], value: &Value) -> bool {
    list.iter().any(|item| equal(item, value))
}
