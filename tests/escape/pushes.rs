//! Pushes elsewhere, and credentials that a job brings along.

use crate::{BASE, TOKEN, assert_no_token, assert_refused, pod};

const NOT_ALLOWED: &str = "is not allowed";

fn tagged(name: &str) -> String {
    format!("buildah pull --quiet {BASE} >/dev/null && buildah tag {BASE} {name} && ")
}

#[test]
fn by_tag() {
    for target in [
        "127.0.0.1:5000/other/x",
        "127.0.0.1:5000/teams/x",
        "127.0.0.1:5000/x",
        "127.0.0.1:5001/team/x",
        "localhost:5000/team/x",
        "team/x",
    ] {
        let done = pod().job(&format!(
            "{}buildah push localhost/a docker://{target}:1",
            tagged("localhost/a")
        ));
        assert_refused(&done, NOT_ALLOWED);
    }
}

#[test]
fn by_the_images_own_name() {
    let done = pod().job(&format!(
        "{}buildah push 127.0.0.1:5000/other/b",
        tagged("127.0.0.1:5000/other/b")
    ));
    assert_refused(&done, NOT_ALLOWED);
}

#[test]
fn by_digest() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let done = pod().job(&format!(
        "{}buildah push localhost/c 127.0.0.1:5000/other/x@{digest}",
        tagged("localhost/c")
    ));
    assert_refused(&done, NOT_ALLOWED);
}

#[test]
fn by_a_way_upwards_in_the_name() {
    for target in [
        "127.0.0.1:5000/team/../other/x",
        "127.0.0.1:5000//other/x",
        "127.0.0.1:5000/team/x?y=z",
    ] {
        let done = pod().job(&format!(
            "{}buildah push localhost/d '{target}'",
            tagged("localhost/d")
        ));
        assert_eq!(done.code, 125, "{}", done.said);
    }
}

#[test]
fn by_a_manifest_list() {
    let done = pod().job("buildah manifest create list-x; buildah manifest push --all list-x docker://127.0.0.1:5000/other/x");
    assert_refused(&done, NOT_ALLOWED);
}

#[test]
fn by_the_layer_cache() {
    let done = pod().build(
        &format!("FROM {BASE}"),
        "--layers --cache-to 127.0.0.1:5000/other/cache",
    );
    assert_refused(&done, NOT_ALLOWED);
}

#[test]
fn a_registry_of_the_jobs_own_gets_nothing_and_redirects_nothing() {
    let done = pod().job(&format!(
        r#"
        cat >registry.js <<'END'
        require('http').createServer((request, answer) => {{ console.log('asked ' + request.url + JSON.stringify(request.headers)); answer.writeHead(307, {{location: 'http://127.0.0.1:5000' + request.url}}); answer.end(); }}).listen(5999, () => console.log('listens'));
END
        node registry.js >log & server=$!
        until grep -q listens log; do sleep 0.05; done
        {}buildah push --tls-verify=false localhost/e 127.0.0.1:5999/team/x; code=$?
        kill $server; cat log; exit $code
        "#,
        tagged("localhost/e")
    ));
    assert_refused(&done, NOT_ALLOWED);
    assert!(!done.said.contains("asked"), "{}", done.said);
}

#[test]
fn a_login_of_the_job_changes_nothing_of_the_builders() {
    let done = pod().job(
        "echo x | buildah login --username thief --password-stdin 127.0.0.1:5000; buildah login --get-login 127.0.0.1:5000; \
         buildah logout 127.0.0.1:5000; buildah login --get-login 127.0.0.1:5000",
    );
    assert_no_token(&done);
    assert!(!done.said.contains("token"), "{}", done.said);
    let kept = pod().builder("cat /run/secrets/supervisor/.dockerconfigjson");
    assert!(
        kept.said.contains(TOKEN),
        "the builder's own must still be there: {}",
        kept.said
    );
}

#[test]
fn what_is_allowed_is_pushed() {
    let done = pod().job(&format!(
        "{}buildah push --digestfile digest localhost/f 127.0.0.1:5000/team/f:1 && cat digest",
        tagged("localhost/f")
    ));
    assert!(
        done.code == 0 && done.said.contains("sha256:"),
        "{}",
        done.said
    );
}

#[test]
fn the_job_holds_no_credentials_of_the_builder() {
    let done = pod().job(&format!("grep -rlsF {} /run /workspace /tmp /var/tmp /etc /dev/shm; env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'", &TOKEN[..12]));
    assert_no_token(&done);
    let done = pod().job("ls /run/secrets/supervisor /var/lib/builder");
    assert_ne!(done.code, 0, "{}", done.said);
}

#[test]
fn the_job_sees_no_process_of_the_builder() {
    let done = pod().job("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done");
    assert!(
        done.said.contains("supervisor run") && !done.said.contains("serve-builds"),
        "{}",
        done.said
    );
}

#[test]
fn the_job_has_no_right_that_a_restricted_pod_has_not() {
    let done = pod().job("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; touch /usr/x; unshare --user true && echo got-it");
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(done.said.contains(line), "{line}: {}", done.said);
    }
    assert!(
        done.said.contains("Read-only file system") && !done.said.contains("got-it"),
        "{}",
        done.said
    );
}
