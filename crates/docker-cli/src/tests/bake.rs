//! The command lines of docker/bake-action.

use super::*;

#[test]
fn the_actions_lines_are_read() {
    assert_eq!(
        steps(
            "docker buildx bake --file ./docker-bake.hcl --file /tmp/docker-metadata-action-bake.json --set *.platform=linux/amd64 --metadata-file /tmp/m.json --provenance mode=min,inline-only=true,builder-id=https://github.com/o/r/actions/runs/1 --no-cache --builder b --pull --load --push web"
        ),
        [
            r#"bake ["./docker-bake.hcl", "/tmp/docker-metadata-action-bake.json"] ["web"] ["*.platform=linux/amd64", "*.push=true", "*.load=true", "*.no-cache=true", "*.pull=true", "*.attest=type=provenance,mode=min,inline-only=true,builder-id=https://github.com/o/r/actions/runs/1"]"#
        ]
    );
    let found = call_with(
        "docker buildx bake https://github.com/o/r.git#refs/heads/main:sub --file a.hcl --allow fs.read=/tmp --call check --sbom=true --print",
        &|name| (name == "BUILDX_BAKE_GIT_AUTH_TOKEN").then(|| "hunter2".to_owned()),
    );
    let found: Vec<String> = found.unwrap().steps.iter().flat_map(shown).collect();
    assert_eq!(
        found,
        [
            "write /s/X/1-token",
            "fetch https://github.com/o/r.git refs/heads/main to /s/X/2-git",
            r#"bake ["a.hcl"] [] ["*.call=check", "*.attest=type=sbom,disabled=false"]"#,
        ]
    );
}

#[test]
fn the_files_may_be_those_of_a_variable() {
    let found = call_with("docker bake", &|name| {
        (name == "BUILDX_BAKE_FILE").then(|| "a.hcl: b.hcl".to_owned())
    });
    let found: Vec<String> = found.unwrap().steps.iter().flat_map(shown).collect();
    assert_eq!(found, [r#"bake ["a.hcl", "b.hcl"] [] []"#]);
    assert_eq!(
        steps("docker buildx f --no-cache=false --progress quiet"),
        [r#"bake [] [] ["*.no-cache=false"]"#]
    );
}

#[test]
fn wrong_lines_of_bake_are_errors() {
    for (line, part) in [
        (
            "docker buildx bake --print --list=targets",
            "exclude each other",
        ),
        (
            "docker buildx bake --list=images",
            "expected targets or variables",
        ),
        ("docker buildx bake --var X", "expected NAME=VALUE"),
        (
            "docker buildx bake https://example.org/bake.hcl",
            "Git repositories only",
        ),
        (
            "docker buildx bake https://h/r.git#main:../..",
            "inside the repository",
        ),
    ] {
        assert!(refusal(line).contains(part), "{line}: {}", refusal(line));
    }
}
