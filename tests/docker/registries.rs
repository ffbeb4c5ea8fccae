//! Registries behind a login: digests to the byte, lists of images, and the job's own credentials.

use support::Registry;

use crate::fixture::{Fixture, Ran};

const PASSWORD: &str = "of-the-job";

/// A directory of its own, a registry behind a login, and a configuration of Docker that no other test shares.
struct Behind {
    fixture: Fixture,
    registry: Registry,
    port: u16,
}

impl Behind {
    fn start(name: &str, port: u16) -> Self {
        let fixture = Fixture::start(name);
        let registry = Registry::start(&fixture.pod(), port, "job", PASSWORD);
        Self {
            fixture,
            registry,
            port,
        }
    }

    /// Runs a script of the job in its directory. `R` is the registry.
    fn run(&self, script: &str) -> Ran {
        let directory = self.fixture.path("").display().to_string();
        let script = format!(
            "cd {directory} && export R=127.0.0.1:{} DOCKER_CONFIG={directory}dc REGISTRY_AUTH_FILE={directory}auth.json\n{script}",
            self.port
        );
        self.fixture.inside(&["bash", "-c", &script])
    }

    /// What a script that succeeds prints.
    fn prints(&self, script: &str) -> String {
        let ran = self.run(&format!("set -eo pipefail\n{script}"));
        assert_eq!(ran.code, 0, "{script}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// What the registry has, to the byte.
    fn manifest(&self, name: &str, version: &str) -> String {
        let user = format!("job:{PASSWORD}");
        let accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
            application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        let path = format!("{name}/manifests/{version}");
        let flags = ["--fail", "--user", &user, "--header", accept];
        self.registry.curl(&path, &flags)
    }

    fn tags(&self, name: &str) -> String {
        let user = format!("job:{PASSWORD}");
        self.registry
            .curl(&format!("{name}/tags/list"), &["--user", &user])
    }
}

const LOGIN: &str = "docker login -u job --password-stdin $R <<<of-the-job >/dev/null";
const CONTEXT: &str = "mkdir -p c && printf 'FROM scratch\\nARG TARGETARCH\\nLABEL arch=$TARGETARCH\\nCOPY Dockerfile /\\nHEALTHCHECK CMD /x\\n' >c/Dockerfile";

/// The command lines of <https://docs.docker.com/build/ci/github-actions/multi-platform/#distribute-build-across-multiple-runners>.
#[test]
fn several_runners_build_one_list_by_digest() {
    let behind = Behind::start("runners", 7721);
    let built = format!(
        r#"{LOGIN}; {CONTEXT}; mkdir -p digests
        for platform in linux/amd64 linux/arm64; do
            docker buildx build --platform $platform --tag $R/user/app --metadata-file metadata.json \
                --output type=image,push-by-digest=true,name-canonical=true,push=true c >&2
            digest=$(jq -r '."containerimage.digest"' metadata.json)
            touch "digests/${{digest#sha256:}}"
        done
        ls digests"#
    );
    let digests = behind.prints(&built);
    assert_eq!(digests.lines().count(), 2, "{digests}");
    for digest in digests.lines() {
        let manifest = behind.manifest("user/app", &format!("sha256:{digest}"));
        assert!(
            manifest.contains("docker.distribution.manifest.v2"),
            "{manifest}"
        );
    }
    // The registry knows the repository, and no tag in it.
    assert!(
        !behind.tags("user/app").contains("latest"),
        "{}",
        behind.tags("user/app")
    );
    behind.prints("cd digests && docker buildx imagetools create -t $R/user/app:latest -t $R/user/app:1 $(printf \"$R/user/app@sha256:%s \" *)");
    let list = behind.manifest("user/app", "latest");
    assert_eq!(list, behind.manifest("user/app", "1"));
    for digest in digests.lines() {
        assert!(list.contains(digest), "{list}");
    }
    assert!(
        list.contains("\"arm64\"") && list.contains("\"amd64\""),
        "{list}"
    );
    let inspected = behind.prints("docker buildx imagetools inspect $R/user/app:latest");
    assert!(inspected.contains("linux/arm64"), "{inspected}");
    assert_eq!(
        behind.tags("user/app").matches('"').count(),
        10,
        "{}",
        behind.tags("user/app")
    );
}

#[test]
fn a_retag_keeps_every_byte() {
    let behind = Behind::start("retag", 7722);
    behind.prints(&format!(
        "{LOGIN}; {CONTEXT}
        docker build -q --platform linux/amd64,linux/arm64 -t $R/a/list:1 --push c
        docker build -q --platform linux/arm64 -t $R/a/image:1 --push c
        docker buildx imagetools create -t $R/a/list:2 -t $R/b/list:2 $R/a/list:1
        docker buildx imagetools create --prefer-index=false -t $R/a/image:2 -t $R/b/image:2 $R/a/image:1
        docker buildx imagetools create --annotation index:k=v --append -t $R/b/list:2 $R/a/image:1"
    ));
    for name in ["list", "image"] {
        let first = behind.manifest(&format!("a/{name}"), "1");
        assert!(first.len() > 100, "{first}");
        assert_eq!(behind.manifest(&format!("a/{name}"), "2"), first);
    }
    assert_eq!(
        behind.manifest("b/image", "2"),
        behind.manifest("a/image", "1")
    );
    let list = behind.manifest("b/list", "2");
    assert!(list.contains("\"k\": \"v\""), "{list}");
    // An image of another platform has its digest too, and its bytes are exact.
    for name in ["list", "image"] {
        let shown = behind.prints(&format!(
            "docker buildx imagetools inspect --raw $R/a/{name}:1 >raw; sha256sum <raw | cut -d' ' -f1
            docker buildx imagetools inspect --format '{{{{.Manifest.Digest}}}}' $R/a/{name}:1"
        ));
        let digests: Vec<&str> = shown.lines().collect();
        assert_eq!(format!("sha256:{}", digests[0]), digests[1]);
        let raw = behind.prints("cat raw");
        assert_eq!(raw, behind.manifest(&format!("a/{name}"), "1"));
    }
    let never = behind.run("docker build -q --platform linux/amd64,linux/arm64 -t $R/a/never:1 c >/dev/null; docker buildx imagetools inspect $R/a/never:1");
    assert_ne!(never.code, 0, "{}", never.stdout);
}

#[test]
fn lists_of_docker_manifest_work_behind_a_login() {
    let behind = Behind::start("lists", 7723);
    let shown = behind.prints(&format!(
        "{LOGIN}; {CONTEXT}
        for arch in amd64 arm64; do docker build -q --platform linux/$arch -t $R/m/app:$arch --push c >/dev/null; done
        docker manifest create $R/m/app:1 $R/m/app:amd64 $R/m/app:arm64 >/dev/null
        docker manifest annotate $R/m/app:1 $R/m/app:arm64 --variant v8
        docker manifest push $R/m/app:1
        docker manifest rm $R/m/app:1 >/dev/null
        docker manifest inspect -v $R/m/app:1 >verbose
        jq -r '.[].Descriptor.digest' verbose
        docker manifest inspect $R/m/app:amd64 | jq -r .config.digest"
    ));
    let lines: Vec<&str> = shown.lines().collect();
    let list = behind.manifest("m/app", "1");
    assert!(
        list.contains(lines[1]) && list.contains(lines[2]) && list.contains("v8"),
        "{shown}{list}"
    );
    assert!(behind.manifest("m/app", lines[0]).contains("v8"), "{shown}");
    assert!(
        behind.manifest("m/app", "amd64").contains(lines[3]),
        "{shown}"
    );
}

#[test]
fn a_login_is_where_other_clients_find_it() {
    let behind = Behind::start("login", 7724);
    let shown = behind.prints(&format!(
        r#"mkdir dc; echo '{{"proxies":{{"x":"y"}}}}' >dc/config.json; {LOGIN}
        jq -r .proxies.x dc/config.json; jq -r .auths.\"$R\".auth dc/config.json | base64 -d; echo; stat -c %a dc/config.json
        podman login -u job -p of-the-job $R >/dev/null; jq -r .auths.\"$R\".auth auth.json | base64 -d; echo
        docker logout $R >/dev/null; echo $?; docker logout $R >/dev/null; echo $?; podman logout $R >/dev/null
        jq -c .auths dc/config.json auth.json"#
    ));
    let expected = format!("y\njob:{PASSWORD}\n600\njob:{PASSWORD}\n0\n0\n{{}}\n{{}}\n");
    assert_eq!(shown, expected);
    let wrong = behind.run("docker login -u job --password-stdin $R <<<wrong; cat dc/config.json");
    assert!(
        wrong.stderr.contains("invalid username/password") || wrong.stderr.contains("unauthorized"),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stdout.contains("auth\""), "{}", wrong.stdout);
}

#[test]
fn the_jobs_own_configuration_is_read() {
    let behind = Behind::start("helpers", 7725);
    let push = "docker build -q -t $R/h/app:1 --push c >/dev/null";
    let base64 = "$(printf job:of-the-job | base64)";
    behind.prints(&format!(
        r#"{CONTEXT}; mkdir -p dc bin other; export PATH=$PWD/bin:$PATH
        cat >bin/docker-credential-cloud <<'END'
#!/bin/sh
read -r server; [ "$1" = get ] && echo "{{\"ServerURL\":\"$server\",\"Username\":\"job\",\"Secret\":\"of-the-job\"}}"
END
        chmod +x bin/docker-credential-cloud
        ! {push} 2>&1
        echo "{{\"credHelpers\":{{\"$R\":\"cloud\"}}}}" >dc/config.json; {push}
        echo "{{\"credsStore\":\"cloud\"}}" >dc/config.json; {push}
        echo "{{\"auths\":{{\"$R\":{{\"auth\":\"{base64}\"}}}}}}" >dc/config.json; {push}
        mv dc/config.json other/config.json
        docker --config other build -q -t $R/h/app:1 --push c >/dev/null
        DOCKER_AUTH_CONFIG=$(cat other/config.json) {push}
        REGISTRY_AUTH_FILE=other/config.json {push}
        REGISTRY_AUTH_FILE=other/config.json buildah pull -q --tls-verify=false $R/h/app:1
        printf "FROM $R/h/app:1\n" >Dockerfile; REGISTRY_AUTH_FILE=other/config.json buildah pull -q --tls-verify=false $R/h/app:1"#
    ));
    let unknown = behind.run(&format!(
        r#"echo "{{\"credHelpers\":{{\"$R\":\"nowhere\"}}}}" >dc/config.json; {push}"#
    ));
    assert_eq!(unknown.code, 125, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("docker-credential-nowhere")
            && unknown.stderr.contains("127.0.0.1:7725"),
        "{}",
        unknown.stderr
    );
    let wrong = behind.run(&format!(
        r#"echo "{{\"auths\":{{\"$R\":{{\"username\":\"job\",\"password\":\"wrong\"}}}}}}" >dc/config.json; {push}"#
    ));
    assert_ne!(wrong.code, 0);
    assert!(
        wrong.stderr.contains("authentication required"),
        "{}",
        wrong.stderr
    );
}
