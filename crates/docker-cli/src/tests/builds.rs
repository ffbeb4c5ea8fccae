//! The flags of `docker build` as users write them.

use super::*;

/// Returns the command line of a build, without the flags that every build has.
fn build(flags: &str) -> String {
    let steps = steps(&format!("docker build {flags}"));
    let line = steps
        .iter()
        .find(|line| line.starts_with("build "))
        .unwrap();
    let usual = [
        " --iidfile=",
        " --layers",
        " --force-rm",
        " --format=docker",
        " --identity-label=false",
    ];
    let line = line.split(' ').filter(|word| {
        !usual
            .iter()
            .any(|usual| format!(" {word}").starts_with(usual))
    });
    line.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_plain_build() {
    assert_eq!(
        steps("docker build -t app ."),
        [
            "build --layers --force-rm --format=docker --identity-label=false --iidfile=/s/X/1-iid --tag=app ."
        ]
    );
    for name in ["buildx build", "buildx b", "image build", "builder build"] {
        assert_eq!(
            steps(&format!("docker {name} -t app .")),
            steps("docker build -t app .")
        );
    }
    assert_eq!(build("-f - ."), "build --file=- .");
    assert_eq!(build("-- -dir"), "build ./-dir");
    assert!(refusal("docker build").contains("expected one context"));
    assert!(refusal("docker build . x").contains("expected one context"));
}

#[test]
fn flags_of_a_build() {
    for (flags, line) in [
        (
            "--add-host a=1.2.3.4,b:5.6.7.8 .",
            "build --add-host=a:1.2.3.4 --add-host=b:5.6.7.8 .",
        ),
        (
            "--build-arg A=b --build-arg TOKEN --build-arg UNSET .",
            "build --build-arg=A=b --build-arg=TOKEN=hunter2 .",
        ),
        ("--network host --allow network.host .", "build ."),
        ("--network=none .", "build --network=none ."),
        (
            "--platform linux/arm64 -t a .",
            "build --platform=linux/arm64 --tag=a .",
        ),
        (
            "--ssh default --ssh k=/w/key .",
            "build --ssh=default=/workspace/agent --ssh=k=/w/key .",
        ),
        ("--ssh default= .", "build --ssh=default=/workspace/agent ."),
        (
            "--no-cache --target x --shm-size 64m .",
            "build --no-cache --target=x --shm-size=64m .",
        ),
        (
            "--build-context base=docker-image://alpine .",
            "build --build-context=base=docker-image://alpine .",
        ),
        ("--load --progress=plain --rm --builder x .", "build ."),
    ] {
        assert_eq!(build(flags), line, "{flags}");
    }
}

#[test]
fn only_verbatim_commands_leave_variables_to_the_client() {
    for (line, variables) in [
        ("docker build --build-arg TOKEN .", Variables::Resolved),
        ("docker push app", Variables::Resolved),
        ("podman push app", Variables::Resolved),
        ("podman build --build-arg TOKEN .", Variables::Unread),
    ] {
        let plan = call(line).unwrap();
        let mut commands = commands(&plan.steps).into_iter();
        assert!(
            commands.all(|command| command.variables == variables),
            "{line}"
        );
    }
}

#[test]
fn a_result_goes_to_every_destination() {
    let send = |flags: &str| {
        let mut steps = steps(&format!("docker build -t app:1 {flags} .")).split_off(1);
        let remembered = steps.iter().position(|step| step.starts_with("remember"));
        // A push to a registry has a digest. It is the last step.
        assert_eq!(
            remembered.is_some(),
            flags.contains("push") && !flags.contains("push=false") || flags.contains("registry"),
            "{flags}"
        );
        steps.truncate(remembered.unwrap_or(steps.len()));
        steps
    };
    assert!(send("").is_empty() && send("--load").is_empty());
    for nowhere in [
        "type=docker",
        "type=image",
        "type=cacheonly",
        "type=image,push=false",
    ] {
        assert!(send(&format!("-o {nowhere}")).is_empty(), "{nowhere}");
    }
    let push = ["push --digestfile=/s/X/2-digest app:1 docker://docker.io/library/app:1"];
    for to_registry in [
        "--push",
        "-o type=registry",
        "--output=type=image,push=true",
        "--push -o type=registry",
    ] {
        assert_eq!(send(to_registry), push, "{to_registry}");
    }
    assert_eq!(
        send("-o type=registry,compression=zstd,compression-level=3,force-compression=true"),
        [
            "push --digestfile=/s/X/2-digest --compression-format=zstd --compression-level=3 --force-compression=true --format=oci app:1 docker://docker.io/library/app:1"
        ]
    );
    assert_eq!(
        send("-o type=oci,dest=/tmp/a.tar"),
        [
            "push --digestfile=/s/X/4-digest --format=oci app:1 oci-archive:/s/X/3-image.tar:1",
            "copy /s/X/3-image.tar to /tmp/a.tar"
        ]
    );
    assert_eq!(
        send("-o type=docker,dest=-"),
        [
            "push --digestfile=/s/X/4-digest app:1 docker-archive:/s/X/3-image.tar",
            "save [app:1] to stdout"
        ]
    );
    assert_eq!(
        send("-o type=oci,tar=false,dest=layout"),
        [
            "push --digestfile=/s/X/4-digest --format=oci app:1 oci-archive:/s/X/3-image.tar:1",
            "unpack /s/X/3-image.tar to layout"
        ]
    );
    // Without a name the image has its ID alone, and `docker images` shows no name of the client's.
    for (kind, push, end) in [
        ("docker", " docker-archive", "save [] to a.tar"),
        (
            "oci",
            "--format=oci  oci-archive",
            "copy /s/X/3-image.tar to a.tar",
        ),
    ] {
        assert_eq!(
            steps(&format!("docker build -o type={kind},dest=a.tar ."))[..],
            [
                // Steps run under Docker's format, whatever is sent.
                "build --layers --force-rm --format=docker --identity-label=false --iidfile=/s/X/1-iid .",
                &format!("with id push --digestfile=/s/X/4-digest {push}:/s/X/3-image.tar"),
                end,
            ]
        );
    }
    assert_eq!(build("-o out ."), "build --output=type=local,dest=out .");
    assert_eq!(build("-o - ."), "build --output=type=tar,dest=- .");
    assert_eq!(
        steps(r#"docker build -o 'type=image,"name=ghcr.io/o/a,ghcr.io/o/b:2",push=true' ."#)[1..],
        [
            "push --digestfile=/s/X/2-digest ghcr.io/o/a docker://ghcr.io/o/a:latest",
            "push --digestfile=/s/X/2-digest ghcr.io/o/a docker://ghcr.io/o/b:2",
            "remember built ghcr.io/o/a:latest",
            "remember built ghcr.io/o/b:2",
        ]
    );
    for (flags, expected) in [
        ("--push .", "a push needs a --tag"),
        (
            "-o type=image,name=ghcr.io/o/a,push-by-digest=true,name-canonical=true,push=true .",
            "push-by-digest is not available",
        ),
        ("-o a -o b .", "writes a build's files to one place"),
        ("-o type=nope .", "or cacheonly"),
        ("-o type=tar .", "needs dest=PATH"),
    ] {
        let text = refusal(&format!("docker build {flags}"));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_cache_is_used_or_left_out_with_a_notice() {
    assert_eq!(
        build(
            "--cache-from type=registry,ref=ghcr.io/o/cache --cache-to type=registry,ref=ghcr.io/o/cache,mode=max --cache-from user/cache ."
        ),
        "build --cache-from=ghcr.io/o/cache --cache-from=docker.io/user/cache --cache-to=ghcr.io/o/cache ."
    );
    for record in [
        "type=registry,ref=ghcr.io/o/app:cache",
        "type=gha",
        "type=local,src=/tmp/c",
        "type=inline",
        "type=s3,region=x",
        "user/app:1",
    ] {
        let line = format!("docker build --cache-from {record} .");
        let notices = notices(&line);
        assert_eq!(notices.len(), 1, "{record}");
        assert!(notices[0].contains("builder.cache"), "{notices:?}");
        assert!(!steps(&line)[0].contains("cache-from"));
    }
    // Buildah 1.39 takes one platform's layers for another's.
    let several = "docker build --platform linux/amd64,linux/arm64 --cache-from ghcr.io/o/c .";
    assert!(steps(several)[0].contains("--layers=false"));
    assert!(!steps(several)[0].contains("cache-from"));
    assert!(
        notices(several)[0].contains("one platform at a time"),
        "{:?}",
        notices(several)
    );
    assert!(notices("docker build --no-cache-filter a .")[0].contains("becomes --no-cache"));
}

#[test]
fn a_list_gets_its_annotations_and_its_own_id() {
    let steps = steps(
        "docker build -q --platform linux/amd64,linux/arm64 --annotation index,manifest:a=b --annotation index:c=d .",
    );
    assert!(
        steps[0].contains(" --annotation=a=b ") && steps[0].contains("--quiet"),
        "{steps:?}"
    );
    assert_eq!(
        steps[1..],
        [
            "manifest annotate --index --annotation=a=b localhost/docker-x-1:latest",
            "manifest annotate --index --annotation=c=d localhost/docker-x-1:latest",
            "images --json --no-trunc --filter=reference=localhost/docker-x-1:latest",
            "id to /s/X/2-iid",
            "print file"
        ]
    );
}

#[test]
fn an_annotation_that_no_list_can_have_is_named() {
    let line = "docker build --annotation index:a=b --annotation c=d .";
    assert_eq!(
        notices(line),
        [
            "docker build: --annotation index:a=b is left out for the index: one platform becomes an image, and no list"
        ]
    );
    assert!(steps(line)[0].contains(" --annotation=c=d ") && !steps(line)[0].contains("a=b"));
    let list = "docker build --platform linux/amd64,linux/arm64 --annotation index:a=b .";
    assert!(notices(list).is_empty());
}

#[test]
fn flags_that_weaken_the_sandbox_are_rejected() {
    for (flags, expected) in [
        (
            "--allow security.insecure",
            "--allow=security.insecure is not available",
        ),
        (
            "--security-opt seccomp=unconfined",
            "--security-opt is not available",
        ),
        ("--isolation chroot", "--isolation is not available"),
        (
            "--network container:x",
            "--network=container:x is not available",
        ),
        ("--check", "--check is not available"),
        ("--call=outline", "--call=outline is not available"),
        ("--privileged", "unknown flag --privileged"),
        ("--cap-add ALL", "unknown flag --cap-add"),
        ("--volume /:/host", "unknown flag --volume"),
    ] {
        let text = refusal(&format!("docker build {flags} ."));
        assert!(text.contains(expected), "{text}");
    }
}
