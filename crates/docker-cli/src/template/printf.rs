//! `printf` of a template. Source: <https://pkg.go.dev/fmt>.

use serde_json::Value;

use super::error::TemplateError;
use super::value::show;

/// The flags, width and precision between `%` and the verb.
#[derive(Debug, Default)]
struct Spec {
    left: bool,
    plus: bool,
    zero: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats `%s`, `%v`, `%q`, `%d`, `%t`, `%x`, `%X`, `%f` and `%%`, with flags, width and precision.
///
/// # Errors
/// [`TemplateError`] for any other verb or flag.
pub(super) fn format(format: &str, arguments: &[Value]) -> Result<String, TemplateError> {
    let mut text = String::new();
    let mut left = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text += before;
        let (spec, after) = spec(after, &mut left)?;
        let mut letters = after.chars();
        match letters.next() {
            None => text += "%!(NOVERB)",
            Some('%') => text.push('%'),
            Some(verb) => match left.next() {
                Some(value) => text += &formatted(verb, &spec, value)?,
                None => text += &format!("%!{verb}(MISSING)"),
            },
        }
        rest = letters.as_str();
    }
    text += rest;
    let extra: Vec<String> = left
        .map(|value| format!("{}={}", kind(value), show(value)))
        .collect();
    if !extra.is_empty() {
        text += &format!("%!(EXTRA {})", extra.join(", "));
    }
    Ok(text)
}

/// Reads the part between `%` and the verb.
fn spec<'a>(
    text: &'a str,
    arguments: &mut std::slice::Iter<'_, Value>,
) -> Result<(Spec, &'a str), TemplateError> {
    let mut spec = Spec::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            '0' => spec.zero = true,
            ' ' => spec.blank = true,
            '#' | '[' => return Err(TemplateError(format!("calls printf with %{first}"))),
            _ => break,
        }
        rest = &rest[1..];
    }
    let (width, after) = number(rest, arguments);
    spec.width = width.unwrap_or(0);
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = number(after, arguments);
        spec.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    Ok((spec, rest))
}

/// Returns a width as a number of at most 1,000.
pub(super) fn bounded(number: u64) -> usize {
    usize::try_from(number.min(1000)).unwrap_or(1000)
}

/// Reads digits, or `*` for the next argument.
fn number<'a>(
    text: &'a str,
    arguments: &mut std::slice::Iter<'_, Value>,
) -> (Option<usize>, &'a str) {
    if let Some(rest) = text.strip_prefix('*') {
        let value = arguments.next().and_then(Value::as_u64);
        return (value.map(bounded), rest);
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].parse().ok().map(bounded), &text[end..])
}

fn formatted(verb: char, spec: &Spec, value: &Value) -> Result<String, TemplateError> {
    let cut = |text: String| match spec.precision {
        Some(letters) => text.chars().take(letters).collect(),
        None => text,
    };
    let sign = |number: &serde_json::Number, digits: String| match number.as_f64() {
        Some(number) if number >= 0.0 && spec.plus => format!("+{digits}"),
        Some(number) if number >= 0.0 && spec.blank => format!(" {digits}"),
        _ => digits,
    };
    let (body, numeric) = match (verb, value) {
        ('v', Value::Number(number)) => (sign(number, number.to_string()), true),
        ('v', _) => (cut(show(value)), false),
        ('s', Value::String(_) | Value::Array(_) | Value::Object(_)) => (cut(show(value)), false),
        ('q', Value::String(text)) => (format!("{:?}", cut(text.clone())), false),
        ('x', Value::String(text)) => (hexadecimal(text), false),
        ('X', Value::String(text)) => (hexadecimal(text).to_uppercase(), false),
        ('t', Value::Bool(on)) => (on.to_string(), false),
        ('d', Value::Number(number)) if !number.is_f64() => {
            (sign(number, number.to_string()), true)
        }
        ('x', Value::Number(number)) if number.is_u64() => {
            (format!("{:x}", number.as_u64().unwrap_or_default()), true)
        }
        ('X', Value::Number(number)) if number.is_u64() => {
            (format!("{:X}", number.as_u64().unwrap_or_default()), true)
        }
        ('f', Value::Number(number)) if number.is_f64() => {
            let digits = spec.precision.unwrap_or(6);
            let text = format!("{:.*}", digits, number.as_f64().unwrap_or_default());
            (sign(number, text), true)
        }
        ('s' | 'q' | 'd' | 't' | 'x' | 'X' | 'f', _) => {
            (format!("%!{verb}({}={})", kind(value), show(value)), false)
        }
        (verb, _) => {
            return Err(TemplateError(format!(
                "calls printf with %{verb}, which is not available here"
            )));
        }
    };
    Ok(padded(body, numeric, spec))
}

fn padded(body: String, numeric: bool, spec: &Spec) -> String {
    let missing = spec.width.saturating_sub(body.chars().count());
    if spec.left {
        return body + &" ".repeat(missing);
    }
    if !spec.zero {
        return " ".repeat(missing) + &body;
    }
    let signed = numeric && body.starts_with(['-', '+', ' ']);
    let (sign, digits) = body.split_at(usize::from(signed));
    format!("{sign}{}{digits}", "0".repeat(missing))
}

fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns Go's name of a value's type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::Array(_) => "[]string",
        Value::Object(_) => "map[string]string",
        Value::Null => "<nil>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Each expectation is the output of Go 1.26.
    #[test]
    fn verbs_and_flags_are_those_of_go() {
        for (text, arguments, expected) in [
            (
                "%.3s|%8s|%-8s|",
                json!(["linux", "linux", "linux"]),
                "lin|   linux|linux   |",
            ),
            ("%v %q", json!(["a", "b\"c"]), r#"a "b\"c""#),
            (
                "%5d|%-5d|%05d|%+d",
                json!([42, 42, 42, 42]),
                "   42|42   |00042|+42",
            ),
            ("%x %X %x", json!(["hi", "hi", 255]), "6869 6869 ff"),
            ("%t %v", json!([true, false]), "true false"),
            ("%*d|%.*s", json!([5, 42, 2, "linux"]), "   42|li"),
            ("100%% %s", json!(["a"]), "100% a"),
            ("%s", json!([]), "%!s(MISSING)"),
            ("a", json!(["b"]), "a%!(EXTRA string=b)"),
            ("%d", json!(["linux"]), "%!d(string=linux)"),
            ("%s", json!([7]), "%!s(int=7)"),
            ("%", json!([]), "%!(NOVERB)"),
            ("%.2f", json!([1.5]), "1.50"),
        ] {
            let arguments = arguments.as_array().unwrap();
            assert_eq!(format(text, arguments).unwrap(), expected, "{text}");
        }
        for text in ["%z", "%#v", "%[1]s", "%e"] {
            let error = format(text, &[json!("a")]).unwrap_err().to_string();
            assert!(error.contains("calls printf with %"), "{text}: {error}");
        }
    }
}
