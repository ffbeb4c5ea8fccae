//! What Docker's scripts rely on: clean-ups that succeed, texts that are parsed, files that leave an image.

use crate::fixture::{Fixture, Program, REGISTRY};

const SMALL: &str = "FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL epoch=$SOURCE_DATE_EPOCH\nCOPY file /dir/file\nEXPOSE 80\n";

#[test]
fn a_clean_up_never_fails_a_job() {
    let fixture = Fixture::start("cleanup");
    for line in [
        "image prune -af --filter until=24h",
        "builder prune -af --keep-storage 10GB",
        "buildx prune -af --max-used-space 10GB",
        "volume prune -f",
        "container prune -f",
        "network prune -f",
        "system df",
        "ps -aq",
        "rmi -f nothere",
        "rm -f nothere",
        "logout nowhere.example",
        "buildx rm nothere",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = fixture.run(Program::Docker, &words);
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn digests_are_the_registrys_and_known_after_the_push() {
    let fixture = Fixture::start("digests");
    let context = fixture.context("digests", SMALL);
    let name = format!("{REGISTRY}/team/digests:1");
    fixture.docker(&["build", "-q", "-t", &name, &context]);
    let shown = || {
        let repository = name.trim_end_matches(":1");
        (
            fixture.docker(&["inspect", "-f", "{{json .RepoDigests}}", &name]),
            fixture.docker(&["images", "--digests", "--format", "{{.Digest}}", repository]),
        )
    };
    assert_eq!(shown(), ("[]\n".to_owned(), "<none>\n".to_owned()));
    fixture.docker(&["push", &name]);
    let digest = fixture.digest("team/digests", "1");
    let repository = format!("[\"{REGISTRY}/team/digests@{digest}\"]\n");
    assert_eq!(shown(), (repository.clone(), format!("{digest}\n")));
    // Buildah keeps its own digest for an image that is there already.
    fixture.docker(&["pull", "-q", &name]);
    assert_eq!(shown().0, repository);
    fixture.docker(&["rmi", &name]);
    fixture.docker(&["pull", "-q", &name]);
    assert_eq!(shown().0, repository);
    // All tags, to the same registry under a name that Docker takes for plain HTTP.
    let other = "localhost:5000/team/tags";
    for tag in ["1", "2"] {
        fixture.docker(&["tag", &name, &format!("{other}:{tag}")]);
    }
    fixture.docker(&["push", "-aq", other]);
    assert_eq!(fixture.digest("team/tags", "2"), digest);
    fixture.docker(&["rmi", &format!("{other}:1"), &format!("{other}:2")]);
    fixture.docker(&["pull", "-q", &format!("{other}:1")]);
}

#[test]
fn archives_have_dockers_names() {
    let fixture = Fixture::start("archives");
    let context = fixture.context("archives", SMALL);
    fixture.docker(&["build", "-q", "-t", "arch-a:1", &context]);
    fixture.docker(&["build", "-q", "-t", "arch-b:1", "--label", "b=1", &context]);
    fixture.docker(&["tag", "arch-a:1", "arch-a:2"]);
    let id = fixture.docker(&["images", "-q", "--no-trunc", "arch-b:1"]);
    let script = "cd $(mktemp -d) && docker save arch-a:1 arch-a:2 arch-b:1 >two.tar && tar xOf two.tar manifest.json && \
        docker rmi arch-a:1 arch-a:2 arch-b:1 >/dev/null && docker load -i two.tar && gzip two.tar && docker load <two.tar.gz && \
        docker save -o $PWD/id.tar $(docker images -q arch-b:1) && docker rmi arch-b:1 >/dev/null && docker load -i id.tar";
    let ran = fixture.inside(&["bash", "-c", script]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let loaded = "Loaded image: arch-a:1\nLoaded image: arch-a:2\nLoaded image: arch-b:1\n";
    assert!(
        ran.stdout.contains(r#""RepoTags":["arch-a:1","arch-a:2"]"#),
        "{}",
        ran.stdout
    );
    let expected = format!("{loaded}{loaded}Loaded image ID: {id}");
    assert!(ran.stdout.ends_with(&expected), "{}", ran.stdout);
    let layout = fixture.path("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    fixture.docker(&["buildx", "build", "-o", &output, &context]);
    assert!(fixture.read("layout/index.json").contains("manifests"));
}

#[test]
fn files_and_the_history_leave_an_image() {
    let fixture = Fixture::start("created");
    let context = fixture.context("created", SMALL);
    fixture.docker(&["build", "-q", "-t", "created:1", &context]);
    let id = fixture.docker(&["create", "created:1", "sh", "-c", "true"]);
    let id = id.trim();
    let got = fixture.path("got");
    fixture.docker(&["cp", &format!("{id}:/dir/file"), got.to_str().unwrap()]);
    assert_eq!(fixture.read("got"), "created");
    let directory = fixture.path("directory");
    let from = format!("{id}:/dir");
    fixture.docker(&["cp", &from, directory.to_str().unwrap()]);
    assert_eq!(fixture.read("directory/file"), "created");
    assert_eq!(fixture.docker(&["rm", "-v", id]).trim(), id);
    let history = fixture.docker(&["history", "--no-trunc", "created:1"]);
    assert!(
        history.starts_with("IMAGE ") && history.contains("EXPOSE"),
        "{history}"
    );
    for (format, expected) in [
        ("{{json .Config.Healthcheck}}{{.Parent}}", "null\n"),
        (
            "{{range $k, $v := .Config.ExposedPorts}}{{$k}}{{end}}",
            "80/tcp\n",
        ),
        ("{{.Os | printf \"%.3s\"}}{{slice .Os 3}}", "linux\n"),
        ("{{.Config.Labels.nothere}}", "<no value>\n"),
    ] {
        assert_eq!(
            fixture.docker(&["inspect", "-f", format, "created:1"]),
            expected
        );
    }
}

#[test]
fn secrets_and_the_time_come_from_the_jobs_variables() {
    let fixture = Fixture::start("variables");
    let context = fixture.context("variables", SMALL);
    let ran = fixture.inside(&[
        "bash",
        "-c",
        &format!(
            "env -u UNSET SOURCE_DATE_EPOCH=7 docker build -q -t epoch:1 --secret id=x,env=UNSET --secret id=y,src=<(echo y) {context} && \
             docker inspect -f '{{{{.Created}}}} {{{{.Config.Labels.epoch}}}}' epoch:1"
        ),
    ]);
    assert!(
        ran.stdout.ends_with("\n1970-01-01T00:00:07Z 7\n"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    // The files of the layers keep their own times, unless the output requests otherwise.
    let times = |image: &str, more: &str| {
        let script = format!(
            "SOURCE_DATE_EPOCH=7 docker build -q -t {image} {more} {context} >/dev/null && docker save {image} | \
             tar -xO --wildcards '*.tar' | tar -tv --full-time --utc | grep 'dir/file$'"
        );
        fixture.inside(&["bash", "-c", &script]).stdout
    };
    let own = times("own:1", "");
    assert!(
        own.contains("dir/file") && !own.contains("1970-01-01"),
        "{own}"
    );
    let output = "-o type=image,rewrite-timestamp=true";
    assert!(times("rewritten:1", output).contains("1970-01-01 00:00:07"));
    let failed = fixture.run(
        Program::Docker,
        &["build", "--secret", "id=x,src=/nowhere", &context],
    );
    assert_ne!(failed.code, 0);
    let expected = "--secret id=x,src=/nowhere: cannot read /nowhere: No such file";
    assert!(failed.stderr.contains(expected), "{}", failed.stderr);
}
