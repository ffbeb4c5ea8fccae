//! `docker` command lines of a job, carried out by its builder against a real registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod dockerfiles;
mod fixture;
mod handover;
mod media_types;
mod outputs;

use fixture::{Fixture, Program, REGISTRY};
use serde_json::Value;
use support::root;
use test_support::eventually;

const SMALL: &str =
    "FROM scratch\nARG WHO\nLABEL who=$WHO\nCOPY file /file\nHEALTHCHECK CMD /file\n";

const BOTH: &str = "linux/amd64,linux/arm64";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn emits_only_flags_that_the_images_buildah_has() {
    let fixture = Fixture::start("flags");
    let list = std::fs::read_to_string(root().join("crates/docker-cli/src/buildah.flags")).unwrap();
    let mut help = std::collections::BTreeMap::new();
    let mut looked_at = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (verb, flag) = line.split_once(" --").unwrap();
        let text = help.entry(verb).or_insert_with(|| {
            let mut words = vec!["buildah"];
            words.extend(verb.split(' '));
            words.push("--help");
            fixture.inside(&words).stdout
        });
        let known = text.lines().any(|line| {
            let flags = line.split_whitespace().take(2);
            flags.into_iter().any(|word| word == format!("--{flag}"))
        });
        assert!(known, "buildah {verb} has no --{flag}: {text}");
        looked_at += 1;
    }
    assert!(looked_at > 200);
}

#[test]
fn an_image_is_built_pushed_described_and_removed() {
    let fixture = Fixture::start("one");
    let context = fixture.context("one", SMALL);
    let (iid, metadata) = (fixture.path("iid.txt"), fixture.path("metadata.json"));
    let (name, again) = (
        format!("{REGISTRY}/team/app:1"),
        format!("{REGISTRY}/team/app:2"),
    );
    fixture.docker(&[
        "buildx",
        "build",
        "--build-arg",
        "WHO=me",
        "--iidfile",
        iid.to_str().unwrap(),
        "--tag",
        &name,
        "--tag",
        &again,
        "--metadata-file",
        metadata.to_str().unwrap(),
        "--push",
        &context,
    ]);
    let id = fixture.read("iid.txt");
    let metadata = json(&fixture.read("metadata.json"));
    assert_eq!(metadata["containerimage.config.digest"], id.trim());
    assert_eq!(
        metadata["containerimage.digest"],
        fixture.digest("team/app", "1")
    );
    assert_eq!(
        fixture.digest("team/app", "1"),
        fixture.digest("team/app", "2")
    );
    assert_eq!(metadata["image.name"], format!("{name},{again}"));

    assert_eq!(
        fixture.docker(&["inspect", "-f", "{{.Id}} {{.Config.Labels.who}}", &name]),
        format!("{} me\n", id.trim())
    );
    assert_eq!(
        json(&fixture.docker(&["inspect", &name]))[0]["Config"]["Healthcheck"]["Test"][1],
        "/file"
    );
    assert_eq!(
        fixture
            .docker(&["images", "-q", "--no-trunc", &name])
            .trim(),
        id.trim()
    );
    assert_eq!(
        fixture.docker(&["images", "-q", "nothing-of-this-name"]),
        ""
    );
    let pushed = fixture.docker(&["push", &name]);
    assert_eq!(
        pushed.lines().last().unwrap(),
        format!("1: digest: {}", fixture.digest("team/app", "1"))
    );
    assert_eq!(
        fixture
            .run(Program::Podman, &["image", "exists", &name])
            .code,
        0
    );
    fixture.docker(&["rmi", &name, &again]);
    assert_eq!(
        fixture
            .run(Program::Podman, &["image", "exists", &name])
            .code,
        1
    );
    fixture.docker(&["pull", "--quiet", &name]);
    assert_eq!(
        fixture.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &name]),
        format!("{name}\n")
    );
    let inspected = json(&fixture.docker(&["buildx", "imagetools", "inspect", "--raw", &name]));
    assert_eq!(inspected["config"]["digest"], id.trim());
}

#[test]
fn several_platforms_become_a_list_that_can_be_pushed_again() {
    let fixture = Fixture::start("many");
    let context = fixture.context("many", SMALL);
    let metadata = fixture.path("metadata.json");
    let name = format!("{REGISTRY}/team/many:1");
    fixture.docker(&[
        "build",
        "--platform",
        BOTH,
        "-t",
        &name,
        "--metadata-file",
        metadata.to_str().unwrap(),
        "--push",
        &context,
    ]);
    let metadata = json(&fixture.read("metadata.json"));
    let first = fixture.digest("team/many", "1");
    assert_eq!(metadata["containerimage.digest"], first);
    let platforms = |name: &str| {
        let list = json(&fixture.docker(&["manifest", "inspect", name]));
        let all = list["manifests"].as_array().unwrap().iter();
        let names = all.map(|one| one["platform"]["architecture"].as_str().unwrap().to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let both = ["amd64", "arm64"];
    assert_eq!(platforms(&name), both);
    // A second build replaces the list, and does not add to it.
    fixture.docker(&["build", "--platform", BOTH, "-t", &name, &context]);
    assert_eq!(platforms(&name), both);
    // Buildah itself forgets this error, and ends with 0.
    let nowhere = "localhost:1/team/many:1";
    fixture.docker(&["tag", &name, nowhere]);
    let pushed = fixture.run(Program::Docker, &["push", nowhere]);
    assert_ne!(pushed.code, 0);
    assert!(
        pushed.stderr.contains("connection refused"),
        "{}",
        pushed.stderr
    );
    fixture.docker(&["rmi", nowhere]);
    let other = format!("{REGISTRY}/team/many:2");
    fixture.docker(&["tag", &name, &other]);
    fixture.docker(&["push", &other]);
    fixture.docker(&["rmi", &name, &other]);
    assert_eq!(platforms(&other), both);
    // What the registry has, to the byte, and not the list in Buildah's storage.
    let inspect = |flags: &str, name: &str| {
        let line = format!("docker buildx imagetools inspect {flags} {name}");
        let hashed = format!("{line} >out && sha256sum <out && cat out");
        fixture.inside(&["bash", "-c", &format!("cd $(mktemp -d) && {hashed}")])
    };
    let second = fixture.digest("team/many", "2");
    let raw = inspect("--raw", &other);
    let hash = second.trim_start_matches("sha256:");
    assert!(raw.stdout.starts_with(hash), "{}{}", raw.stdout, raw.stderr);
    let digest = inspect("--format {{.Manifest.Digest}}", &other);
    assert!(
        digest.stdout.ends_with(&format!("\n{second}\n")),
        "{}",
        digest.stdout
    );
    let text = inspect("", &other);
    assert!(
        text.stdout.contains(&format!("Digest:    {second}\n")),
        "{}",
        text.stdout
    );
    let never = format!("{REGISTRY}/team/many:never-pushed");
    fixture.docker(&["build", "--platform", BOTH, "-t", &never, &context]);
    assert_ne!(inspect("", &never).code, 0);
    fixture.docker(&["rmi", &never]);
    let third = format!("{REGISTRY}/team/many:3");
    fixture.docker(&["buildx", "imagetools", "create", "-t", &third, &other]);
    assert_eq!(platforms(&third), both);
    // Those of other calls go with them.
    eventually("names that calls made for themselves to be gone", || {
        let images = fixture.docker(&["images"]);
        (!images.contains("localhost/docker-")).then_some(())
    });
}

#[test]
fn secrets_archives_and_standard_streams() {
    let fixture = Fixture::start("secret");
    let context = fixture.context("secret", "FROM scratch\nCOPY file /file\n");
    let archive = fixture.path("saved.tar");
    let id = fixture.docker(&[
        "build",
        "-q",
        "-t",
        "app:v1",
        "--secret",
        "id=t,env=TOKEN",
        &context,
    ]);
    assert!(id.starts_with("sha256:") && id.len() == 72, "{id}");
    fixture.docker(&["save", "-o", archive.to_str().unwrap(), "app:v1"]);
    fixture.docker(&["rmi", "app:v1"]);
    let loaded = fixture.docker(&["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(loaded, "Loaded image: app:v1\n");
    assert_eq!(
        fixture.docker(&["images", "-q", "--no-trunc", "app:v1"]),
        id
    );
    let files = fixture.path("files");
    fixture.docker(&["build", "-o", files.to_str().unwrap(), &context]);
    assert_eq!(fixture.read("files/file"), "secret");
    let layout = fixture.path("layout.tar");
    fixture.docker(&[
        "buildx",
        "build",
        "--output",
        &format!("type=oci,dest={}", layout.display()),
        &context,
    ]);
    assert!(
        fixture
            .inside(&["tar", "-tf", layout.to_str().unwrap()])
            .stdout
            .contains("index.json")
    );
    assert!(
        fixture
            .docker(&["version", "--format", "{{.Server.Version}}"])
            .starts_with("1.")
    );
    assert_eq!(
        fixture
            .docker(&["info", "--format", "{{.OSType}} {{.Images}}"])
            .split(' ')
            .next(),
        Some("linux")
    );
    let failed = fixture.run(Program::Docker, &["build", "-f", "/nowhere", &context]);
    assert_ne!(failed.code, 0);
    assert!(failed.stderr.contains("/nowhere"), "{}", failed.stderr);
}
