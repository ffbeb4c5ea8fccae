//! Pushes to registries that are not allowed, and credentials that a job supplies.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use support::Pod;

use crate::{BASE, TOKEN, assert_no_token, assert_refused, pod};

const NOT_ALLOWED: &str = "is not allowed: builder.push.allow has 127.0.0.1:5000/team/*";

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
        assert_refused(&done, "is not the name of an image");
    }
}

#[test]
fn by_a_manifest_list() {
    let done = pod().job("buildah manifest create list-x; buildah manifest push --all list-x docker://127.0.0.1:5000/other/x");
    assert_refused(&done, NOT_ALLOWED);
    let done = pod().job(&format!(
        "{}buildah manifest create list-y localhost/y && buildah manifest push --all list-y docker://127.0.0.1:5000/team/y",
        tagged("localhost/y")
    ));
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn by_the_layer_cache() {
    let done = pod().build(
        &format!("FROM {BASE}"),
        "--layers --cache-to 127.0.0.1:5000/other/cache",
    );
    assert_refused(&done, NOT_ALLOWED);
    let done = pod().build(
        &format!("FROM {BASE}\nRUN true"),
        "--layers --no-cache --cache-to 127.0.0.1:5000/team/layers",
    );
    assert!(
        done.code == 0 && done.said.contains("Pushing cache"),
        "{}",
        done.said
    );
}

#[test]
fn sends_nothing_to_a_registry_of_the_jobs_own() {
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
    assert!(
        done.said.contains("listens") && !done.said.contains("asked"),
        "{}",
        done.said
    );
}

/// A pod whose builds have a cache, and the builder's credentials for it. No registry listens at that address.
fn with_cache() -> Arc<Pod> {
    static SHARED: Mutex<Weak<Pod>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let settings = [
            "SUPERVISOR_BUILDER__CACHE=127.0.0.2:7443/cache",
            "SUPERVISOR_BUILDER__CACHE_WRITE=true",
            "SUPERVISOR_BUILDER__PUSH__ALLOW=*",
        ];
        let credentials = format!(r#"{{"auths":{{"127.0.0.2:7443":{{"auth":"{TOKEN}"}}}}}}"#);
        let pod = Arc::new(Pod::start(&settings, &credentials));
        *shared = Arc::downgrade(&pod);
        pod
    })
}

/// Who answers in place of the registry that has the cache, by a proxy or without a certificate, gets the credentials.
#[test]
fn by_a_proxy_of_the_job_that_the_cache_is_asked_through() {
    let pod = with_cache();
    let job = |flags: &str| {
        pod.job(&format!(
            r#"
            cat >proxy.js <<'END'
            const http = require('http').createServer((request, answer) => {{ console.log('asked ' + request.url); answer.writeHead(500); answer.end(); }});
            http.on('connect', (request, socket) => {{ console.log('asked ' + request.url); socket.end(); }});
            http.listen(0, '127.0.0.1', () => console.log('listens at ' + http.address().port));
END
            node proxy.js >log & server=$!
            until grep -q listens log; do sleep 0.05; done
            export {{http,https,HTTP,HTTPS}}_proxy=http://127.0.0.1:$(sed -n 's/^listens at //p' log)
            export {{HTTP,HTTPS}}_PROXY=$https_proxy NO_PROXY=127.0.0.1:5000
            printf 'FROM {BASE}
RUN echo proxy=$https_proxy=$HTTP_PROXY
RUN true
' >Containerfile
            buildah build --retry 0 {flags} .; code=$?
            kill $server; cat log; exit $code
            "#
        ))
    };
    let done = job("");
    // The step has the proxies. Buildah does not: no registry listens at the address that it connected to.
    assert!(
        done.said.contains(
            "
proxy=http://127.0.0.1:"
        ),
        "{}",
        done.said
    );
    assert!(
        done.said
            .contains("127.0.0.2:7443: connect: connection refused"),
        "{}",
        done.said
    );
    assert!(
        done.said.contains("listens at") && !done.said.contains("asked"),
        "{}",
        done.said
    );
    assert_no_token(&done);
    assert_refused(
        &job("--tls-verify=false"),
        "any server could answer for 127.0.0.2:7443 and would get the builder's credentials",
    );
}

/// What builds of other jobs take their layers from.
#[test]
fn into_the_cache_itself() {
    let pod = with_cache();
    let digest = format!("sha256:{}", "0".repeat(64));
    for target in [
        "127.0.0.2:7443/cache",
        "127.0.0.2:7443/cache:key",
        "127.0.0.2:07443/cache:key",
        &format!("127.0.0.2:7443/cache@{digest}"),
    ] {
        let done = pod.job(&format!("buildah push localhost/x docker://{target}"));
        assert_refused(&done, "it is builder.cache");
    }
    let done = pod.job(
        "buildah manifest create l; buildah manifest push --all l docker://127.0.0.2:7443/cache",
    );
    assert_refused(&done, "it is builder.cache");
    let done = pod.build("FROM scratch", "--layers --cache-to 127.0.0.2:7443/cache");
    assert_refused(&done, "it is builder.cache");
    // A repository beside it is as free as builder.push.allow says.
    let done = pod.job(&format!(
        "buildah pull --quiet {BASE} && buildah push {BASE} 127.0.0.1:5000/cache"
    ));
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn a_login_of_the_job_changes_nothing_of_the_builders() {
    let done = pod().job(
        "echo x | buildah login --username thief --password-stdin 127.0.0.1:5000; echo \"now $(buildah login --get-login 127.0.0.1:5000)\"; \
         buildah logout 127.0.0.1:5000 && ! buildah login --get-login 127.0.0.1:5000",
    );
    assert_no_token(&done);
    assert!(!done.said.contains("token"), "{}", done.said);
    // Its own it does have, while it is logged in.
    assert!(
        done.code == 0 && done.said.contains("\nnow thief\n"),
        "{}",
        done.said
    );
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
    for place in [
        "/run/secrets/supervisor/.dockerconfigjson",
        "/var/lib/builder",
    ] {
        let done = pod().job(&format!("ls {place}"));
        assert!(
            done.code != 0 && done.said.contains("No such file or directory"),
            "{}",
            done.said
        );
        let kept = pod().builder(&format!("ls {place}"));
        assert_eq!(kept.code, 0, "it is in the builder: {}", kept.said);
    }
}

#[test]
fn the_job_sees_no_process_of_the_builder() {
    let done = pod().job("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done");
    assert!(
        done.said.contains("supervisor run") && !done.said.contains("serve-builds"),
        "{}",
        done.said
    );
    let own = pod().builder("tr '\\0' ' ' </proc/1/cmdline");
    assert!(own.said.contains("serve-builds"), "{}", own.said);
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
