//! Which images a Containerfile names: they are pulled before the build, so that the build needs no credentials.
//!
//! What is overlooked here (an `ONBUILD` of a base image) is pulled without credentials, and fails where it needs
//! some. What is named in a way that is more than a name is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::Reference;

/// Values of `--build-arg`, by name.
pub type Arguments = BTreeMap<String, String>;

/// The images of a build, and the names that are none.
#[derive(Debug, Default)]
struct Scan {
    images: Vec<Reference>,
    stages: BTreeSet<String>,
    arguments: Arguments,
    given: Arguments,
}

/// The images that `text` names, for builds with these arguments and named contexts.
///
/// # Errors
/// A sentence for the user, with the line.
pub fn images(
    text: &str,
    given: &Arguments,
    contexts: &[String],
) -> Result<Vec<Reference>, String> {
    let mut scan = Scan {
        given: given.clone(),
        stages: contexts.iter().map(|name| name.to_lowercase()).collect(),
        ..Scan::default()
    };
    let mut before_from = true;
    for (number, line) in lines(text) {
        let at = |problem: String| format!("Containerfile, line {number}: {problem}");
        let mut words = line.split_whitespace();
        let instruction = words.next().unwrap_or_default().to_ascii_uppercase();
        let words: Vec<&str> = words.collect();
        match instruction.as_str() {
            "FROM" => {
                before_from = false;
                scan.from(&words).map_err(at)?;
            }
            "ARG" if before_from => scan.arg(&words),
            "COPY" | "ADD" | "RUN" | "ONBUILD" => scan.flags(&words).map_err(at)?,
            _ => {}
        }
    }
    Ok(scan.images)
}

/// Logical lines with their numbers, continuations joined, comments left out.
fn lines(text: &str) -> Vec<(usize, String)> {
    let escape = if text
        .lines()
        .take_while(|line| line.trim_start().starts_with('#'))
        .any(|line| {
            let directive: String = line.chars().filter(|c| !c.is_whitespace()).collect();
            directive.eq_ignore_ascii_case("#escape=`")
        }) {
        '`'
    } else {
        '\\'
    };
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (number, mut whole) = open.take().unwrap_or((index + 1, String::new()));
        match line.strip_suffix(escape) {
            Some(part) => {
                whole += part;
                open = Some((number, whole));
            }
            None => {
                whole += line;
                found.push((number, whole));
            }
        }
    }
    found.extend(open);
    found
}

impl Scan {
    fn arg(&mut self, words: &[&str]) {
        for word in words {
            let (name, default) = match word.split_once('=') {
                Some((name, value)) => (name, unquoted(value)),
                None => (*word, ""),
            };
            let value = match self.given.get(name) {
                Some(given) => given.clone(),
                None => self.expand(default).unwrap_or_default(),
            };
            self.arguments.insert(name.to_owned(), value);
        }
    }

    fn from(&mut self, words: &[&str]) -> Result<(), String> {
        let mut words = words.iter().filter(|word| !word.starts_with("--"));
        let Some(image) = words.next() else {
            return Ok(());
        };
        let expanded = self.expand(unquoted(image))?;
        self.image(&expanded)?;
        if let [r#as, name] = words.copied().collect::<Vec<_>>()[..] {
            if r#as.eq_ignore_ascii_case("as") {
                self.stages.insert(name.to_lowercase());
            }
        }
        Ok(())
    }

    /// `--from=…` of COPY and ADD, `from=…` of `RUN --mount`.
    fn flags(&mut self, words: &[&str]) -> Result<(), String> {
        let flags = words.iter().filter_map(|word| {
            let mut mount = word
                .strip_prefix("--mount=")
                .into_iter()
                .flat_map(|mount| mount.split(','));
            let from = mount
                .rfind(|part| part.trim_matches('"').starts_with("from="))
                .and_then(|part| part.trim_matches('"').strip_prefix("from="));
            word.strip_prefix("--from=").or(from)
        });
        for image in flags.map(unquoted) {
            if image.contains('$') {
                return Err(format!(
                    "--from={image}: variables are not available here, as in Docker; name a stage instead: FROM {image} AS source"
                ));
            }
            self.image(image)?;
        }
        Ok(())
    }

    fn image(&mut self, name: &str) -> Result<(), String> {
        let known = name.is_empty()
            || name == "scratch"
            || name.bytes().all(|byte| byte.is_ascii_digit())
            || self.stages.contains(&name.to_lowercase());
        if !known {
            let reference = Reference::parse(name)?;
            if !self.images.contains(&reference) {
                self.images.push(reference);
            }
        }
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`.
    fn expand(&self, text: &str) -> Result<String, String> {
        let Some((before, after)) = text.split_once('$') else {
            return Ok(text.to_owned());
        };
        let (value, rest) = match after.strip_prefix('{') {
            Some(braced) => {
                let end =
                    closing(braced).ok_or_else(|| format!("{text}: a brace is not closed"))?;
                (self.braced(&braced[..end])?, &braced[end + 1..])
            }
            None => {
                let end = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
                (self.value(&after[..end]), &after[end..])
            }
        };
        Ok(format!("{before}{value}{}", self.expand(rest)?))
    }

    fn braced(&self, inner: &str) -> Result<String, String> {
        let end = inner.find(|c: char| !is_name(c)).unwrap_or(inner.len());
        let (name, operator) = inner.split_at(end);
        let value = self.value(name);
        let colon = |sign: char| {
            operator
                .strip_prefix(':')
                .unwrap_or(operator)
                .strip_prefix(sign)
        };
        if operator.is_empty() {
            return Ok(value);
        }
        match (colon('-'), colon('+'), value.is_empty()) {
            (Some(default), _, true) => self.expand(default),
            (Some(_), _, false) => Ok(value),
            (_, Some(other), false) => self.expand(other),
            (_, Some(_), true) => Ok(value),
            _ => Err(format!(
                "${{{inner}}} is not available here: the builder has to know which image is meant before the build"
            )),
        }
    }

    fn value(&self, name: &str) -> String {
        let known = self.arguments.get(name).or_else(|| self.given.get(name));
        known.cloned().unwrap_or_else(|| builtin(name).to_owned())
    }
}

/// What Buildah sets by itself, for this machine.
fn builtin(name: &str) -> &'static str {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    match name {
        "TARGETARCH" | "BUILDARCH" => architecture,
        "TARGETOS" | "BUILDOS" => "linux",
        _ => "",
    }
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        None
    })
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn unquoted(text: &str) -> &str {
    let inner = |quote| {
        text.strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
    };
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str, given: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let images = images(text, &given, &["named".to_owned()])?;
        Ok(images.iter().map(Reference::full).collect())
    }

    #[test]
    fn images_are_found_and_stages_are_none() {
        let text = "# syntax=docker/dockerfile:1\n\
            ARG BASE=a.example/base TAG\n\
            from --platform=$BUILDPLATFORM ${BASE}:${TAG:-1} as Build\n\
            RUN echo \\\n# a comment\n  from nowhere\n\
            FROM scratch\nFROM build\nFROM named\n\
            COPY --from=build --chown=1 /a /b\nCOPY --from=0 /a /b\n\
            COPY --from=b.example/tools:2 /a /b\n\
            RUN --mount=type=bind,from=c.example/mount,target=/mnt true\n";
        let found = scan(text, &[]).unwrap();
        assert_eq!(
            found,
            ["a.example/base", "b.example/tools", "c.example/mount"]
        );
        assert_eq!(
            scan(text, &[("BASE", "d.example/x")]).unwrap()[0],
            "d.example/x"
        );
    }

    #[test]
    fn what_is_more_than_a_name_is_refused_however_it_is_put_together() {
        let evil = "containers-storage:[overlay@/x+/y:overlay.mount_program=/workspace/evil]image";
        for text in [
            format!("FROM {evil}"),
            format!("ARG X={evil}\nFROM $X"),
            "ARG A=containers-\nARG B=storage:[x]y\nFROM ${A}${B}".to_owned(),
            format!("FROM ${{X:-{evil}}}"),
            format!("FROM scratch\nCOPY --from={evil} / /"),
            format!("FROM scratch\nONBUILD COPY --from={evil} / /"),
            format!("FROM scratch\nRUN --mount=type=bind,from={evil},target=/x true"),
            format!("FROM \\\n  {evil}"),
            "FROM scratch\nCOPY --from=$X / /".to_owned(),
            "FROM oci-archive:/workspace/x.tar".to_owned(),
            "FROM dir:/run/supervisor".to_owned(),
            "ARG X=abc\nFROM ${X#a}".to_owned(),
        ] {
            assert!(scan(&text, &[]).is_err(), "{text}");
        }
        assert!(scan("ARG X\nFROM $X", &[("X", evil)]).is_err());
    }
}
