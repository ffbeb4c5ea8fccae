//! Reads YAML into values. Aliases and merge keys are resolved within a budget.

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use crate::budget::Budget;
use crate::error::{BakeError, Result};

/// Collections within collections.
const DEPTH: usize = 100;

/// Reads the first document of a file.
pub(crate) fn read(file: &str, text: &str) -> Result<Value> {
    let mut reader = Reader {
        file,
        parser: Parser::new_from_str(text),
        anchors: Vec::new(),
        budget: Budget::new(),
        line: 1,
    };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd => return Ok(Value::Null),
            first => return reader.node(first, 0),
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: Vec<(usize, Value)>,
    budget: Budget,
    line: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, message: impl Into<String>) -> BakeError {
        BakeError::in_line(self.file, self.line, message)
    }

    fn next(&mut self) -> Result<Event<'a>> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                let span: Span = span;
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => {
                self.line = error.marker().line();
                Err(self.error(format!("YAML: {error}")))
            }
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Value> {
        if depth > DEPTH {
            return Err(self.error(format!("collections are nested more than {DEPTH} deep")));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain {
                    scalar(&text)
                } else {
                    Value::String(text.into_owned())
                };
                (anchor, value)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        item => list.push(self.node(item, depth + 1)?),
                    }
                }
                (anchor, Value::Array(list))
            }
            Event::MappingStart(_, anchor, _) => (anchor, self.mapping(depth)?),
            Event::Alias(anchor) => {
                let found = self
                    .anchors
                    .iter()
                    .rev()
                    .find(|(known, _)| *known == anchor);
                let found = found.map(|(_, value)| value.clone());
                (
                    0,
                    found.ok_or_else(|| self.error("the alias has no anchor"))?,
                )
            }
            other => return Err(self.error(format!("unexpected {other:?}"))),
        };
        self.budget
            .take_value(&value)
            .map_err(|error| self.error(error.to_string()))?;
        if anchor != 0 {
            self.anchors.push((anchor, value.clone()));
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Result<Value> {
        let (mut map, mut merged) = (Map::new(), Map::new());
        loop {
            let key = match self.next()? {
                Event::MappingEnd => break,
                key => self.node(key, depth + 1)?,
            };
            let key = crate::value::text(&key).map_err(|_| self.error("expected a text as key"))?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            if key == "<<" {
                let sources = match value {
                    Value::Array(list) => list,
                    other => vec![other],
                };
                for source in sources {
                    if let Value::Object(source) = source {
                        for (key, value) in source {
                            merged.entry(key).or_insert(value);
                        }
                    }
                }
            } else if map.insert(key.clone(), value).is_some() {
                return Err(self.error(format!("the key {key} is there twice")));
            }
        }
        for (key, value) in merged {
            map.entry(key).or_insert(value);
        }
        Ok(Value::Object(map))
    }
}

/// Returns the value of a plain scalar, by the core schema of YAML 1.2.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Value::from(integer);
    }
    let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    let float = text
        .chars()
        .all(number)
        .then(|| text.parse::<f64>().ok())
        .flatten();
    let float = float.filter(|float| float.is_finite());
    float.map_or_else(|| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn aliases_and_merge_keys_are_resolved() {
        let text =
            "a: &a\n  x: 1\n  y: \"2\"\nb:\n  <<: *a\n  x: 3\nc: [*a, true, null, 1.5, v1]\n";
        let expected = json!({
            "a": {"x": 1, "y": "2"},
            "b": {"x": 3, "y": "2"},
            "c": [{"x": 1, "y": "2"}, true, null, 1.5, "v1"],
        });
        assert_eq!(read("f", text).unwrap(), expected);
        assert_eq!(read("f", "").unwrap(), Value::Null);
    }

    #[test]
    fn a_wrong_file_is_an_error_with_its_line() {
        let error = |text: &str| read("f.yaml", text).unwrap_err().to_string();
        assert!(
            error("a: 1\nb: [\n").starts_with("f.yaml:"),
            "{}",
            error("a: 1\nb: [\n")
        );
        assert!(error("a: 1\na: 2\n").starts_with("f.yaml:2: the key a"));
    }

    #[test]
    fn aliases_of_aliases_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        let error = read("f.yaml", &text).unwrap_err().to_string();
        assert!(error.contains("too much time and memory"), "{error}");
    }
}
