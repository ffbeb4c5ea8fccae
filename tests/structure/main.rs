//! The house: crates depend on each other as CONTRIBUTING.md draws them, files go in no circle, and files, functions and
//! names stay short.

#![allow(clippy::unwrap_used)]

mod arrows;
mod imports;
mod sizes;
mod sources;

use std::path::Path;

/// Crates whose files are not looked at, and why.
const LEFT_OUT: [(&str, &str); 1] = [("end-to-end", "it is tests")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The crates whose files are looked at.
fn crates() -> Vec<arrows::Member> {
    let mut members = arrows::members(root());
    let all = members.len();
    members.retain(|member| LEFT_OUT.iter().all(|(name, _)| *name != member.name));
    assert_eq!(
        members.len() + LEFT_OUT.len(),
        all,
        "LEFT_OUT names crates that are not there"
    );
    members
}

#[test]
fn crates_depend_on_each_other_as_contributing_draws_them() {
    let drawn = arrows::drawn(&root().join("CONTRIBUTING.md"));
    let members = arrows::members(root());
    let depends = arrows::depends(&members);
    assert!(depends.len() > 10, "{depends:?}");
    let surplus: Vec<_> = depends.difference(&drawn).collect();
    let absent: Vec<_> = drawn.difference(&depends).collect();
    assert!(
        surplus.is_empty() && absent.is_empty(),
        "Cargo.toml has, and CONTRIBUTING.md does not draw: {surplus:?}; the other way round: {absent:?}"
    );
}

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_linux() {
    for member in arrows::members(root()) {
        let manifest = std::fs::read_to_string(member.directory.join("Cargo.toml")).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true\n");
        assert_eq!(inherits, member.name != "linux", "{}", member.name);
    }
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("\nunsafe_code = \"forbid\"\n"));
}

#[test]
fn files_of_a_crate_import_from_each_other_in_no_circle() {
    for member in crates() {
        let files = sources::of(&member.directory.join("src"));
        let circles = imports::circles(&imports::arrows(&files));
        assert!(circles.is_empty(), "{}: {circles:#?}", member.name);
    }
}

#[test]
fn a_long_file_says_why() {
    for member in crates() {
        for file in sources::of(&member.directory.join("src")) {
            let lines = file.text.lines().count();
            assert!(
                lines <= sizes::LINES || sizes::reason(&file.text).is_some(),
                "{}: {lines} lines; split it, or say `//! Long because: …`",
                file.path.display()
            );
        }
    }
}

#[test]
fn functions_are_short() {
    for member in crates() {
        for file in sources::of(&member.directory.join("src")) {
            for (name, lines) in sizes::functions(&file.text) {
                assert!(
                    lines <= sizes::FUNCTION || file.is_test(),
                    "{}: {name} has {lines} lines, and {} are enough",
                    file.path.display(),
                    sizes::FUNCTION
                );
            }
        }
    }
}

#[test]
fn names_of_functions_and_tests_are_short() {
    let mut texts = Vec::new();
    for member in arrows::members(root()) {
        sources::texts(&member.directory, &mut texts);
    }
    for (path, text) in texts {
        let long = sizes::long_names(&text);
        let most = sizes::NAME;
        assert!(
            long.is_empty(),
            "{}: at most {most} letters, verb_object_condition: {long:?}",
            path.display()
        );
    }
}
