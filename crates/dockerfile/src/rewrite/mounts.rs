//! Rewrites `RUN --mount=…` to the spelling that Buildah reads as BuildKit does.
//!
//! Source: moby/buildkit, `instructions/commands_runmount.go`, and containers/buildah 1.39 and 1.43, `internal/volumes`.

use super::super::error::Problem;
use super::scope::Scope;

/// A mount that is rewritten.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The value of `--mount=`.
    pub(super) text: String,
    /// What a shell executes before the command, for a secret in a variable.
    pub(super) before: Option<String>,
    /// The stage or image that it takes files from.
    pub(super) from: Option<String>,
}

/// Rewrites the value of one `--mount`. `value` expands a text with variables, or returns `None` if one is unknown.
pub(super) fn mount(given: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<Mount, Problem> {
    // The security reading refuses quotes and backslashes.
    if given.contains(['\'', '"', '\\']) {
        return Ok(Mount::unchanged(given));
    }
    let fields: Vec<Field> = given.split(',').map(Field::parse).collect();
    let last = |keys: &[&str]| {
        let mut found = fields.iter().rev();
        found
            .find(|field| keys.contains(&field.key.as_str()))
            .and_then(|field| field.value.clone())
    };
    let kind = last(&["type"]).map_or_else(|| "bind".to_owned(), |kind| kind.to_lowercase());
    match kind.as_str() {
        "bind" => bind(given, &fields, value),
        "secret" => secret(given, &fields),
        "cache" | "tmpfs" => Ok(Mount {
            from: last(&["from"]),
            ..Mount::changed(plain_switches(given, &fields)?)
        }),
        _ => Ok(Mount::unchanged(given)),
    }
}

/// Rejects variables whose value may add a field, such as `from=IMAGE`: Buildah replaces them before it splits the mount.
///
/// A variable that only the base image can set is as harmless as an ONBUILD of that image: the build's policy.json limits both.
pub(super) fn require_plain_values(given: &str, scope: &Scope) -> Result<(), Problem> {
    for (at, _) in given.match_indices('$') {
        let rest = &given[at + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let length = rest.find(|letter| !word(letter)).unwrap_or(rest.len());
        let name = &rest[..length];
        // Buildah ends a name that begins with a digit after that.
        let digit = name.chars().next().filter(char::is_ascii_digit);
        let digit = digit.map_or("", |_| &name[..1]);
        if ![name, digit].iter().all(|name| scope.is_one_field(name)) {
            return Err(Problem::MountValue {
                mount: given.to_owned(),
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

impl Mount {
    fn unchanged(given: &str) -> Self {
        Self::changed(given.to_owned())
    }

    fn changed(text: String) -> Self {
        Self {
            text,
            before: None,
            from: None,
        }
    }
}

/// One part of a mount: `KEY` or `KEY=VALUE`.
struct Field {
    key: String,
    value: Option<String>,
    text: String,
}

impl Field {
    fn parse(text: &str) -> Self {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        Self {
            key: key.to_lowercase(),
            value,
            text: text.to_owned(),
        }
    }

    /// Whether it makes the mount read-only. `None` if it is another key.
    fn read_only(&self) -> Result<Option<bool>, Problem> {
        let on = match self.key.as_str() {
            "ro" | "readonly" => true,
            "rw" | "readwrite" => false,
            _ => return Ok(None),
        };
        match self.value.as_deref() {
            None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(on)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(!on)),
            Some(_) => Err(Problem::MountSwitch(self.text.clone())),
        }
    }
}

/// A bind mount begins with its type, because Buildah adds the content to a step's identity only then. It has a target, and
/// its source has no variables.
fn bind(
    given: &str,
    fields: &[Field],
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Mount, Problem> {
    let mut parts = vec!["type=bind".to_owned()];
    let (mut read_only, mut target, mut from) = (true, false, None);
    for field in fields {
        if let Some(switch) = field.read_only()? {
            read_only = switch;
            continue;
        }
        match (field.key.as_str(), field.value.as_deref()) {
            ("type", _) | ("target" | "dst" | "destination", Some("")) => {}
            ("source" | "src", Some(source)) if source.contains('$') => {
                let plain = |path: &String| {
                    let special = |letter: char| ",\"'\\$".contains(letter);
                    !path.contains(|letter: char| special(letter) || letter.is_whitespace())
                };
                let known = value(source).filter(plain);
                let known = known.ok_or_else(|| Problem::MountVariable(given.to_owned()))?;
                parts.push(format!("source={known}"));
            }
            (key, text) => {
                target |= matches!(key, "target" | "dst" | "destination");
                // The last one counts.
                from = text.filter(|_| key == "from").map(str::to_owned).or(from);
                let text = text.map(|text| format!("={text}")).unwrap_or_default();
                parts.push(format!("{key}{text}"));
            }
        }
    }
    parts.extend((!target).then(|| "target=.".to_owned()));
    parts.extend((!read_only).then(|| "rw".to_owned()));
    let text = parts.join(",");
    // `ro` alone is what Buildah does anyway.
    let alike = fields
        .iter()
        .filter(|field| !matches!(field.text.as_str(), "ro" | "readonly"));
    let alike: Vec<&str> = alike.map(|field| field.text.as_str()).collect();
    let text = if alike.join(",") == text {
        given.to_owned()
    } else {
        text
    };
    Ok(Mount {
        from,
        ..Mount::changed(text)
    })
}

/// Writes switches without a value: Buildah takes `ro`, and not `ro=true`.
fn plain_switches(given: &str, fields: &[Field]) -> Result<String, Problem> {
    let (mut read_only, mut has_value) = (None, false);
    let mut parts = Vec::new();
    for field in fields {
        if let Some(switch) = field.read_only()? {
            read_only = Some(switch);
            has_value |= field.value.is_some();
        } else {
            parts.push(field.text.as_str());
        }
    }
    if !has_value {
        return Ok(given.to_owned());
    }
    parts.extend((read_only == Some(true)).then_some("ro"));
    Ok(parts.join(","))
}

/// A secret has an id, and is a file. One in a variable is read by the step's shell.
fn secret(given: &str, fields: &[Field]) -> Result<Mount, Problem> {
    let last = |keys: &[&str]| {
        let mut found = fields.iter().rev();
        found.find(|field| keys.contains(&field.key.as_str()))
    };
    let text = |keys: &[&str]| {
        let value = last(keys).and_then(|field| field.value.as_deref());
        value.filter(|value| !value.is_empty())
    };
    let source = text(&["source", "src"]);
    let target = text(&["target", "dst", "destination"]);
    let environment = last(&["env"]);
    if environment.is_none() && source.is_none() && text(&["id"]).is_some() {
        return Ok(Mount::unchanged(given));
    }
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let id = source.or(text(&["id"])).map(str::to_owned);
    let id = id.or_else(|| target.map(base)).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Problem::SecretName(given.to_owned()))?;
    let parts = |more: &[String], keys: &[&str]| {
        let kept = fields
            .iter()
            .filter(|field| keys.contains(&field.key.as_str()));
        let mut parts = vec!["type=secret".to_owned(), format!("id={id}")];
        parts.extend(more.iter().cloned());
        parts.extend(kept.map(|field| field.text.clone()));
        parts.join(",")
    };
    let place: Vec<String> = target
        .map(|path| format!("target={path}"))
        .into_iter()
        .collect();
    let file = parts(&place, &["uid", "gid", "mode", "required"]);
    let Some(environment) = environment else {
        return Ok(Mount::changed(file));
    };
    let variable = environment.value.as_deref().filter(|name| !name.is_empty());
    let variable = variable.unwrap_or(&id);
    if !is_variable(variable) {
        return Err(Problem::SecretName(given.to_owned()));
    }
    // A file of its own, which every user of the step may read, as they may read the variable.
    let path = format!("/run/secrets/.{variable}");
    let own = parts(
        &[format!("target={path}"), "mode=0444".to_owned()],
        &["required"],
    );
    Ok(Mount {
        before: Some(format!(
            "if test -e {path}; then {variable}=\"$(cat {path} && printf x)\"; {variable}=\"${{{variable}%x}}\"; export {variable}; fi; "
        )),
        ..Mount::changed(match target {
            Some(_) => format!("{file} --mount={own}"),
            None => own,
        })
    })
}

fn is_variable(name: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.bytes().next().as_ref().is_some_and(first)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
