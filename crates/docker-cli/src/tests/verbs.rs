//! All other verbs as users write them.

use super::*;

#[test]
fn images_and_registries() {
    for (line, expected) in [
        (
            "docker push -q user/app",
            vec![
                "if manifest exists user/app",
                "  manifest push --digestfile=/s/X/1-digest --all --quiet user/app docker://docker.io/user/app:latest",
                "else",
                "  push --digestfile=/s/X/1-digest --quiet user/app docker://docker.io/user/app:latest",
                "try images --json --no-trunc user/app",
                "remember pushed docker.io/user/app:latest",
                "print docker.io/user/app:latest",
            ],
        ),
        (
            "docker pull --platform linux/arm64 alpine",
            vec![
                "try images --json --no-trunc --all",
                "pull --policy=always --platform=linux/arm64 docker://docker.io/library/alpine:latest",
                "try inspect --type=image --format={{.FromImageID}} {{.FromImageDigest}} docker.io/library/alpine:latest",
                "try images --json --no-trunc docker.io/library/alpine:latest",
                "remember pulled docker.io/library/alpine:latest",
            ],
        ),
        (
            "docker pull -a alpine",
            vec!["pull --policy=always --all-tags docker://docker.io/library/alpine"],
        ),
        (
            "docker push -a -q r.example/o/app",
            vec!["push all of r.example/o/app"],
        ),
        // Docker takes plain HTTP from a loopback registry.
        (
            "docker push localhost:5000/a",
            vec![
                "if manifest exists localhost:5000/a",
                "  manifest push --digestfile=/s/X/1-digest --all --tls-verify=false localhost:5000/a docker://localhost:5000/a:latest",
                "else",
                "  push --digestfile=/s/X/1-digest --tls-verify=false localhost:5000/a docker://localhost:5000/a:latest",
                "try images --json --no-trunc localhost:5000/a",
                "remember pushed localhost:5000/a:latest",
                "print latest: digest",
            ],
        ),
        (
            "docker pull 127.1.2.3:5000/a:1",
            vec![
                "try images --json --no-trunc --all",
                "pull --policy=always --tls-verify=false docker://127.1.2.3:5000/a:1",
                "try inspect --type=image --format={{.FromImageID}} {{.FromImageDigest}} 127.1.2.3:5000/a:1",
                "try images --json --no-trunc 127.1.2.3:5000/a:1",
                "remember pulled 127.1.2.3:5000/a:1",
            ],
        ),
        ("docker tag a b:2", vec!["tag a b:2"]),
        (
            "docker history -q --no-trunc a",
            vec!["inspect --type=image a", "print output"],
        ),
        (
            "docker rmi a",
            vec!["if manifest exists a", "  manifest rm a", "else", "  rmi a"],
        ),
        (
            "docker images -aq -f dangling=true app",
            vec![
                "images --json --no-trunc --all --filter=dangling=true --filter=reference=app",
                "print output",
            ],
        ),
        (
            "docker inspect -f {{.Id}} a b",
            vec![
                "inspect --type=image a",
                "images --json --no-trunc a",
                "inspect --type=image b",
                "images --json --no-trunc b",
                "print output",
            ],
        ),
        (
            "docker save -o a.tar app:1",
            vec![
                "push --quiet app:1 docker-archive:/s/X/1-image.tar",
                "save [app:1] to a.tar",
            ],
        ),
        (
            "docker save app ghcr.io/o/b:2 0123456789ab docker.io/library/c:1 localhost/d",
            vec![
                "push --quiet app docker-archive:/s/X/1-image.tar",
                "push --quiet ghcr.io/o/b:2 docker-archive:/s/X/2-image.tar",
                "push --quiet 0123456789ab docker-archive:/s/X/3-image.tar",
                "push --quiet docker.io/library/c:1 docker-archive:/s/X/4-image.tar",
                "push --quiet localhost/d docker-archive:/s/X/5-image.tar",
                "save [app:latest] [ghcr.io/o/b:2] [] [c:1] [d:latest] to stdout",
            ],
        ),
        (
            "podman save --format docker-archive -m -q -o a.tar app:1",
            vec![
                "push --quiet app:1 docker-archive:/s/X/1-image.tar",
                "save [localhost/app:1] to a.tar",
            ],
        ),
        (
            "docker load -qi /tmp/a.tar",
            vec![
                "copy in /tmp/a.tar to /s/X/1-image.tar",
                "load /s/X/1-image.tar",
            ],
        ),
        (
            "podman load",
            vec!["save stdin to /s/X/1-image.tar", "load /s/X/1-image.tar"],
        ),
        (
            "docker login -u octo -p hunter2",
            vec!["login --username=octo --password-stdin docker.io <secret"],
        ),
        (
            "docker logout",
            vec![
                "print Removing login credentials for https://index.docker.io/v1/",
                "if logout docker.io",
                "else",
                "  note docker logout: there is no login for docker.io",
            ],
        ),
        (
            "docker --context default -l debug -D push x",
            vec![
                "if manifest exists x",
                "  manifest push --digestfile=/s/X/1-digest --all x docker://docker.io/library/x:latest",
                "else",
                "  push --digestfile=/s/X/1-digest x docker://docker.io/library/x:latest",
                "try images --json --no-trunc x",
                "remember pushed docker.io/library/x:latest",
                "print latest: digest",
            ],
        ),
    ] {
        assert_eq!(steps(line), expected, "{line}");
    }
    assert!(!format!("{:?}", call("docker login -u octo -p hunter2").unwrap()).contains("hunter2"));
}

#[test]
fn files_leave_an_image_without_a_process() {
    assert_eq!(
        steps("docker create --name c -e A=b --platform linux/amd64 localhost:1/app:1 sh -c true"),
        [
            "if inspect --type=image localhost:1/app:1",
            "else",
            "  pull --quiet --platform=linux/amd64 --tls-verify=false docker://localhost:1/app:1",
            "create localhost:1/app:1",
        ]
    );
    assert_eq!(
        steps("docker create --pull always app")[0],
        "pull --quiet docker://docker.io/library/app:latest"
    );
    assert_eq!(
        steps("docker container create --pull=never app"),
        ["create app"]
    );
    assert_eq!(steps("docker cp c:/a/b out"), ["copy c:/a/b to out"]);
    assert_eq!(steps("docker cp -q c:a -"), ["copy c:a to -"]);
    for (line, expected) in [
        ("docker cp file c:/a", "into a container is not available"),
        ("docker cp ./c:x c:/a", "into a container is not available"),
        ("docker cp c:/a* x", "a pattern or a variable"),
        ("docker create", "expected an image"),
        ("docker create --privileged x", "unknown flag --privileged"),
    ] {
        let text = refusal(line);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn lists_of_images() {
    for (line, expected) in [
        (
            "docker manifest create --amend l:1 a:amd b:arm",
            vec![
                "manifest create --all --amend l:1 docker://docker.io/library/a:amd docker://docker.io/library/b:arm",
            ],
        ),
        (
            "docker manifest annotate --arch arm64 l:1 b:arm",
            vec!["manifest annotate --arch=arm64 l:1 docker://docker.io/library/b:arm"],
        ),
        (
            "docker manifest push -p o/l:1",
            vec![
                "manifest push --digestfile=/s/X/1-digest --all --rm o/l:1 docker://docker.io/o/l:1",
                "print file",
            ],
        ),
        (
            "docker manifest inspect l",
            vec![
                "if manifest inspect docker.io/library/l:latest",
                "  manifest inspect docker.io/library/l:latest",
                "else",
                "  pull --quiet --policy=always docker://docker.io/library/l:latest",
                "  inspect --type=image --format={{.Manifest}} docker.io/library/l:latest",
            ],
        ),
        (
            "docker manifest create localhost:1/l localhost:1/a",
            vec![
                "manifest create --all --tls-verify=false localhost:1/l docker://localhost:1/a:latest",
            ],
        ),
        (
            "docker manifest create localhost:1/l ghcr.io/o/a",
            vec!["manifest create --all localhost:1/l docker://ghcr.io/o/a:latest"],
        ),
        (
            "docker manifest push localhost:1/l",
            vec![
                "manifest push --digestfile=/s/X/1-digest --all --tls-verify=false localhost:1/l docker://localhost:1/l:latest",
                "print file",
            ],
        ),
        // Renovate writes tag and digest.
        (
            "docker buildx imagetools create -t localhost:1/a:2 localhost:1/a:1@sha256:aa",
            vec![
                "manifest create --all --tls-verify=false localhost/docker-x-1:latest docker://localhost:1/a@sha256:aa",
                "manifest push --digestfile=/s/X/2-digest --all --tls-verify=false localhost/docker-x-1:latest docker://localhost:1/a:2",
                "try manifest rm localhost/docker-x-1:latest",
            ],
        ),
        (
            "docker buildx imagetools inspect localhost:1/a",
            vec!["inspect registry localhost:1/a:latest Text"],
        ),
        ("docker manifest rm l", vec!["manifest rm l"]),
        (
            "docker buildx imagetools inspect --raw ghcr.io/o/a:1",
            vec!["inspect registry ghcr.io/o/a:1 Raw"],
        ),
        (
            "docker buildx imagetools inspect --format '{{.Name}}' a",
            vec!["inspect registry docker.io/library/a:latest Format(\"{{.Name}}\")"],
        ),
        (
            "docker buildx imagetools create -t ghcr.io/o/a:1 -t ghcr.io/o/a:2 ghcr.io/o/a@sha256:aa sha256:bb",
            vec![
                "manifest create --all localhost/docker-x-1:latest docker://ghcr.io/o/a@sha256:aa docker://ghcr.io/o/a@sha256:bb",
                "manifest push --digestfile=/s/X/2-digest --all localhost/docker-x-1:latest docker://ghcr.io/o/a:1",
                "manifest push --digestfile=/s/X/2-digest --all localhost/docker-x-1:latest docker://ghcr.io/o/a:2",
                "try manifest rm localhost/docker-x-1:latest",
            ],
        ),
    ] {
        assert_eq!(steps(line), expected, "{line}");
    }
}

#[test]
fn unsupported_commands_are_rejected_in_one_sentence() {
    for (line, expected) in [
        (
            "docker run --rm alpine",
            "docker run is not available, because a job's pod builds images and runs no containers; use a build stage",
        ),
        (
            "docker compose up -d",
            "docker compose is not available, because a job's pod builds",
        ),
        (
            "docker container start x",
            "docker container start is not available",
        ),
        (
            "docker context create x",
            "docker context create is not available",
        ),
        (
            "docker -H tcp://x ps",
            "docker --host is not available, because there is no Docker daemon",
        ),
        (
            "docker --context other build .",
            "docker --context other is not available",
        ),
        ("docker nope", "docker nope: unknown command"),
        ("docker buildx nope", "docker buildx nope: unknown command"),
        ("docker push --nope x", "docker push: unknown flag --nope"),
        ("docker push -a x:1", "tag can't be used with --all-tags/-a"),
    ] {
        let text = refusal(line);
        assert!(
            text.starts_with(expected) || text.contains(expected),
            "{text}"
        );
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn versions_and_help() {
    assert!(steps("docker --version")[0].starts_with("print Docker version 29."));
    assert!(steps("docker -v")[0].starts_with("print Docker version 29."));
    assert!(steps("docker")[0].contains("docker buildx build"));
    assert!(steps("docker build --help")[0].contains("-t, --tag VALUE"));
    for (help, same) in [
        ("docker help", "docker"),
        ("docker help build", "docker build --help"),
        (
            "docker help buildx imagetools create",
            "docker buildx imagetools create --help",
        ),
        ("docker help image", "docker image"),
        ("podman help push", "podman push --help"),
    ] {
        assert_eq!(steps(help), steps(same), "{help}");
    }
    assert!(refusal("docker help run").contains("docker run is not available"));
    assert!(steps("docker manifest")[0].contains("docker manifest push"));
}
