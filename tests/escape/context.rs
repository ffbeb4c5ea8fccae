//! Symlinks, races and paths in what the job hands over.

use crate::{BASE, assert_no_token, assert_refused, pod};

#[test]
fn a_context_outside_of_the_workspace() {
    for context in [
        "/",
        "/etc",
        "/run/supervisor",
        "/workspace/../etc",
        "../../../etc",
        "/proc/self/root",
    ] {
        let done = pod().job(&format!("buildah build {context}"));
        assert_eq!(done.code, 125, "{context}: {}", done.said);
    }
}

#[test]
fn a_context_that_is_a_symlink() {
    let done = pod()
        .job("ln -s /run/supervisor c; ln -s ../../../etc d; buildah build c; buildah build d");
    assert_eq!(done.code, 125, "{}", done.said);
}

#[test]
fn a_containerfile_that_is_a_symlink_to_the_credentials() {
    let done = pod().job("ln -s /run/supervisor/job/auth.json Containerfile; buildah build .");
    assert_refused(&done, "there is no Containerfile");
    let done = pod().job("ln -s /run/supervisor/job/auth.json x; buildah build --file x .");
    assert_refused(&done, "out of the workspace");
}

#[test]
fn a_containerfile_that_the_preprocessor_would_read() {
    let done = pod().job(
        "echo '#include \"/run/supervisor/job/auth.json\"' >x.in; buildah build --file x.in .",
    );
    assert_refused(&done, "preprocessor");
}

#[test]
fn an_ignore_file_that_is_a_symlink() {
    let done = pod().job(&format!(
        "echo FROM {BASE} >Containerfile; ln -s /etc/passwd i; buildah build --ignorefile i ."
    ));
    assert_refused(&done, "there is no i");
}

#[test]
fn an_ignore_file_with_ways_upwards() {
    let done = pod().job(&format!("printf 'FROM {BASE}\\nCOPY . /x\\nRUN find /x | sed s/^/found-/' >Containerfile; printf '*\\n!../../../run/supervisor\\n!/../etc' >.dockerignore; buildah build --no-cache ."));
    assert!(
        !done.said.contains("auth.json") && !done.said.contains("passwd"),
        "{}",
        done.said
    );
}

#[test]
fn symlinks_in_the_context() {
    let done = pod().job(&format!(
        "ln -s /run/supervisor/job/auth.json a; ln -s ../../../run/supervisor/job/auth.json b; ln -s /run c; \
         printf 'FROM {BASE}\\nCOPY . /x\\nRUN cat /x/a /x/b /x/c/supervisor/job/auth.json; true' >Containerfile; buildah build --no-cache ."
    ));
    assert!(
        done.code == 0 && !done.said.contains("auths"),
        "{}",
        done.said
    );
    for link in ["a", "b", "c/supervisor/job/auth.json"] {
        let done = pod().job(&format!("ln -s /run/supervisor/job/auth.json a; ln -s ../../../run/supervisor/job/auth.json b; ln -s /run c; printf 'FROM {BASE}\\nCOPY {link} /x\\nRUN cat /x && echo got-it' >Containerfile; buildah build --no-cache ."));
        assert!(
            done.code != 0 && !done.said.contains("auths"),
            "{}",
            done.said
        );
    }
}

#[test]
fn a_race_between_a_directory_and_a_symlink() {
    let done = pod().job(&format!(
        r#"
        mkdir c; echo mine >c/passwd; printf 'FROM {BASE}\nCOPY passwd /x\nRUN cat /x' >Containerfile
        (while :; do mv c d; ln -s /etc c; rm c; mv d c; done) & racer=$!
        for i in 1 2 3 4 5 6; do buildah build --no-cache --file Containerfile c 2>&1; buildah build --no-cache --file c/passwd . 2>&1; done
        kill $racer
        "#
    ));
    assert!(
        !done.said.contains("builder:x:") && !done.said.contains("nologin"),
        "{}",
        done.said
    );
}

#[test]
fn a_build_context_outside() {
    for source in ["/", "/run/supervisor", "../../../run"] {
        let done = pod().build(
            &format!("FROM {BASE}\nCOPY --from=out / /x"),
            &format!("--build-context out={source}"),
        );
        assert_ne!(done.code, 0, "{source}: {}", done.said);
        assert_no_token(&done);
    }
}

#[test]
fn a_secret_outside() {
    for source in [
        "/run/secrets/supervisor/.dockerconfigjson",
        "/proc/1/environ",
        "../../../etc/shadow",
    ] {
        let done = pod().build(
            &format!("FROM {BASE}\nRUN true"),
            &format!("--secret id=x,src={source}"),
        );
        assert_eq!(done.code, 125, "{source}: {}", done.said);
        assert_no_token(&done);
    }
}

#[test]
fn an_agent_outside() {
    let done = pod().build(
        &format!("FROM {BASE}\nRUN true"),
        "--ssh default=/run/builder/socket",
    );
    assert_refused(&done, "outside of");
}

#[test]
fn an_image_id_file_through_a_symlink() {
    let done = pod().job(&format!("printf 'FROM {BASE}\\n' >Containerfile; ln -s /run/supervisor/x i; buildah build --iidfile i ."));
    assert_eq!(done.code, 125, "{}", done.said);
    let done = pod().job(&format!(
        "printf 'FROM {BASE}\\n' >Containerfile; buildah build --iidfile /etc/x ."
    ));
    assert_refused(&done, "outside of");
}

#[test]
fn an_image_id_file_that_is_a_pipe_does_not_hold_the_builder() {
    let done = pod().job(&format!(
        "printf 'FROM {BASE}\\n' >Containerfile; mkfifo i; buildah build --iidfile i ."
    ));
    assert_eq!(done.code, 125, "{}", done.said);
}

#[test]
fn an_output_outside() {
    for destination in [
        "/etc/x",
        "/run/supervisor",
        "/var/lib/builder/x",
        "../../../tmp/x",
    ] {
        let done = pod().build(
            &format!("FROM {BASE}\nRUN true"),
            &format!("--output type=tar,dest={destination}"),
        );
        assert_eq!(done.code, 125, "{destination}: {}", done.said);
    }
}

#[test]
fn an_output_with_symlinks_and_setuid_files() {
    let done = pod().job(
        "printf 'FROM scratch\\nCOPY a /link/planted\\nCOPY --chmod=4755 a /setuid\\n' >Containerfile; echo x >a; \
         mkdir out; ln -s /var/lib/builder out/link; buildah build --output type=local,dest=out .; find out ! -uid 1000 | sed 's/^/foreign: /'; ls -la out",
    );
    assert!(!done.said.contains("\nforeign: "), "{}", done.said);
    let looked = pod().builder("find /var/lib/builder -maxdepth 1 -name planted");
    assert!(looked.said.trim().is_empty(), "{}", looked.said);
}
