//! Which crate depends on which: what cargo says, and what CONTRIBUTING.md draws.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    dependencies: Vec<String>,
}

/// `(from, to)`.
pub(crate) type Arrows = BTreeSet<(String, String)>;

/// All crates of the workspace at `root`, as `cargo metadata` lists them.
pub(crate) fn members(root: &Path) -> Vec<Member> {
    let output = Command::new(std::env::var("CARGO").unwrap_or("cargo".to_owned()))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dependencies = package["dependencies"].as_array().unwrap();
    Member {
        name: text(&package["name"]),
        directory: Path::new(&text(&package["manifest_path"]))
            .parent()
            .unwrap()
            .to_owned(),
        dependencies: dependencies.iter().map(|one| text(&one["name"])).collect(),
    }
}

/// The arrows between them.
pub(crate) fn depends(members: &[Member]) -> Arrows {
    let names: BTreeSet<&String> = members.iter().map(|member| &member.name).collect();
    let mut arrows = Arrows::new();
    for member in members {
        for dependency in &member.dependencies {
            if names.contains(dependency) {
                arrows.insert((member.name.clone(), dependency.clone()));
            }
        }
    }
    arrows
}

/// The arrows of a page: each line `    one, other ─► third, fourth`.
pub(crate) fn drawn(page: &Path) -> Arrows {
    let text = std::fs::read_to_string(page).unwrap();
    let mut arrows = Arrows::new();
    for line in text.lines().filter(|line| line.starts_with("    ")) {
        let Some((from, to)) = line.split_once(" ─► ") else {
            continue;
        };
        for from in from.split(',') {
            for to in to.split(',') {
                arrows.insert((from.trim().to_owned(), to.trim().to_owned()));
            }
        }
    }
    arrows
}
