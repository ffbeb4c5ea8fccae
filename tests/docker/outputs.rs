//! What Docker's scripts rely on: clean-ups that succeed, texts that are parsed, files that leave an image.

use crate::lab::{Lab, Program, REGISTRY};

const SMALL: &str = "FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL epoch=$SOURCE_DATE_EPOCH\nCOPY file /dir/file\nEXPOSE 80\n";

#[test]
fn a_clean_up_never_fails_a_job() {
    let lab = Lab::start("cleanup");
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
        let ran = lab.run(Program::Docker, &words);
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn digests_are_the_registrys_and_known_after_the_push() {
    let lab = Lab::start("digests");
    let context = lab.context("digests", SMALL);
    let name = format!("{REGISTRY}/team/digests:1");
    lab.docker(&["build", "-q", "-t", &name, &context]);
    let shown = || {
        let repository = name.trim_end_matches(":1");
        (
            lab.docker(&["inspect", "-f", "{{json .RepoDigests}}", &name]),
            lab.docker(&["images", "--digests", "--format", "{{.Digest}}", repository]),
        )
    };
    assert_eq!(shown(), ("[]\n".to_owned(), "<none>\n".to_owned()));
    lab.docker(&["push", &name]);
    let digest = lab.digest("team/digests", "1");
    let repository = format!("[\"{REGISTRY}/team/digests@{digest}\"]\n");
    assert_eq!(shown(), (repository.clone(), format!("{digest}\n")));
    // Buildah keeps its own digest for an image that is there already.
    lab.docker(&["pull", "-q", &name]);
    assert_eq!(shown().0, repository);
    lab.docker(&["rmi", &name]);
    lab.docker(&["pull", "-q", &name]);
    assert_eq!(shown().0, repository);
    // All tags, to the same registry under a name that Docker takes for plain HTTP.
    let other = "localhost:5000/team/tags";
    for tag in ["1", "2"] {
        lab.docker(&["tag", &name, &format!("{other}:{tag}")]);
    }
    lab.docker(&["push", "-aq", other]);
    assert_eq!(lab.digest("team/tags", "2"), digest);
    lab.docker(&["rmi", &format!("{other}:1"), &format!("{other}:2")]);
    lab.docker(&["pull", "-q", &format!("{other}:1")]);
}

#[test]
fn archives_have_dockers_names() {
    let lab = Lab::start("archives");
    let context = lab.context("archives", SMALL);
    lab.docker(&["build", "-q", "-t", "arch-a:1", &context]);
    lab.docker(&["build", "-q", "-t", "arch-b:1", "--label", "b=1", &context]);
    lab.docker(&["tag", "arch-a:1", "arch-a:2"]);
    let id = lab.docker(&["images", "-q", "--no-trunc", "arch-b:1"]);
    let script = "cd $(mktemp -d) && docker save arch-a:1 arch-a:2 arch-b:1 >two.tar && tar xOf two.tar manifest.json && \
        docker rmi arch-a:1 arch-a:2 arch-b:1 >/dev/null && docker load -i two.tar && gzip two.tar && docker load <two.tar.gz && \
        docker save -o $PWD/id.tar $(docker images -q arch-b:1) && docker rmi arch-b:1 >/dev/null && docker load -i id.tar";
    let ran = lab.inside(&["bash", "-c", script]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let loaded = "Loaded image: arch-a:1\nLoaded image: arch-a:2\nLoaded image: arch-b:1\n";
    assert!(
        ran.stdout.contains(r#""RepoTags":["arch-a:1","arch-a:2"]"#),
        "{}",
        ran.stdout
    );
    let expected = format!("{loaded}{loaded}Loaded image ID: {id}");
    assert!(ran.stdout.ends_with(&expected), "{}", ran.stdout);
    let layout = lab.path("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    lab.docker(&["buildx", "build", "-o", &output, &context]);
    assert!(lab.read("layout/index.json").contains("manifests"));
}

#[test]
fn files_and_the_history_leave_an_image() {
    let lab = Lab::start("created");
    let context = lab.context("created", SMALL);
    lab.docker(&["build", "-q", "-t", "created:1", &context]);
    let id = lab.docker(&["create", "created:1", "sh", "-c", "true"]);
    let id = id.trim();
    let got = lab.path("got");
    lab.docker(&["cp", &format!("{id}:/dir/file"), got.to_str().unwrap()]);
    assert_eq!(lab.read("got"), "created");
    let directory = lab.path("directory");
    let from = format!("{id}:/dir");
    lab.docker(&["cp", &from, directory.to_str().unwrap()]);
    assert_eq!(lab.read("directory/file"), "created");
    assert_eq!(lab.docker(&["rm", "-v", id]).trim(), id);
    let history = lab.docker(&["history", "--no-trunc", "created:1"]);
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
            lab.docker(&["inspect", "-f", format, "created:1"]),
            expected
        );
    }
}

#[test]
fn secrets_and_the_time_come_from_the_jobs_variables() {
    let lab = Lab::start("variables");
    let context = lab.context("variables", SMALL);
    let ran = lab.inside(&[
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
    let failed = lab.run(
        Program::Docker,
        &["build", "--secret", "id=x,src=/nowhere", &context],
    );
    assert_ne!(failed.code, 0);
    let expected = "--secret id=x,src=/nowhere: cannot read /nowhere: No such file";
    assert!(failed.stderr.contains(expected), "{}", failed.stderr);
}
