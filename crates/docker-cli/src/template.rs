//! Go's templates with the parts that `--format` needs: fields, pipes, `if`, `with`, `range` and Docker's functions.

mod error;
mod functions;
mod parse;

use serde_json::Value;

pub(super) use error::TemplateError;
use parse::{Node, Term};

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template(Vec<Node>);

/// The values of `.` and `$`.
#[derive(Clone, Copy)]
struct Scope<'a> {
    dot: &'a Value,
    root: &'a Value,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::parse(text).map(Self)
    }

    pub(super) fn render(&self, value: &Value) -> Result<String, TemplateError> {
        let mut text = String::new();
        let scope = Scope {
            dot: value,
            root: value,
        };
        render(&self.0, scope, &mut text)?;
        Ok(text)
    }

    /// Returns whether a template uses a field.
    pub(super) fn uses_field(text: &str, field: &str) -> bool {
        text.contains(&format!(".{field}"))
    }
}

fn render(nodes: &[Node], scope: Scope<'_>, to: &mut String) -> Result<(), TemplateError> {
    for node in nodes {
        match node {
            Node::Text(text) => to.push_str(text),
            Node::Action(pipe) => to.push_str(&functions::show(&pipeline(pipe, scope)?)),
            Node::If(pipe, yes, no) => {
                let branch = if functions::truthy(&pipeline(pipe, scope)?) {
                    yes
                } else {
                    no
                };
                render(branch, scope, to)?;
            }
            Node::With(pipe, yes, no) => match pipeline(pipe, scope)? {
                dot if functions::truthy(&dot) => render(yes, Scope { dot: &dot, ..scope }, to)?,
                _ => render(no, scope, to)?,
            },
            Node::Range(pipe, body, no) => {
                let items = match pipeline(pipe, scope)? {
                    Value::Array(items) => items,
                    Value::Object(map) => map.into_iter().map(|(_, value)| value).collect(),
                    _ => Vec::new(),
                };
                if items.is_empty() {
                    render(no, scope, to)?;
                }
                for dot in &items {
                    render(body, Scope { dot, ..scope }, to)?;
                }
            }
        }
    }
    Ok(())
}

/// Evaluates a pipeline. The result of each command is the last argument of the next.
fn pipeline(pipe: &[Vec<Term>], scope: Scope<'_>) -> Result<Value, TemplateError> {
    let mut result = None;
    for command in pipe {
        let mut arguments = Vec::new();
        let (function, rest) = match command.split_first() {
            Some((Term::Function(name), rest)) => (Some(name), rest),
            _ => (None, command.as_slice()),
        };
        for term in rest {
            arguments.push(evaluate(term, scope)?);
        }
        arguments.extend(result.take());
        result = Some(match function {
            Some(name) => functions::call(name, &arguments)?,
            None if arguments.len() == 1 => arguments.remove(0),
            None => return Err(TemplateError("has arguments without a function".to_owned())),
        });
    }
    result.ok_or_else(|| TemplateError("has an empty action".to_owned()))
}

fn evaluate(term: &Term, scope: Scope<'_>) -> Result<Value, TemplateError> {
    match term {
        Term::Dot(path) => follow(scope.dot.clone(), path),
        Term::Root(path) => follow(scope.root.clone(), path),
        Term::Literal(value) => Ok(value.clone()),
        Term::Group(pipe, path) => follow(pipeline(pipe, scope)?, path),
        Term::Function(name) => functions::call(name, &[]),
    }
}

fn follow(mut value: Value, path: &[String]) -> Result<Value, TemplateError> {
    for name in path {
        value = match value {
            Value::Object(mut map) => match map.remove(name) {
                Some(inner) => inner,
                None => {
                    let known: Vec<_> = map.keys().map(String::as_str).collect();
                    let known = known.join(", ");
                    return Err(TemplateError(format!(
                        "requests the field {name}; the fields are {known}"
                    )));
                }
            },
            Value::Null => Value::Null,
            _ => {
                return Err(TemplateError(format!(
                    "requests the field {name} of a value without fields"
                )));
            }
        };
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn show(text: &str) -> String {
        let value = json!({
            "Id": "sha256:ab", "Size": 12, "On": true, "None": null,
            "Config": {"Env": ["A=1", "B=2"], "Labels": {"a.b": "c"}},
        });
        match Template::parse(text).and_then(|template| template.render(&value)) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_templates_of_scripts_are_rendered() {
        for (template, expected) in [
            ("{{.Id}}", "sha256:ab"),
            ("{{ .Id }}-{{.Size}} {{.On}}", "sha256:ab-12 true"),
            ("{{json .Config.Labels}}", r#"{"a.b":"c"}"#),
            ("{{.Config.Labels | json}}", r#"{"a.b":"c"}"#),
            (r#"{{index .Config.Labels "a.b"}}"#, "c"),
            (r#"{{ index .Config.Labels "no" }}"#, ""),
            ("{{index .Config.Env 1}}", "B=2"),
            ("{{(index .Config.Env 0)}}", "A=1"),
            ("{{range .Config.Env}}{{.}} {{end}}", "A=1 B=2 "),
            ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
            (r#"{{join .Config.Env ","}}"#, "A=1,B=2"),
            ("{{.Config.Env}}", "[A=1 B=2]"),
            ("{{.Config.Labels}}", "map[a.b:c]"),
            ("{{if .On}}yes{{else}}no{{end}}", "yes"),
            (
                r#"{{if eq .Size 13}}a{{else if .None}}b{{else}}c{{end}}"#,
                "c",
            ),
            ("{{with .Config}}{{len .Env}}{{$.Id}}{{end}}", "2sha256:ab"),
            ("a {{- .Size -}} b", "a12b"),
            (r#"{{printf "%s/%d" .Id .Size}}"#, "sha256:ab/12"),
            ("{{upper .Id}}", "SHA256:AB"),
            ("{{`raw`}}", "raw"),
        ] {
            assert_eq!(show(template), expected, "{template}");
        }
    }

    #[test]
    fn an_error_names_the_mistake() {
        for (template, expected) in [
            (
                "{{.Nope}}",
                "requests the field Nope; the fields are Config",
            ),
            ("{{.Id", "has an action that does not end"),
            ("{{if .Id}}", "lacks an {{end}}"),
            ("{{end}}", "has an {{end}} too many"),
            ("{{nope .Id}}", "calls nope"),
            ("{{$x := .Id}}", "has a variable"),
        ] {
            assert!(
                show(template).contains(expected),
                "{template}: {}",
                show(template)
            );
        }
    }
}
