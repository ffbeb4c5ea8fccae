//! What a build hands over to the builder.

use super::*;

/// Returns the steps of a build, up to the build itself, without the flags that every build has.
fn build(flags: &str) -> Vec<String> {
    let mut steps = steps(&format!("docker build {flags}"));
    let at = steps.iter().position(|line| line.starts_with("build "));
    steps.truncate(at.unwrap() + 1);
    let usual = |word: &&str| {
        let usual = ["--iidfile=", "--layers", "--force-rm", "--format=docker"];
        usual.iter().any(|usual| word.starts_with(usual))
    };
    let line = steps.pop().unwrap();
    let words: Vec<&str> = line.split(' ').filter(|word| !usual(word)).collect();
    steps.push(words.join(" "));
    steps
}

#[test]
fn what_is_shared_is_not_copied() {
    assert_eq!(build("-f d/Dockerfile ."), ["build --file=d/Dockerfile ."]);
    assert_eq!(build("link"), ["build /workspace/real"]);
    assert_eq!(
        build("--build-context a=dir --build-context b=docker-image://x ."),
        ["build --build-context=a=dir --build-context=b=docker-image://x ."]
    );
    assert_eq!(build("-o out ."), ["build --output=type=local,dest=out ."]);
}

#[test]
fn what_lies_outside_is_copied() {
    assert_eq!(
        build("/outside/c"),
        [
            "hand over /outside/c to /s/X/1-context without /outside/c/Dockerfile.dockerignore or /outside/c/.dockerignore",
            "build /s/X/1-context"
        ]
    );
    assert_eq!(
        build("-f /outside/D ."),
        [
            "copy in /outside/D to /s/X/1-Dockerfile",
            "copy /outside/D.dockerignore to /s/X/1-Dockerfile.dockerignore if present",
            "build --file=/s/X/1-Dockerfile ."
        ]
    );
    // The ignore file beside a named Dockerfile counts for the copy too.
    let both = build("-f d/D /outside/c");
    assert!(both[0].ends_with("without d/D.dockerignore or /outside/c/.dockerignore"));
    assert_eq!(
        build("--build-context x=/outside/x --ssh k=/outside/key ."),
        [
            "ssh /outside/key at /s/X/1-ssh",
            "hand over /outside/x to /s/X/2-context without /outside/x/.dockerignore",
            "build --ssh=k=/s/X/1-ssh --build-context=x=/s/X/2-context ."
        ]
    );
}

#[test]
fn streams_and_addresses_become_contexts() {
    assert_eq!(
        build("-"),
        ["unpack stdin to /s/X/1-context", "build /s/X/1-context"]
    );
    assert_eq!(
        build("-f x/D -"),
        [
            "unpack stdin to /s/X/1-context",
            "build --file=/s/X/1-context/x/D /s/X/1-context"
        ]
    );
    assert_eq!(
        build("-f https://h/D https://h/c.tar"),
        [
            "unpack https://h/c.tar to /s/X/1-context",
            "download https://h/D to /s/X/2-Dockerfile",
            "build --file=/s/X/2-Dockerfile /s/X/1-context"
        ]
    );
    assert_eq!(
        build("--build-context x=https://h/x.tgz ."),
        [
            "unpack https://h/x.tgz to /s/X/1-context",
            "build --build-context=x=/s/X/1-context ."
        ]
    );
    assert!(refusal("docker build -f - -").contains("both the context and the Dockerfile"));
}

#[test]
fn exported_files_are_copied_to_where_only_the_job_writes() {
    assert_eq!(
        steps("docker build -o /outside/out .")[1..],
        ["export /s/X/1-exported to /outside/out"]
    );
    assert_eq!(
        steps("docker build -o type=tar,dest=/outside/x.tar .")[1..],
        ["copy /s/X/1-exported to /outside/x.tar"]
    );
    assert!(build("-o - .")[0].contains("dest=- "));
}
