//! What differs between two builds of one case.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::case::CHANGED;
use crate::image::{Image, Inode};

/// What a build led to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// If it ended well: its image.
    pub(crate) image: Option<Image>,
    /// The lines of its steps that begin with `OUT`, sorted: BuildKit runs stages side by side.
    pub(crate) said: Vec<String>,
    /// All that was printed.
    pub(crate) log: String,
}

/// What of the configuration counts.
const CONFIG: [&str; 12] = [
    "Env",
    "Cmd",
    "Entrypoint",
    "User",
    "WorkingDir",
    "Labels",
    "ExposedPorts",
    "Volumes",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
];

/// At most so many differences of one case are printed.
const MOST: usize = 12;

/// Returns each difference as a line.
pub(crate) fn differences(buildkit: &Outcome, here: &Outcome) -> Vec<String> {
    let mut found = match (&buildkit.image, &here.image) {
        (Some(buildkit), Some(here)) => {
            let mut found = config(&buildkit.config, &here.config);
            found.extend(files(buildkit, here));
            found
        }
        // Which lines are printed before the end is left to chance.
        (None, None) => return Vec::new(),
        (Some(_), None) => vec![format!("the build fails: {}", last_lines(&here.log))],
        (None, Some(_)) => vec![format!(
            "the build does not fail: {}",
            last_lines(&buildkit.log)
        )],
    };
    if buildkit.said != here.said {
        found.push(line("steps print", &buildkit.said, &here.said));
    }
    found
}

/// Returns the first differences, for people.
pub(crate) fn shown(differences: &[String]) -> String {
    let mut lines: Vec<_> = differences
        .iter()
        .take(MOST)
        .map(|line| format!("    {line}\n"))
        .collect();
    if differences.len() > MOST {
        lines.push(format!("    and {} more\n", differences.len() - MOST));
    }
    lines.concat()
}

fn line(what: &str, buildkit: &impl std::fmt::Debug, here: &impl std::fmt::Debug) -> String {
    format!("{what}: {buildkit:?} by BuildKit, {here:?} here")
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" | ")
}

fn config(buildkit: &Value, here: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["architecture", "os", "variant"] {
        let (one, other) = (present(&buildkit[key]), present(&here[key]));
        if one != other {
            found.push(line(key, &one, &other));
        }
    }
    for key in CONFIG {
        let (one, other) = (
            present(&buildkit["config"][key]),
            present(&here["config"][key]),
        );
        if one != other {
            found.push(format!(
                "{key}: {} by BuildKit, {} here",
                text(one),
                text(other)
            ));
        }
    }
    found
}

/// What is empty is as if it was not there.
fn present(value: &Value) -> Option<&Value> {
    let empty = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    (!empty).then_some(value)
}

fn text(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), Value::to_string)
}

fn files(buildkit: &Image, here: &Image) -> Vec<String> {
    let mut found = Vec::new();
    let paths: BTreeSet<&String> = buildkit.files.keys().chain(here.files.keys()).collect();
    for path in paths {
        match (buildkit.files.get(path), here.files.get(path)) {
            (Some(one), Some(other)) => {
                let links = (buildkit.links(one), here.links(other));
                inodes(path, (one, other), links, &mut found);
            }
            (Some(one), None) => {
                found.push(format!("{path}: not here; a {} by BuildKit", one.kind));
            }
            (None, Some(other)) => found.push(format!("{path}: a {} here alone", other.kind)),
            (None, None) => {}
        }
    }
    found
}

fn inodes(
    path: &str,
    (one, other): (&Arc<Inode>, &Arc<Inode>),
    links: (usize, usize),
    found: &mut Vec<String>,
) {
    let mut compare = |what: &str, one: &dyn std::fmt::Display, other: &dyn std::fmt::Display| {
        let (one, other) = (one.to_string(), other.to_string());
        if one != other {
            found.push(format!("{path}: {what} {one} by BuildKit, {other} here"));
        }
    };
    compare("type", &one.kind, &other.kind);
    // A link has no mode of its own.
    if one.kind != "link" {
        compare(
            "mode",
            &format!("{:04o}", one.mode),
            &format!("{:04o}", other.mode),
        );
    }
    compare(
        "owner",
        &format!("{:?}", one.owner),
        &format!("{:?}", other.owner),
    );
    compare(
        "target",
        &format!("{:?}", one.target),
        &format!("{:?}", other.target),
    );
    compare(
        "device",
        &format!("{:?}", one.device),
        &format!("{:?}", other.device),
    );
    compare(
        "extended attributes",
        &format!("{:?}", one.xattrs),
        &format!("{:?}", other.xattrs),
    );
    compare("links", &links.0, &links.1);
    if one.content != other.content {
        compare("content", &excerpt(&one.content), &excerpt(&other.content));
    }
    // The time of a file that was copied from the context is kept. Others have the time of their step.
    if one.kind == "file" && one.time == CHANGED {
        compare("time", &one.time, &other.time);
    }
}

fn excerpt(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(&content[..content.len().min(300)]);
    format!("{text:?} ({} bytes)", content.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn inode() -> Inode {
        Inode {
            kind: "file",
            mode: 0o644,
            owner: (0, 0),
            target: None,
            device: None,
            xattrs: BTreeMap::new(),
            content: b"x".to_vec(),
            time: CHANGED,
        }
    }

    fn built(config: &Value, change: impl FnOnce(&mut Inode)) -> Outcome {
        let mut file = inode();
        change(&mut file);
        let files = BTreeMap::from([("/f".to_owned(), Arc::new(file))]);
        Outcome {
            image: Some(Image {
                config: json!({ "config": config }),
                files,
            }),
            ..Outcome::default()
        }
    }

    #[test]
    fn every_property_of_a_file_counts() {
        let plain = built(&json!({}), |_| ());
        let changes: [fn(&mut Inode); 8] = [
            |file| file.kind = "fifo",
            |file| file.mode = 0o600,
            |file| file.owner = (0, 1),
            |file| file.target = Some("x".to_owned()),
            |file| file.device = Some((1, 3)),
            |file| drop(file.xattrs.insert("user.a".to_owned(), vec![1])),
            |file| file.content = b"y".to_vec(),
            |file| file.time = 5,
        ];
        for change in changes {
            assert_eq!(differences(&plain, &built(&json!({}), change)).len(), 1);
        }
        assert_eq!(
            differences(&plain, &built(&json!({}), |_| ())),
            Vec::<String>::new()
        );
        // The time of a step's own file.
        let (one, other) = (
            built(&json!({}), |file| file.time = 1),
            built(&json!({}), |file| file.time = 2),
        );
        assert_eq!(differences(&one, &other), Vec::<String>::new());
    }

    #[test]
    fn every_key_of_the_configuration_counts() {
        let plain = built(&json!({"User": "", "Cmd": null}), |_| ());
        for key in CONFIG {
            let found = differences(&plain, &built(&json!({key: ["x"]}), |_| ()));
            assert_eq!(found, [format!("{key}: nothing by BuildKit, [\"x\"] here")]);
        }
        assert!(differences(&plain, &built(&json!({}), |_| ())).is_empty());
    }

    #[test]
    fn ends_and_lines_of_steps_count() {
        let mut said = built(&json!({}), |_| ());
        said.said.push("OUT x".to_owned());
        let plain = built(&json!({}), |_| ());
        assert_eq!(
            differences(&said, &plain),
            [r#"steps print: ["OUT x"] by BuildKit, [] here"#]
        );
        let failed = Outcome {
            log: "a\n\nb\nc\nd\n".to_owned(),
            ..Outcome::default()
        };
        assert_eq!(differences(&plain, &failed), ["the build fails: b | c | d"]);
        assert_eq!(
            differences(&failed, &plain),
            ["the build does not fail: b | c | d"]
        );
        assert!(differences(&failed, &Outcome::default()).is_empty());
    }
}
