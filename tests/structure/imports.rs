//! Which file of a crate imports from which, by the paths that it writes: a path leads to the file that its last module is.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::File;

type Module = Vec<String>;
type Arrows = BTreeMap<Module, BTreeSet<Module>>;

/// The arrows between the files, tests left out: those may look at everything.
pub(crate) fn arrows(files: &[File]) -> Arrows {
    let modules: BTreeSet<Module> = files.iter().map(|file| file.module.clone()).collect();
    let mut arrows = Arrows::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let targets = arrows.entry(file.module.clone()).or_default();
        for (inside, path) in paths(&file.text) {
            let target = resolve(&[&file.module[..], &inside].concat(), &path, &modules);
            targets.extend(target.filter(|target| *target != file.module));
        }
    }
    arrows
}

/// The files that a path leads to in turn, the last of them; `None` where it leads out of the crate.
fn resolve(from: &[String], path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let mut rest = path;
    let mut here = from.to_vec();
    match path.first()?.as_str() {
        "crate" => {
            here.clear();
            rest = &rest[1..];
        }
        "self" | "super" => {
            while let Some(word @ ("self" | "super")) = rest.first().map(String::as_str) {
                if word == "super" {
                    here.pop();
                }
                rest = &rest[1..];
            }
        }
        first => {
            let child = [from, &[first.to_owned()]].concat();
            if !modules.contains(&child) {
                return None;
            }
        }
    }
    for name in rest {
        here.push(name.clone());
        if !modules.contains(&here) {
            here.pop();
            break;
        }
    }
    // A module that is written within a file is that file.
    while !modules.contains(&here) {
        here.pop()?;
    }
    Some(here)
}

/// Every path in a file, with the modules within the file that it stands in.
fn paths(text: &str) -> Vec<(Module, Vec<String>)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut inside: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let modules: Module = inside.iter().map(|(name, _)| name.clone()).collect();
        match tokens[at].as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inside.retain(|(_, within)| *within <= depth);
            }
            "mod" if tokens.get(at + 2).is_some_and(|next| next == "{") => {
                inside.push((tokens[at + 1].clone(), depth + 1));
                at += 1;
            }
            // `impl Trait + use<T>` captures and imports nothing.
            "use" if tokens.get(at + 1).is_none_or(|next| next != "<") => {
                let end = tokens[at..].iter().position(|token| token == ";");
                let end = at + end.unwrap_or(tokens.len() - at);
                let mut trees = Vec::new();
                tree(&tokens[at + 1..end], &mut 0, &mut Vec::new(), &mut trees);
                found.extend(trees.into_iter().map(|path| (modules.clone(), path)));
                at = end;
            }
            // `pub(in crate::name)` imports nothing.
            "in" if at > 0 && tokens[at - 1] == "(" => at += path_at(&tokens, at + 1).1,
            _ => {
                let (path, used) = path_at(&tokens, at);
                if path.len() > 1 {
                    found.push((modules, path));
                    at += used - 1;
                }
            }
        }
        at += 1;
    }
    found
}

/// The path that begins here, and its tokens.
fn path_at(tokens: &[String], at: usize) -> (Vec<String>, usize) {
    let word = |at: usize| tokens.get(at).filter(|token| is_word(token)).cloned();
    let mut path: Vec<String> = word(at).into_iter().collect();
    while let (Some("::"), Some(next)) = (
        tokens
            .get(at + 2 * path.len() - usize::from(!path.is_empty()))
            .map(String::as_str),
        word(at + 2 * path.len()),
    ) {
        path.push(next);
    }
    let used = (2 * path.len()).saturating_sub(1);
    (path, used)
}

/// The paths of a `use`, one for each name.
fn tree(tokens: &[String], at: &mut usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let length = prefix.len();
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        match token.as_str() {
            "{" => {
                tree(tokens, at, prefix, found);
                prefix.truncate(length);
            }
            "}" | "," => {
                if prefix.len() > length {
                    found.push(prefix.clone());
                }
                prefix.truncate(length);
                if token == "}" {
                    return;
                }
            }
            "as" => *at += 1,
            word if is_word(word) => prefix.push(word.to_owned()),
            "*" => prefix.push("*".to_owned()),
            _ => {}
        }
    }
    if prefix.len() > length {
        found.push(prefix.clone());
        prefix.truncate(length);
    }
}

fn is_word(token: &str) -> bool {
    let first = token.chars().next();
    first.is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// Words, `::`, and single characters; comments, texts and the tests at the end left out.
fn tokens(text: &str) -> Vec<String> {
    let code = text.split("\n#[cfg(test)]\nmod tests {\n").next();
    let letters: Vec<char> = code.unwrap_or_default().chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let rest = &letters[at..];
        at += match rest {
            ['/', '/', ..] => rest
                .iter()
                .position(|letter| *letter == '\n')
                .unwrap_or(rest.len()),
            ['r', '"' | '#', ..] if raw(rest).is_some() => raw(rest).unwrap_or(1),
            ['"', ..] => quoted(rest),
            // A letter, and no lifetime.
            ['\'', '\\', ..] => {
                4 + rest[3..]
                    .iter()
                    .position(|letter| *letter == '\'')
                    .unwrap_or(0)
            }
            ['\'', _, '\'', ..] => 3,
            [':', ':', ..] => {
                tokens.push("::".to_owned());
                2
            }
            [first, ..] if first.is_alphanumeric() || *first == '_' => {
                let word = rest
                    .iter()
                    .take_while(|letter| letter.is_alphanumeric() || **letter == '_');
                let word: String = word.collect();
                let length = word.chars().count();
                tokens.push(word);
                length
            }
            [first, ..] => {
                if !first.is_whitespace() {
                    tokens.push(first.to_string());
                }
                1
            }
            [] => 1,
        };
    }
    tokens
}

/// The letters of a text in quotes.
fn quoted(letters: &[char]) -> usize {
    let mut at = 1;
    while at < letters.len() && letters[at] != '"' {
        at += if letters[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The letters of a raw text, if it is one.
fn raw(letters: &[char]) -> Option<usize> {
    let hashes = letters[1..]
        .iter()
        .take_while(|letter| **letter == '#')
        .count();
    if letters.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let begin = 2 + hashes;
    let length = letters[begin..]
        .windows(end.len())
        .position(|part| part == end);
    length.map(|length| begin + length + end.len())
}

/// The files that go in circles: each can be reached from each other one.
pub(crate) fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = arrows
        .keys()
        .map(|from| (from, reach(from, arrows)))
        .collect();
    let mut circles = BTreeSet::new();
    for (from, targets) in &reached {
        let back = targets
            .iter()
            .filter(|to| reached.get(**to).is_some_and(|back| back.contains(from)));
        let circle: Vec<String> = back.map(|module| module.join("::")).collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reach<'a>(from: &'a Module, arrows: &'a Arrows) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(here) = next.pop() {
        let targets = arrows.get(here).into_iter().flatten();
        next.extend(targets.filter(|target| reached.insert(*target)));
    }
    reached
}

#[cfg(test)]
fn file(module: &str, text: &str) -> File {
    File {
        path: module.into(),
        module: module
            .split("::")
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        text: text.to_owned(),
    }
}

#[test]
fn a_circle_is_found_whichever_way_its_paths_are_written() {
    let circles_of = |files: &[File]| circles(&arrows(files));
    let direct = [
        file("", "mod one; mod other;"),
        file("one", "use super::other::{self, X};"),
        file("other", "fn f() { crate::one::g() }"),
    ];
    assert_eq!(circles_of(&direct), [["one", "other"]]);
    let by_the_front = [
        file("", "pub use one::X;"),
        file("one", "use super::two;"),
        file("two", "use crate::X;"),
    ];
    assert_eq!(circles_of(&by_the_front), [["", "one", "two"]]);
    let parent = [
        file("", ""),
        file("one", "use part::f; pub(super) struct X;"),
        file("one::part", "use super::X;"),
    ];
    assert_eq!(circles_of(&parent), [["one", "one::part"]]);
}

#[test]
fn what_is_no_import_is_none() {
    let files = [
        file("", ""),
        file(
            "one",
            "// use super::other::X;\npub(in crate::other) fn f() { \"crate::other::g\"; r#\"\"crate::other\"#; ':'; }\nmod inner { use super::f; }\n\n#[cfg(test)]\nmod tests {\n    use super::super::other;\n}\n",
        ),
        file(
            "other",
            "use super::{one::{f as g, h}, third}; use std::fmt;",
        ),
        file("third", "fn f() { match b'\\'' { _ => crate::one::f() } }"),
        file("other::tests", "use crate::one;"),
    ];
    assert_eq!(arrows(&files)[&vec!["one".to_owned()]], BTreeSet::new());
    assert_eq!(
        arrows(&files)[&vec!["other".to_owned()]],
        BTreeSet::from([vec!["one".to_owned()], vec!["third".to_owned()]])
    );
    assert!(circles(&arrows(&files)).is_empty());
}
