//! The images of `docker build` in a job beside BuildKit's, from the same Dockerfiles and contexts.

#![allow(clippy::unwrap_used, clippy::panic)]

mod buildkit;
mod case;
mod compare;
mod explained;
mod generate;
mod image;
mod lab;
mod product;
mod table;

use std::collections::BTreeSet;

use case::Case;

/// Reads a number from the environment.
fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty());
    let parse = |value: String| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={value} is no number"))
    };
    value.map_or(default, parse)
}

/// The written cases, in the order of their files' names.
fn written() -> Vec<Case> {
    let directory = support::root().join("tests/conformance/cases");
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "txt"));
    texts
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            case::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

/// `CONFORMANCE_FILTER` picks cases by their names. Each `CONFORMANCE_EVERY`th of the written ones is built.
#[test]
fn docker_build_makes_the_images_of_buildkit() {
    let filter = std::env::var("CONFORMANCE_FILTER").unwrap_or_default();
    let every = usize::try_from(number("CONFORMANCE_EVERY", 1)).unwrap();
    let mut cases = written();
    cases.retain(|case| case.name.contains(&filter));
    let mut cases: Vec<_> = cases.into_iter().step_by(every).collect();
    let seed = number("CONFORMANCE_SEED", 1);
    let count = if filter.is_empty() {
        number("CONFORMANCE_GENERATED", 0)
    } else {
        0
    };
    cases.extend((seed..seed + count).map(generate::case));
    assert!(!cases.is_empty(), "no case has {filter:?} in its name");
    let faults = lab::compare(&cases);
    assert!(
        faults.is_empty(),
        "{} cases are at fault:\n{}",
        faults.len(),
        faults.concat()
    );
}

#[test]
fn there_are_three_hundred_written_cases() {
    let cases = written();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name is there twice");
    assert!(cases.len() >= 300, "{}", cases.len());
}
