//! What buildx prints for the same files and arguments. `answers/answers.txt` has its version.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bake::{BakeError, DEFAULT_FILES, File, Request, attestation, clean};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers")
}

fn files(of: &str) -> Vec<File> {
    let files = DEFAULT_FILES.into_iter().filter_map(|name| {
        let text = std::fs::read_to_string(directory().join(of).join(name)).ok()?;
        let name = name.to_owned();
        Some(File { name, text })
    });
    files.collect()
}

/// Resolves as `docker buildx bake` does for a line of `cases.txt`.
fn printed(line: &str) -> Result<String, BakeError> {
    let mut words = line.split(' ');
    let files = files(words.next().unwrap());
    let environment: BTreeMap<String, String> = words
        .by_ref()
        .take_while(|word| *word != "bake")
        .map(|word| word.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (mut targets, mut overrides) = (Vec::new(), Vec::new());
    let mut variables = BTreeMap::new();
    let (mut late, mut attests) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("--set", _) => overrides.push(words.next().unwrap().to_owned()),
            ("--var", _) => {
                let (name, value) = words.next().unwrap().split_once('=').unwrap();
                variables.insert(name.to_owned(), value.to_owned());
            }
            ("--provenance", value) => {
                attests.push(format!("*.attest={}", attestation("provenance", value)));
            }
            ("--sbom", value) => {
                attests.insert(0, format!("*.attest={}", attestation("sbom", value)));
            }
            (flag, _) if flag.starts_with("--") => late.push(format!("*.{}=true", &flag[2..])),
            (target, _) => targets.push(target.to_owned()),
        }
    }
    overrides.extend(late.into_iter().chain(attests));
    let builtins = [
        ("BAKE_CMD_CONTEXT", "cwd://"),
        ("BAKE_LOCAL_PLATFORM", "linux/amd64"),
    ];
    let builtins = builtins.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = Request {
        files: &files,
        targets: &targets,
        overrides: &overrides,
        variables: &variables,
        builtins: &builtins.into(),
        environment: &|name| environment.get(name).cloned(),
        project: &BTreeMap::new(),
        now: 0,
    };
    let mut resolved = request.resolve()?;
    resolved.map_contexts(clean);
    Ok(resolved.print())
}

#[test]
fn each_definition_prints_as_with_buildx() {
    let answers = std::fs::read_to_string(directory().join("answers.txt")).unwrap();
    let (version, answers) = answers.split_once('\n').unwrap();
    assert!(version.starts_with("# buildx v"));
    let mut wrong = Vec::new();
    let mut compared = 0;
    for answer in answers.split("## ").skip(1) {
        let (line, expected) = answer.split_once('\n').unwrap();
        let found = printed(line).unwrap_or_else(|error| format!("ERROR {error}\n"));
        let matches = match expected {
            "ERROR\n" => found.starts_with("ERROR "),
            expected => found == expected,
        };
        if !matches {
            let pairs = expected.lines().zip(found.lines());
            let lines = pairs.filter(|(expected, found)| expected != found);
            let lines: Vec<String> = lines.take(5).map(|(e, f)| format!("-{e}\n+{f}")).collect();
            let lines = lines.join("\n");
            wrong.push(format!("{line}:\n{lines}\n{found}"));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 25);
}

#[test]
fn each_case_has_an_answer() {
    let read = |name: &str| std::fs::read_to_string(directory().join(name)).unwrap();
    let cases = read("cases.txt");
    let cases: Vec<&str> = cases
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let answers = read("answers.txt");
    let answered = answers.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(cases, answered.collect::<Vec<_>>());
}
