//! Tests of the private copies of Containerfiles.

use super::{Fixture, Operation, file, has, line};
use crate::variables::DOCKER;

/// An environment as the client sends it for `docker build`.
const BY_DOCKER: &[(&str, &str)] = &[(DOCKER, "")];

fn copy(operation: &Operation) -> String {
    let copy = file(operation, "Containerfile").unwrap();
    String::from_utf8(copy.content.to_vec()).unwrap()
}

#[test]
fn buildah_gets_the_rewritten_file() {
    let fixture = Fixture::new("FROM a.example/b\nRUN --mount=target=/x true");
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(copy(&build).ends_with("RUN --mount=type=bind,target=/x true"));
    let fixture = Fixture::new("FROM a.example/b\nARG TARGETARCH=other");
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(has(&build, "--build-arg=TARGETARCH=other"));
}

#[test]
fn images_are_read_in_the_rewritten_file() {
    let fixture = Fixture::new("ARG V=registry.example/a:1\nFROM ${V%:*}");
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(copy(&build).ends_with("FROM registry.example/a"));
    assert!(line(&build.before[0]).ends_with("docker://registry.example/a"));
    for text in [
        "ARG V=oci-archive:/etc/x:1\nFROM ${V%:*}",
        "ARG V=x+ontainers-storage:[y]z\nFROM ${V/x+/c}",
        "FROM scratch AS a\nFROM scratch\nRUN --mount=from=oci:/x true",
    ] {
        Fixture::new(text).refused("build .", "image");
    }
}

#[test]
fn other_bytes_stay_as_they_are() {
    let fixture = Fixture::new("");
    let path = fixture.directory.path().join("Containerfile");
    std::fs::write(&path, b"# \xe9\nFROM scratch\n").unwrap();
    let build = fixture.plan("build .", &[]).unwrap();
    let given = file(&build, "Containerfile").unwrap();
    assert_eq!(given.content.as_slice(), b"# \xe9\nFROM scratch\n");
    std::fs::write(&path, b"FROM scratch\nCOPY --chown=0\xa0--from=oci:/x a b").unwrap();
    fixture.refused("build .", "line 2: the file is not UTF-8");
    std::fs::write(&path, b"# \xe9\nFROM scratch\nCOPY --link a b").unwrap();
    fixture.refused("build .", "is not UTF-8");
}

#[test]
fn a_build_with_a_fixed_time_uses_no_cache_instead_of_a_nonce() {
    let text = "FROM a.example/b AS one\nRUN true\nFROM a.example/b\nRUN --mount=type=bind,from=one,target=/x true";
    let fixture = Fixture::new(text);
    let build = fixture.plan("build --layers .", &[]).unwrap();
    assert!(copy(&build).contains("ci-cd-agents.identity.") && !has(&build, "--no-cache=true"));
    let again = fixture.plan("build --layers .", &[]).unwrap();
    assert_ne!(copy(&build), copy(&again));
    for time in [
        "--timestamp 0",
        "--source-date-epoch 0",
        "--build-arg SOURCE_DATE_EPOCH=0",
    ] {
        let line = format!("build --layers {time} .");
        let fixed = fixture.plan(&line, &[]).unwrap();
        assert!(copy(&fixed) == text && has(&fixed, "--no-cache=true"));
    }
}

#[test]
fn docker_reads_its_own_files_only() {
    let fixture = Fixture::new("FROM scratch\nLABEL a=containerfile");
    let write = |name: &str, text: &str| {
        std::fs::write(fixture.directory.path().join(name), text).unwrap();
    };
    let ignored = |operation: &Operation| {
        let ignore = file(operation, "ignore").unwrap();
        String::from_utf8(ignore.content.to_vec()).unwrap()
    };
    // Docker would refuse this one. A job that was written for Podman does not.
    assert!(copy(&fixture.plan("build .", BY_DOCKER).unwrap()).contains("containerfile"));
    write("Dockerfile", "FROM scratch\nLABEL a=dockerfile");
    write(".containerignore", "container");
    assert_eq!(ignored(&fixture.plan("build .", BY_DOCKER).unwrap()), "");
    write(".dockerignore", "docker");
    let by_docker = fixture.plan("build .", BY_DOCKER).unwrap();
    assert!(copy(&by_docker).contains("dockerfile") && ignored(&by_docker) == "docker");
    let by_buildah = fixture.plan("build .", &[]).unwrap();
    assert!(copy(&by_buildah).contains("containerfile") && ignored(&by_buildah) == "container");
    write("D.containerignore", "wrong");
    write("D", "FROM scratch");
    assert_eq!(
        ignored(&fixture.plan("build -f D .", BY_DOCKER).unwrap()),
        "docker"
    );
    write("D.dockerignore", "own");
    assert_eq!(
        ignored(&fixture.plan("build -f D .", BY_DOCKER).unwrap()),
        "own"
    );
}

#[test]
fn buildah_enters_the_directories_of_files_that_are_taken_back() {
    let fixture = Fixture::new("FROM scratch");
    let root = fixture.directory.path();
    std::fs::create_dir_all(root.join("c/src/deep")).unwrap();
    std::fs::create_dir_all(root.join("c/node_modules/x")).unwrap();
    for name in [
        "Containerfile",
        "root.go",
        "src/deep/u.go",
        "node_modules/x/x.js",
    ] {
        std::fs::write(root.join("c").join(name), "FROM scratch").unwrap();
    }
    std::os::unix::fs::symlink("src", root.join("c/link")).unwrap();
    let ignored = |text: &str| {
        std::fs::write(root.join("c/.dockerignore"), text).unwrap();
        let build = fixture.plan("build c", &[]).unwrap();
        String::from_utf8(file(&build, "ignore").unwrap().content.to_vec()).unwrap()
    };
    assert_eq!(
        ignored("*\n!**/*.go\n"),
        "*\n!**/*.go\n!src/deep/.ci-cd-agents.nothing\n"
    );
    assert_eq!(ignored("*\n!src/deep/u.go\n"), "*\n!src/deep/u.go\n");
    for directory in 0..2001 {
        let directory = root.join(format!("c/d{directory}"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("a.go"), "").unwrap();
    }
    // More directories than Buildah compares in a short time.
    assert_eq!(ignored("*\n!**/*.go\n"), "*\n!**/*.go\n");
    let near = "**/node_modules\n*.go\n!root*.go\n";
    assert_eq!(ignored(near), near);
    assert_eq!(
        ignored("*\n!src/*/*.go\n"),
        "*\n!src/*/*.go\n!src/deep/.ci-cd-agents.nothing\n"
    );
}
