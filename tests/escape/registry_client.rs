//! The builder's registry client: pushes that are not allowed, credentials sent elsewhere, registries that answer for ever.

use crate::{BASE, assert_no_token, assert_refused, pod};

const NOT_ALLOWED: &str = "is not allowed: builder.push.allow has 127.0.0.1:5000/team/*";

#[test]
fn by_a_tag_made_in_the_registry() {
    let done = pod().job(&format!(
        "docker buildx imagetools create -t 127.0.0.1:5000/other/x:1 {BASE}"
    ));
    assert_refused(&done, NOT_ALLOWED);
    let done = pod().job(&format!(
        "buildah registry copy {BASE} 127.0.0.1:5000/other/x:1"
    ));
    assert_refused(&done, NOT_ALLOWED);
    let done = pod().job(&format!(
        "docker buildx imagetools create -t 127.0.0.1:5000/team/tagged:1 {BASE}"
    ));
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn by_a_list_on_standard_input() {
    let done =
        pod().job("echo '{\"manifests\":[]}' | buildah registry index 127.0.0.1:5000/other/x:1");
    assert_refused(&done, NOT_ALLOWED);
    let done = pod().job("echo '{\"layers\":[]}' | buildah registry index 127.0.0.1:5000/team/x:1");
    assert_refused(&done, "expected a list of images");
    let done = pod().job("yes | buildah registry index 127.0.0.1:5000/team/x:1");
    assert_refused(&done, "standard input has more than");
}

#[test]
fn by_a_digest_without_a_tag() {
    let done = pod().job(&format!(
        "buildah pull --quiet {BASE} >/dev/null; buildah registry push {BASE} 127.0.0.1:5000/other/x"
    ));
    assert_refused(&done, NOT_ALLOWED);
    let done = pod().job(&format!("cat >Dockerfile <<<'FROM {BASE}'\ndocker build -o type=image,name=127.0.0.1:5000/other/x,push-by-digest=true,push=true ."));
    assert_refused(&done, NOT_ALLOWED);
}

#[test]
fn reads_files_of_the_builder_as_manifests() {
    for name in [
        "dir:/run/supervisor",
        "oci:/var/lib/builder:x",
        "docker-archive:/run/supervisor/job/auth.json",
        "containers-storage:x",
        "docker://../../run:1",
    ] {
        let done = pod().job(&format!("buildah registry manifest '{name}'"));
        assert_refused(&done, "is not the name of an image");
        let copy = format!("buildah registry copy '{name}' 127.0.0.1:5000/team/x:1");
        assert_refused(&pod().job(&copy), "is not the name of an image");
    }
}

#[test]
fn runs_a_program_by_the_flags_of_a_push() {
    let done = pod().job(&format!(
        "buildah pull --quiet {BASE} >/dev/null; buildah registry push --format=\"';touch /workspace/work/ran;'\" {BASE} 127.0.0.1:5000/team/x"
    ));
    assert_ne!(done.code, 0, "{}", done.said);
    let done = pod().job(&format!(
        "buildah registry push --compression-level='$(touch /workspace/work/ran)' {BASE} 127.0.0.1:5000/team/x"
    ));
    assert_ne!(done.code, 0, "{}", done.said);
    let looked = pod().job("ls /workspace/work/ran");
    assert_ne!(looked.code, 0, "{}", looked.said);
}

/// A registry of the job's own that answers with this script, which gets `request` and `answer`. It prints each request with
/// its headers. `$REGISTRY` is its address.
fn with_registry(script: &str, commands: &str) -> String {
    format!(
        r#"
        cat >registry.js <<'END'
        const http = require('http').createServer((request, answer) => {{
            console.log('asked ' + request.method + ' ' + request.url + ' ' + JSON.stringify(request.headers));
            {script}
        }}).listen(0, '127.0.0.1', () => console.log('listens at ' + http.address().port));
END
        node registry.js >log & server=$!
        until grep -q listens log; do sleep 0.05; done
        REGISTRY=127.0.0.1:$(sed -n 's/^listens at //p' log)
        ({commands}); code=$?
        kill $server; cat log; exit $code
        "#
    )
}

/// Every request of the client, each to the job's registry.
const REQUESTS: &str = r#"
    docker buildx imagetools inspect $REGISTRY/team/x:1
    docker manifest inspect $REGISTRY/team/x:1
    docker buildx imagetools create -t 127.0.0.1:5000/team/x:1 $REGISTRY/team/x:1
    buildah registry copy --src-tls-verify=false $REGISTRY/team/x:1 127.0.0.1:5000/team/x:1
    buildah registry config --tls-verify=false $REGISTRY/team/x:1
    false"#;

#[test]
fn takes_the_credentials_by_a_redirect_or_a_challenge() {
    for answer in [
        "answer.writeHead(307, {location: 'http://127.0.0.1:5000' + request.url}); answer.end();",
        "answer.writeHead(401, {'www-authenticate': 'Bearer realm=\"http://127.0.0.1:5000/v2/\",service=\"127.0.0.1:5000\",scope=\"x\"'}); answer.end();",
        "answer.writeHead(401, {'www-authenticate': 'Basic realm=\"127.0.0.1:5000\"'}); answer.end();",
    ] {
        let done = pod().job(&with_registry(answer, REQUESTS));
        assert!(
            done.code != 0 && done.said.contains("asked GET"),
            "{}",
            done.said
        );
        // An anonymous client sends an empty token, or `:` in base64. Nothing else may arrive.
        let anonymous = [
            "\"authorization\":\"Bearer\"",
            "\"authorization\":\"Basic Og==\"",
        ];
        let headers = anonymous
            .iter()
            .fold(done.said.clone(), |said, header| said.replace(header, ""));
        assert!(!headers.contains("\"authorization\""), "{}", done.said);
        assert_no_token(&done);
    }
}

#[test]
fn takes_the_credentials_without_a_certificate() {
    let registry = "127.0.0.1:5000";
    for line in [
        format!("buildah registry manifest --tls-verify=false {registry}/team/x"),
        format!("docker --config d buildx imagetools inspect {registry}/team/x"),
    ] {
        let done = pod().job(&format!("export https_proxy=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9; {line}"));
        assert!(!done.said.contains("127.0.0.1:9"), "{}", done.said);
        assert_no_token(&done);
    }
}

#[test]
fn fills_the_memory_by_an_endless_answer() {
    let endless = "answer.writeHead(200, {'content-type': 'application/vnd.oci.image.manifest.v1+json'}); \
        const more = () => { while (answer.write(Buffer.alloc(65536, 32))); }; answer.on('drain', more); more();";
    let image = format!(
        "if (!request.url.includes('/blobs/')) {{ answer.writeHead(200, {{'content-type': 'application/vnd.oci.image.manifest.v1+json'}}); \
         answer.end(JSON.stringify({{schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', layers: [], \
         config: {{mediaType: 'application/vnd.oci.image.config.v1+json', size: 1e15, digest: 'sha256:{}'}}}})); return; }} {endless}",
        "0".repeat(64)
    );
    let refusal = endless.replace("200", "401");
    for answer in [endless, &image, &refusal] {
        let done = pod().job(&with_registry(answer, REQUESTS));
        assert!(
            done.code != 0 && done.said.contains("asked GET"),
            "{}",
            done.said
        );
        assert_no_token(&done);
    }
    let alive = pod().job(&format!("buildah registry manifest {BASE}"));
    assert_eq!(alive.code, 0, "{}", alive.said);
}

#[test]
fn changes_the_credentials_by_entries_of_a_command() {
    let done = pod().job(
        r#"mkdir -p d && echo '{"auths":{"127.0.0.1:5000":{"auth":"am9iOmpvYg=="},"127.0.0.1:5000/team/x":{"auth":"am9iOmpvYg=="}}}' >d/config.json
        docker --config d buildx imagetools inspect 127.0.0.1:5000/base:trixie >/dev/null
        buildah login --get-login 127.0.0.1:5000; cat d/config.json ~/.docker/config.json ~/.config/containers/auth.json 2>&1"#,
    );
    assert!(done.said.contains("not logged into"), "{}", done.said);
    assert_no_token(&done);
}
