//! Functions of texts and of paths.

use serde_json::Value;

use super::function::{Function, MANY, function};
use super::printf;
use crate::budget::Context;
use crate::error::{BakeError, Result};
use crate::value::{elements, integer, text};

pub(super) const FUNCTIONS: &[Function] = &[
    function("lower", (1, 1), |a, _| map(a, str::to_lowercase)),
    function("upper", (1, 1), |a, _| map(a, str::to_uppercase)),
    function("title", (1, 1), |a, _| map(a, title)),
    function("chomp", (1, 1), |a, _| {
        map(a, |t| t.trim_end_matches(['\r', '\n']).to_owned())
    }),
    function("trimspace", (1, 1), |a, _| map(a, |t| t.trim().to_owned())),
    function("trim", (2, 2), |a, _| {
        let cut: Vec<char> = text(&a[1])?.chars().collect();
        map(a, |t| t.trim_matches(cut.as_slice()).to_owned())
    }),
    function("trimprefix", (2, 2), |a, _| {
        let prefix = text(&a[1])?;
        map(a, |t| t.strip_prefix(&prefix).unwrap_or(t).to_owned())
    }),
    function("trimsuffix", (2, 2), |a, _| {
        let suffix = text(&a[1])?;
        map(a, |t| t.strip_suffix(&suffix).unwrap_or(t).to_owned())
    }),
    function("reverse", (1, 1), |a, _| {
        map(a, |t| t.chars().rev().collect())
    }),
    function("sanitize", (1, 1), |a, _| {
        map(a, |t| {
            let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            t.chars().map(|c| if keep(c) { c } else { '_' }).collect()
        })
    }),
    function("strlen", (1, 1), |a, _| {
        Ok(Value::from(text(&a[0])?.chars().count()))
    }),
    function("substr", (3, 3), substr),
    function("replace", (3, 3), replace),
    function("indent", (2, 2), indent),
    function("join", (1, MANY), join),
    function("split", (2, 2), |a, context| {
        let (separator, whole) = (text(&a[0])?, text(&a[1])?);
        context.budget.take_elements(whole.len())?;
        Ok(if separator.is_empty() {
            whole.chars().map(|c| Value::from(c.to_string())).collect()
        } else {
            whole.split(&separator).map(Value::from).collect()
        })
    }),
    function("format", (1, MANY), |a, context| {
        printf::format(&text(&a[0])?, &a[1..], context).map(Value::String)
    }),
    function("formatlist", (1, MANY), format_list),
    function("basename", (1, 1), |a, _| map(a, base_name)),
    function("dirname", (1, 1), |a, _| map(a, directory)),
];

fn map(arguments: &[Value], with: impl Fn(&str) -> String) -> Result<Value> {
    Ok(Value::String(with(&text(&arguments[0])?)))
}

fn title(whole: &str) -> String {
    let mut written = String::new();
    let mut inside = false;
    for letter in whole.chars() {
        if inside {
            written.push(letter);
        } else {
            written.extend(letter.to_uppercase());
        }
        inside = letter.is_alphanumeric();
    }
    written
}

fn substr(arguments: &[Value], _: &mut Context) -> Result<Value> {
    let letters: Vec<char> = text(&arguments[0])?.chars().collect();
    let (offset, length) = (integer(&arguments[1])?, integer(&arguments[2])?);
    let count = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { count + offset } else { offset };
    let start = start.clamp(0, count);
    let end = if length < 0 {
        count
    } else {
        start.saturating_add(length).min(count)
    };
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    Ok(Value::String(letters[range].iter().collect()))
}

fn replace(arguments: &[Value], context: &mut Context) -> Result<Value> {
    let (whole, old) = (text(&arguments[0])?, text(&arguments[1])?);
    let new = text(&arguments[2])?;
    let count = whole.matches(&old).count();
    context.budget.take(count.saturating_mul(new.len()))?;
    Ok(Value::String(whole.replace(&old, &new)))
}

fn indent(arguments: &[Value], context: &mut Context) -> Result<Value> {
    let count = usize::try_from(integer(&arguments[0])?)
        .map_err(|_| BakeError::new("the number of spaces is negative"))?;
    let whole = text(&arguments[1])?;
    let lines = whole.matches('\n').count();
    context
        .budget
        .take(lines.saturating_add(1).saturating_mul(count))?;
    Ok(Value::String(
        whole.replace('\n', &format!("\n{}", " ".repeat(count))),
    ))
}

fn join(arguments: &[Value], context: &mut Context) -> Result<Value> {
    let separator = text(&arguments[0])?;
    let mut pieces = Vec::new();
    for list in &arguments[1..] {
        for item in elements(list)? {
            context.budget.take(separator.len())?;
            pieces.push(text(&item)?);
        }
    }
    Ok(Value::String(pieces.join(&separator)))
}

/// Formats once for each element of the lists among the arguments.
fn format_list(arguments: &[Value], context: &mut Context) -> Result<Value> {
    let pattern = text(&arguments[0])?;
    let lists = arguments[1..].iter().filter_map(Value::as_array);
    let mut lengths: Vec<usize> = lists.map(Vec::len).collect();
    lengths.dedup();
    let count = match lengths.as_slice() {
        [] => 1,
        [one] => *one,
        _ => return Err(BakeError::new("the lists have different lengths")),
    };
    let mut written = Vec::new();
    for index in 0..count {
        let row = arguments[1..].iter().map(|value| match value {
            Value::Array(list) => list[index].clone(),
            other => other.clone(),
        });
        let row: Vec<Value> = row.collect();
        written.push(Value::String(printf::format(&pattern, &row, context)?));
    }
    Ok(Value::Array(written))
}

fn base_name(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match (path, trimmed) {
        ("", _) => ".".to_owned(),
        (_, "") => "/".to_owned(),
        (_, path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

fn directory(path: &str) -> String {
    let parent = path.rfind('/').map_or("", |at| &path[..=at]);
    crate::paths::clean(parent)
}
