//! The view of a context: whiteouts, ignore files and the upper directory are no way into the builder.

use crate::{BASE, TOKEN, alone, assert_no_token, assert_refused, assert_serves, pod};

/// The credentials, in the builder's own world.
const SECRET: &str = "/run/secrets/supervisor/.dockerconfigjson";

#[test]
fn a_file_of_the_job_that_looks_like_a_part_of_an_overlay() {
    let done = pod().job(&format!(
        r#"
        mkdir -p c/d c/e; echo mine >c/d/f; echo x >c/hidden; echo hidden >c/.dockerignore
        node -e 'process.exit(0)'; python3 -c 1 2>/dev/null; perl -e '
            for ([q(user.overlay.redirect), q(/../../../../run/supervisor)], [q(user.overlay.opaque), q(y)], [q(user.overlay.metacopy), q()]) {{
                syscall(188, q(c/e), my $n = $_->[0], my $v = $_->[1], length $_->[1], 0) == 0 and print "set $_->[0]\n" }}'
        printf 'FROM {BASE}\nRUN --mount=type=bind,target=/x,rw find /x /x/e | sed s/^/found-/; mknod /x/hidden c 0 0 2>&1; cat /x/hidden; rm -rf /x/d; mkdir /x/d; ls -A /x/d | sed s/^/found-/\n' >c/Dockerfile
        docker build --no-cache c; cat c/d/f
        "#
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert_no_token(&done);
    let found: Vec<&str> = (done.said.lines())
        .filter(|line| line.starts_with("found-"))
        .collect();
    for line in &found {
        let known = ["", "/.dockerignore", "/Dockerfile", "/d", "/d/f", "/e"];
        let rest = line.strip_prefix("found-/x").unwrap_or("?");
        assert!(known.contains(&rest), "{line}: {}", done.said);
    }
    assert!(
        !found.is_empty() && done.said.contains("mine\n"),
        "{}",
        done.said
    );
}

#[test]
fn an_ignore_file_without_an_end() {
    let done = pod().job(&format!(
        "echo FROM {BASE} >Containerfile; yes 'a*' | head -c 10M >.dockerignore; buildah build ."
    ));
    assert_refused(&done, "it has more than 4 MiB");
    let done = pod().job(&format!(
        "echo FROM {BASE} >Containerfile; yes 'a*' | head -n 20000 >.dockerignore; buildah build ."
    ));
    assert_refused(&done, "more than 10000 patterns");
    let done = pod().job(&format!(
        "echo FROM {BASE} >Containerfile; yes '**/a*b*/c?' | head -n 1000 >.dockerignore; touch {{1..300}}; buildah build ."
    ));
    assert_eq!(done.code, 0, "{}", done.said);
}

/// The walk of the context may meet a symlink where it saw a directory.
#[test]
fn a_race_between_the_walk_and_a_symlink_into_the_builder() {
    let done = pod().job(&format!(
        r#"
        mkdir -p c/d; for i in {{1..300}}; do mkdir c/d/$i; echo mine >c/d/$i/supervisor; done; printf '**/passwd\n**/.env\n' >c/.dockerignore
        printf 'FROM {BASE}\nRUN --mount=type=bind,target=/x find /x -name .dockerconfigjson -o -name storage -o -name shadow | sed s/^/stolen-/; cat /x/d/*/supervisor | sort -u | sed s/^/read-/\n' >c/Dockerfile
        docker build --no-cache c || exit 9
        (while :; do mv c/d c/e; ln -s /run c/d; rm c/d; mv c/e c/d; done) & racer=$!
        for i in 1 2 3 4; do docker build --no-cache c; done; kill $racer; true
        "#
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert_no_token(&done);
    assert!(!done.said.contains("\nstolen-"), "{}", done.said);
    let read = done.said.lines().filter(|line| line.starts_with("read-"));
    let read: Vec<&str> = read.collect();
    assert!(
        !read.is_empty() && read.iter().all(|line| *line == "read-mine"),
        "{read:?}"
    );
}

/// Unpacked by the job itself, in its own container.
#[test]
fn an_archive_as_context_that_leads_into_the_builder() {
    let done = pod().job(&format!(
        r#"
        mkdir c; ln -s {SECRET} c/link; ln -s /run c/run; printf 'FROM {BASE}\nCOPY . /x\nRUN --mount=type=bind,target=/y cat /x/link /y/link /y/run/secrets/supervisor/.dockerconfigjson; ls /y | sed s/^/found-/\n' >c/Dockerfile
        tar -C c -c . | docker build --no-cache -; docker build --no-cache --build-context x=/run/secrets . ; docker build /proc/1/root
        "#
    ));
    assert_no_token(&done);
    assert!(!done.said.contains(TOKEN), "{}", done.said);
    for line in ["found-Dockerfile", "found-link", "found-run"] {
        assert!(
            done.said.lines().any(|said| said == line),
            "{line}: {}",
            done.said
        );
    }
}

/// A build fills its upper directory. It ends with the build, and the builder serves on.
#[test]
fn a_step_that_fills_its_view() {
    let (pod, _guard) = alone();
    let done = pod.job(&format!(
        "mkdir c; printf 'FROM {BASE}\\nRUN --mount=type=bind,target=/x,rw head -c 200M /dev/zero >/x/big && ls -s /x/big\\n' >c/Dockerfile; docker build --no-cache c; ls c"
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.said.ends_with("Dockerfile\n") || done.said.contains("\nDockerfile\n"));
    let left = pod.builder("find /var/lib/builder -size +100M");
    assert!(!left.said.contains("big"), "{}", left.said);
    assert_serves(&pod);
}
