//! Regular expressions. The crate regex-lite takes time in proportion to the text.

use regex_lite::{Captures, Regex};
use serde_json::{Map, Value};

use super::function::{Function, function};
use crate::budget::Context;
use crate::error::{BakeError, Result};
use crate::value::text;

pub(super) const FUNCTIONS: &[Function] = &[
    function("regex", (2, 2), |a, context| {
        let (pattern, whole) = (compile(&a[0])?, searched(&a[1], context)?);
        let found = pattern.captures(&whole);
        let found = found.ok_or_else(|| BakeError::new("the text does not match"))?;
        Ok(captured(&pattern, &found))
    }),
    function("regexall", (2, 2), |a, context| {
        let (pattern, whole) = (compile(&a[0])?, searched(&a[1], context)?);
        let all = pattern.captures_iter(&whole);
        Ok(all.map(|found| captured(&pattern, &found)).collect())
    }),
    function("regex_replace", (3, 3), |a, context| {
        let (whole, pattern) = (searched(&a[0], context)?, compile(&a[1])?);
        let new = text(&a[2])?;
        let count = pattern.find_iter(&whole).count();
        let most = new.len().saturating_mul(whole.len() + 1);
        context
            .budget
            .take(count.saturating_mul(most.min(new.len() + whole.len())))?;
        Ok(Value::String(
            pattern.replace_all(&whole, new.as_str()).into_owned(),
        ))
    }),
];

fn compile(value: &Value) -> Result<Regex> {
    Regex::new(&text(value)?).map_err(|error| BakeError::new(error.to_string()))
}

/// Returns a text to search. A search costs more than a copy.
fn searched(value: &Value, context: &mut Context) -> Result<String> {
    let whole = text(value)?;
    context.budget.take(whole.len().saturating_mul(16))?;
    Ok(whole)
}

/// Returns the match, or its groups: an object if they have names, and otherwise a list.
fn captured(pattern: &Regex, found: &Captures<'_>) -> Value {
    let group = |index: usize| {
        let text = found.get(index).map(|group| group.as_str());
        text.map_or(Value::Null, Value::from)
    };
    let names: Vec<Option<&str>> = pattern.capture_names().collect();
    if names.len() == 1 {
        return group(0);
    }
    if names.iter().any(Option::is_some) {
        let named = names.iter().enumerate();
        let named = named.filter_map(|(at, name)| name.map(|name| (name.to_owned(), group(at))));
        return Value::Object(named.collect::<Map<String, Value>>());
    }
    (1..names.len()).map(group).collect()
}
