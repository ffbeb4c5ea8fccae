//! Go's templates with the parts that `--format` needs: fields, variables, pipes, `if`, `with`, `range` and Docker's functions.

mod error;
mod fields;
mod functions;
mod lex;
mod parse;
mod printf;
mod value;

use serde_json::Value;

pub(super) use error::TemplateError;
use parse::{Node, Pipe, Term};

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template(Vec<Node>);

/// The variables, the last one innermost. The first is `$`, which has an empty name.
type Variables = Vec<(String, Value)>;

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::parse(text).map(Self)
    }

    pub(super) fn render(&self, value: &Value) -> Result<String, TemplateError> {
        let mut text = String::new();
        let mut variables = vec![(String::new(), value.clone())];
        render(&self.0, value, &mut variables, &mut text)?;
        Ok(text)
    }
}

/// Renders a block. Its variables end with it.
fn block(
    nodes: &[Node],
    dot: &Value,
    variables: &mut Variables,
    to: &mut String,
) -> Result<(), TemplateError> {
    let outer = variables.len();
    let result = render(nodes, dot, variables, to);
    variables.truncate(outer);
    result
}

fn render(
    nodes: &[Node],
    dot: &Value,
    variables: &mut Variables,
    to: &mut String,
) -> Result<(), TemplateError> {
    for node in nodes {
        let outer = variables.len();
        match node {
            Node::Text(text) => to.push_str(text),
            Node::Action(pipe) => {
                let value = pipeline(pipe, dot, variables)?;
                if pipe.variables.is_empty() {
                    let nil = fields::nil(pipe).filter(|_| value.is_null());
                    to.push_str(&nil.map_or_else(|| value::show(&value), str::to_owned));
                }
                continue;
            }
            Node::If(pipe, yes, no) => {
                let value = pipeline(pipe, dot, variables)?;
                let branch = if value::truthy(&value) { yes } else { no };
                block(branch, dot, variables, to)?;
            }
            Node::With(pipe, yes, no) => match pipeline(pipe, dot, variables)? {
                inner if value::truthy(&inner) => block(yes, &inner, variables, to)?,
                _ => block(no, dot, variables, to)?,
            },
            Node::Range(pipe, body, no) => {
                let items = items(evaluate_all(&pipe.commands, dot, variables)?);
                if items.is_empty() {
                    block(no, dot, variables, to)?;
                }
                for (key, value) in items {
                    match pipe.variables.as_slice() {
                        [] => {}
                        [one] => set(pipe, one, value.clone(), variables)?,
                        [first, second, ..] => {
                            set(pipe, first, key, variables)?;
                            set(pipe, second, value.clone(), variables)?;
                        }
                    }
                    block(body, &value, variables, to)?;
                    variables.truncate(outer);
                }
            }
        }
        variables.truncate(outer);
    }
    Ok(())
}

/// Returns the pairs that a range visits. Maps are visited in the order of their keys.
fn items(value: Value) -> Vec<(Value, Value)> {
    match value {
        Value::Array(items) => (0..).map(Value::from).zip(items).collect(),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.into_iter().collect();
            pairs.sort_by(|left, right| left.0.cmp(&right.0));
            let pairs = pairs.into_iter();
            pairs.map(|(key, value)| (key.into(), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// Gives a variable its value. Without `:=` it must exist.
fn set(
    pipe: &Pipe,
    name: &str,
    value: Value,
    variables: &mut Variables,
) -> Result<(), TemplateError> {
    if pipe.declares {
        variables.push((name.to_owned(), value));
        return Ok(());
    }
    let found = variables.iter_mut().rev().find(|(known, _)| known == name);
    let found = found.ok_or_else(|| undefined(name))?;
    found.1 = value;
    Ok(())
}

fn undefined(name: &str) -> TemplateError {
    TemplateError(format!("uses the variable ${name}, which is not defined"))
}

/// Evaluates a pipeline, and gives its result to its variable.
fn pipeline(pipe: &Pipe, dot: &Value, variables: &mut Variables) -> Result<Value, TemplateError> {
    let value = evaluate_all(&pipe.commands, dot, variables)?;
    if let Some(name) = pipe.variables.first() {
        set(pipe, name, value.clone(), variables)?;
    }
    Ok(value)
}

/// Evaluates commands. The result of each is the last argument of the next.
fn evaluate_all(
    commands: &[Vec<Term>],
    dot: &Value,
    variables: &Variables,
) -> Result<Value, TemplateError> {
    let mut result = None;
    for command in commands {
        let mut arguments = Vec::new();
        let (function, rest) = match command.split_first() {
            Some((Term::Function(name), rest)) => (Some(name), rest),
            _ => (None, command.as_slice()),
        };
        for term in rest {
            arguments.push(evaluate(term, dot, variables)?);
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

fn evaluate(term: &Term, dot: &Value, variables: &Variables) -> Result<Value, TemplateError> {
    match term {
        Term::Dot(path) => fields::follow(dot.clone(), path),
        Term::Variable(name, path) => {
            let found = variables.iter().rev().find(|(known, _)| known == name);
            let (_, value) = found.ok_or_else(|| undefined(name))?;
            fields::follow(value.clone(), path)
        }
        Term::Literal(value) => Ok(value.clone()),
        Term::Group(commands, path) => {
            fields::follow(evaluate_all(commands, dot, variables)?, path)
        }
        Term::Function(name) => functions::call(name, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn show(text: &str) -> String {
        let value = json!({
            "Id": "sha256:ab", "Size": 12, "On": true, "None": null, "Os": "linux",
            "Config": {"Env": ["A=1", "B=2"], "Labels": {"a.b": "c"}, "Shell": null, "Volumes": null, "Healthcheck": null},
        });
        match Template::parse(text).and_then(|template| template.render(&value)) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn pad_refuses_or_bounds_a_wrong_width() {
        for width in ["-1", r#""wide""#] {
            let shown = show(&format!("{{{{pad .Id {width} 0}}}}"));
            assert!(shown.contains("calls pad with "), "{shown}");
        }
        assert_eq!(
            show("{{pad .Id 9000000000 0}}").len(),
            1000 + "sha256:ab".len()
        );
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
            (
                "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
                "a.b=c;",
            ),
            (
                "{{range $i, $v := .Config.Env}}{{if $i}},{{end}}{{$v}}{{end}}",
                "A=1,B=2",
            ),
            (
                "{{range $v := .Config.Env}}{{$v}}{{$.Size}}{{end}}",
                "A=112B=212",
            ),
            (
                "{{$x := .Id}}{{$x}}{{$y := .Config}}{{$y.Env}}",
                "sha256:ab[A=1 B=2]",
            ),
            ("{{$x := 1}}{{if .On}}{{$x = 2}}{{end}}{{$x}}", "2"),
            ("{{with $c := .Config}}{{len $c.Env}}{{end}}", "2"),
            ("{{.Config.Labels.nothere}}", "<no value>"),
            ("{{with .Config.Labels}}{{.nothere}}{{end}}", "<no value>"),
            (r#"{{.Os | printf "%.3s"}}"#, "lin"),
            ("{{slice .Os 0 3}}{{slice .Os 3}}", "linux"),
            ("{{index (slice .Config.Env 1) 0}}", "B=2"),
            (
                "{{.Config.Shell}} {{.Config.Volumes}} {{.Config.Healthcheck}}",
                "[] map[] <nil>",
            ),
            ("{{json .Config.Shell}}", "null"),
            (
                "{{title .Os}} {{pad .Os 1 2}}.{{truncate .Os 3}}",
                "Linux  linux  .lin",
            ),
            ("{{if gt .Size 11}}{{le .Size 12}}{{end}}", "true"),
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
            ("{{$x}}", "uses the variable $x, which is not defined"),
            ("{{if .On}}{{$x := 1}}{{end}}{{$x}}", "uses the variable $x"),
            (
                "{{range $a, $b, $c := .Config.Env}}{{end}}",
                "too many variables",
            ),
            ("{{index .Config.Env 5}}", "index out of range: 5"),
            ("{{slice .Os 0 9}}", "index out of range: 9"),
            (
                "{{.Config.Healthcheck.Test}}",
                "a field of Healthcheck, which is nil",
            ),
            (r#"{{printf "%z" .Os}}"#, "printf with %z"),
        ] {
            assert!(
                show(template).contains(expected),
                "{template}: {}",
                show(template)
            );
        }
    }
}
