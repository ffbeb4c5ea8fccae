//! The command lines of the actions. Source: docker/build-push-action v7, docker/login-action v4, docker/setup-buildx-action v4,
//! docker/setup-qemu-action v4, docker/actions-toolkit v0.95, redhat-actions/buildah-build v3 and push-to-registry v3.

use super::*;

const TEMP: &str = "/workspace/_temp/docker-actions-toolkit-a1";

#[test]
fn login_action() {
    assert_eq!(
        steps("docker login --password-stdin --username octo ghcr.io"),
        ["login --password-stdin --username=octo ghcr.io"]
    );
    assert_eq!(
        steps("docker login --password-stdin --username octo ''").len(),
        1
    );
    let logout = |server: &str| steps(&format!("docker logout {server}"))[1].clone();
    assert_eq!(logout("ghcr.io"), "if logout ghcr.io");
    assert_eq!(logout("https://index.docker.io/v1/"), "if logout docker.io");
}

#[test]
fn setup_buildx_action() {
    assert_eq!(steps("docker version"), ["version --json", "print output"]);
    assert_eq!(
        steps("docker info"),
        ["version --json", "info", "print output"]
    );
    // The action reads only the exit code.
    assert_eq!(steps("docker buildx").len(), 1);
    let inspected = steps("docker buildx inspect builder-0b");
    assert!(
        inspected[0].starts_with("print Name:   builder-0b\nDriver: remote\n"),
        "{inspected:?}"
    );
    assert!(!inspected[0].contains("BuildKit"), "{inspected:?}");
    assert_eq!(
        inspected,
        steps("docker buildx inspect --bootstrap --builder builder-0b")
    );
    let create = "docker buildx create --name builder-0b --driver docker-container --buildkitd-flags \
        '--allow-insecure-entitlement security.insecure --allow-insecure-entitlement network.host' --use";
    assert_eq!(steps(create), ["print builder-0b"]);
    assert!(
        notices(create)[0].contains("--buildkitd-flags is left out"),
        "{:?}",
        notices(create)
    );
    assert!(notices("docker buildx rm builder-0b")[0].contains("as long as the pod"));
    assert_eq!(
        steps("docker context inspect --format {{.Name}}"),
        ["print default"]
    );
    let context = steps("docker context inspect --format=json default");
    let context: serde_json::Value =
        serde_json::from_str(context[0].strip_prefix("print ").unwrap()).unwrap();
    assert_eq!(
        context[0]["Endpoints"]["docker"]["TLSData"],
        serde_json::Value::Null
    );
    assert_eq!(context[0]["TLSMaterial"], serde_json::json!({}));
    assert!(refusal("docker buildx create --name builder-0b --append --node arm --platform linux/arm64 ssh://arm").contains("--append is not available"));
}

/// The action reads the first number after a blank, and compares it.
#[test]
fn the_action_can_read_the_version_of_buildx() {
    let printed = steps("docker buildx version").remove(0);
    let version = printed
        .strip_prefix("print ")
        .unwrap()
        .split(" v")
        .nth(1)
        .unwrap();
    assert!(version.starts_with("0.22.0 "), "{printed}");
}

/// The action looks for the version of BuildKit in a container's image. Without one it requests no attestations.
#[test]
fn build_push_action_finds_no_buildkit() {
    assert_eq!(
        steps("docker inspect --format {{.Config.Image}} buildx_buildkit_builder-0b0")[0],
        "inspect --type=image buildx_buildkit_builder-0b0"
    );
}

#[test]
fn build_push_action_with_a_path() {
    let line = format!(
        "docker buildx build --annotation manifest:org.opencontainers.image.title=app --build-arg VERSION=1 \
         --cache-from type=gha --cache-to type=gha,mode=max --file ./Containerfile --iidfile {TEMP}/iid.txt \
         --label org.opencontainers.image.revision=abc --secret id=npm,src={TEMP}/tmp-1 --tag ghcr.io/o/app:1 \
         --tag ghcr.io/o/app:latest --metadata-file {TEMP}/metadata.json --pull --push ."
    );
    assert_eq!(
        steps(&line),
        [
            &format!("copy in {TEMP}/tmp-1 to /s/X/1-secret"),
            "build --label=org.opencontainers.image.revision=abc --build-arg=VERSION=1 \
                 --annotation=org.opencontainers.image.title=app --pull=always --secret=id=npm,src=/s/X/1-secret \
                 --file=./Containerfile --layers --force-rm --format=oci --identity-label=false --iidfile=/s/X/2-iid --tag=ghcr.io/o/app:1 \
                 --tag=ghcr.io/o/app:latest .",
            "push --digestfile=/s/X/3-digest ghcr.io/o/app:1 docker://ghcr.io/o/app:1",
            "push --digestfile=/s/X/3-digest ghcr.io/o/app:1 docker://ghcr.io/o/app:latest",
            "remember built ghcr.io/o/app:1",
            "remember built ghcr.io/o/app:latest",
            &format!("copy /s/X/2-iid to {TEMP}/iid.txt"),
            &format!("metadata with digest to {TEMP}/metadata.json"),
        ]
    );
    let notices = notices(&line);
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(
        notices[0].starts_with("docker buildx build: --cache-from type=gha is left out: "),
        "{notices:?}"
    );
}

#[test]
fn build_push_action_with_its_own_context() {
    let line = format!(
        "docker buildx build --file docker/Dockerfile --iidfile {TEMP}/iid.txt \
         --secret id=GIT_AUTH_TOKEN.github.com,src={TEMP}/tmp-2 --tag user/app:1 --load \
         --metadata-file {TEMP}/metadata.json https://github.com/o/r.git#0123abcd:sub"
    );
    assert_eq!(
        steps(&line),
        [
            &format!("copy in {TEMP}/tmp-2 to /s/X/1-secret"),
            "fetch https://github.com/o/r.git 0123abcd to /s/X/2-git",
            "build --secret=id=GIT_AUTH_TOKEN.github.com,src=/s/X/1-secret --layers --force-rm --format=docker --identity-label=false \
             --file=/s/X/2-git/sub/docker/Dockerfile --iidfile=/s/X/3-iid --tag=user/app:1 /s/X/2-git/sub",
            &format!("copy /s/X/3-iid to {TEMP}/iid.txt"),
            &format!("metadata to {TEMP}/metadata.json"),
        ]
    );
    assert_eq!(token(&line).as_deref(), Some(Path::new("/s/X/1-secret")));
}

/// Returns the file of the token with which the second step fetches.
fn token(line: &str) -> Option<std::path::PathBuf> {
    let plan = call(line).unwrap();
    let Step::Fetch { source, .. } = &plan.steps[1] else {
        panic!("{plan:?}");
    };
    source.token.clone()
}

#[test]
fn a_token_of_any_kind_is_used_for_a_git_context() {
    for secret in [
        "id=GIT_AUTH_TOKEN,env=TOKEN",
        "id=GIT_AUTH_TOKEN",
        "id=GIT_AUTH_TOKEN.git.example",
    ] {
        for context in [
            "https://git.example/o/r.git",
            "--build-context=r=https://git.example/o/r.git .",
        ] {
            let line = format!("docker build --secret {secret} {context}");
            assert_eq!(
                token(&line).as_deref(),
                Some(Path::new("/s/X/1-secret")),
                "{line}"
            );
        }
    }
    assert_eq!(
        token("docker build --secret id=GIT_AUTH_TOKEN.other.example https://git.example/o/r.git"),
        None
    );
}

#[test]
fn build_push_action_with_several_platforms() {
    let line = format!(
        "docker buildx build --iidfile {TEMP}/iid.txt --platform linux/amd64,linux/arm64 --tag user/app:1 --tag user/app:2 \
         --metadata-file {TEMP}/metadata.json --push ."
    );
    let list = "localhost/docker-x-1:latest";
    assert_eq!(
        steps(&line),
        [
            &format!(
                "build --layers=false --force-rm --format=docker --identity-label=false --platform=linux/amd64,linux/arm64 --manifest={list} ."
            ),
            &format!("tag {list} user/app:1 user/app:2"),
            &format!("images --json --no-trunc --filter=reference={list}"),
            "id to /s/X/2-iid",
            &format!(
                "manifest push --digestfile=/s/X/3-digest --all --format=v2s2 {list} docker://docker.io/user/app:1"
            ),
            &format!(
                "manifest push --digestfile=/s/X/3-digest --all --format=v2s2 {list} docker://docker.io/user/app:2"
            ),
            "remember built docker.io/user/app:1",
            "remember built docker.io/user/app:2",
            &format!("copy /s/X/2-iid to {TEMP}/iid.txt"),
            &format!("metadata with digest to {TEMP}/metadata.json"),
            &format!("try manifest rm {list}"),
        ]
    );
}

#[test]
fn build_push_action_with_attestations() {
    let plain = steps("docker buildx build -t a:1 --push .");
    for (flags, kind) in [
        (
            "--attest type=provenance,mode=max,builder-id=https://github.com/o/r/actions/runs/1/attempts/1",
            "provenance",
        ),
        ("--attest type=sbom,disabled=false", "sbom"),
        ("--provenance", "provenance"),
        ("--provenance=true", "provenance"),
        ("--provenance mode=min", "provenance"),
        ("--provenance=mode=max,version=v1", "provenance"),
        ("--sbom=true", "sbom"),
        ("--sbom generator=docker/scout-sbom-indexer", "sbom"),
    ] {
        let flags = if flags == "--provenance" {
            "--provenance="
        } else {
            flags
        };
        let line = format!("docker buildx build -t a:1 {flags} --push .");
        let notices = notices(&line);
        assert_eq!(notices.len(), 1, "{line}");
        let expected = format!("no {kind} attestation is made, because Buildah writes none; use ");
        assert!(notices[0].contains(&expected), "{notices:?}");
        assert_eq!(steps(&line), plain, "{line}");
    }
    for none in [
        "--attest type=provenance,false",
        // The toolkit turns the one above into this.
        "--attest type=provenance,disabled=true",
        "--provenance=false --sbom false",
    ] {
        assert!(
            notices(&format!("docker build {none} .")).is_empty(),
            "{none}"
        );
    }
    for odd in ["type=odd", "mode=max"] {
        let text = refusal(&format!("docker build --attest {odd} ."));
        assert!(
            text.contains("expected type=provenance or type=sbom"),
            "{text}"
        );
    }
}

#[test]
fn setup_qemu_action() {
    assert_eq!(
        steps("docker pull docker.io/tonistiigi/binfmt:latest"),
        [
            "try images --json --no-trunc --all",
            "pull --policy=always docker://docker.io/tonistiigi/binfmt:latest",
            "try inspect --type=image --format={{.FromImageID}} {{.FromImageDigest}} docker.io/tonistiigi/binfmt:latest",
            "try images --json --no-trunc docker.io/tonistiigi/binfmt:latest",
            "remember pulled docker.io/tonistiigi/binfmt:latest",
        ]
    );
    let text =
        refusal("docker run --rm --privileged docker.io/tonistiigi/binfmt:latest --install all");
    assert!(
        text.contains("a job's pod builds images and runs no containers"),
        "{text}"
    );
}

#[test]
fn buildah_build_with_podman() {
    assert_eq!(steps("podman version"), ["version"]);
    let line = "build --platform linux/amd64 -f /w/Containerfile --label a=b --format docker --tls-verify=true \
                --layers=false -t app:v1 /w";
    assert_eq!(steps(&format!("podman {line}")), [words(line).join(" ")]);
    assert_eq!(
        steps("podman image inspect --format {{.Architecture}} app:v1")
            .last()
            .unwrap(),
        "print output"
    );
}

#[test]
fn push_to_registry() {
    assert_eq!(
        steps("podman manifest exists app:v1"),
        ["manifest exists app:v1"]
    );
    assert_eq!(
        steps("podman image exists app:v1"),
        ["if inspect --type=image app:v1", "else", "  exit 1"]
    );
    let root = "podman --root /tmp/podman-from-docker-1";
    assert!(
        refusal(&format!("{root} pull docker-daemon:app:v1")).contains("there is no Docker daemon")
    );
    assert!(steps(&format!("{root} rmi -a -f")).is_empty());
    let line = "podman push --quiet --digestfile app_digest.txt localhost/app:v1 quay.io/o/app:v1 --tls-verify=true --creds=octo:hunter2";
    assert_eq!(
        steps(line),
        [
            "login --username=octo --password-stdin quay.io <secret",
            "if manifest exists localhost/app:v1",
            "  manifest push --digestfile=app_digest.txt --all --quiet --tls-verify localhost/app:v1 docker://quay.io/o/app:v1",
            "else",
            "  push --digestfile=app_digest.txt --quiet --tls-verify localhost/app:v1 docker://quay.io/o/app:v1",
        ]
    );
    assert!(!format!("{:?}", call(line).unwrap()).contains("hunter2"));
    assert_eq!(
        steps(
            "podman manifest push --quiet --digestfile d localhost/app:v1 quay.io/o/app:v1 --all"
        ),
        ["manifest push --digestfile=d --all --quiet localhost/app:v1 docker://quay.io/o/app:v1"]
    );
}
