//! CircleCI's runner: from the package to a task in its image.

use std::fs;
use std::path::{Path, PathBuf};

use support::run_image;

use crate::pod::{Built, Pod, thief};
use crate::site::{Site, said, sha256, shell};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee";

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fake-circleci-runner"))
}

/// A package of the real layout: usr/bin/circleci-runner, a unit, a configuration.
fn package(site: &Site, architecture: &str) -> PathBuf {
    let path =
        format!("pool/any/main/c/circleci-runner/circleci-runner_9.9.9-1_{architecture}.deb");
    let file = site.file(&path);
    let script = r#"
        mkdir -p "$1/DEBIAN" "$1/usr/bin" "$1/etc/circleci-runner" "$1/usr/lib/systemd/system"
        printf 'Package: circleci-runner\nVersion: 9.9.9-1\nArchitecture: %s\nMaintainer: tests\nDescription: fake\n' "$(basename "$1")" >"$1/DEBIAN/control"
        install -m 0755 "$2" "$1/usr/bin/circleci-runner"
        touch "$1/etc/circleci-runner/circleci-runner-config.yaml" "$1/usr/lib/systemd/system/circleci-runner.service"
        dpkg-deb --root-owner-group -Zgzip -z1 --build "$1" "$3" >/dev/null
    "#;
    shell(script, &[&site.scratch(architecture), &program(), &file]);
    file
}

/// The repository's index, with an older version beside.
fn publish(site: &Site) {
    for architecture in ["amd64", "arm64"] {
        let file = package(site, architecture);
        let sha = sha256(&file);
        let name = file.file_name().unwrap().to_string_lossy();
        let index = format!(
            "Package: circleci-runner\nVersion: 9.9.8-1\nFilename: pool/old.deb\nSHA256: {}\n\n\
             Package: circleci-runner\nVersion: 9.9.9-1\nArchitecture: {architecture}\n\
             Filename: pool/any/main/c/circleci-runner/{name}\nSHA256: {sha}\n\n",
            "0".repeat(64)
        );
        let index_file = site.file(&format!("dists/any/main/binary-{architecture}/Packages"));
        fs::write(index_file, index).unwrap();
    }
}

fn built(site: &Site, variables: &[(&str, &str)]) -> Built {
    let image = Built::name("circleci", &site.scratch("x"));
    let mut all = vec![("FLAVOR_IMAGE", image.0.as_str())];
    all.extend(variables);
    let output = site.script("buildme_local.sh", &["--flavor", "circleci"], &all);
    assert!(output.status.success(), "{}", said(&output));
    image
}

fn pod(image: &Built) -> Pod {
    Pod::new(&image.0)
        .set("RUNNER__ENV", "{FAKE_CIRCLECI=\"/vendor\"}")
        .secret("resource_class_token", TOKEN)
        .vendor("token", TOKEN)
}

#[test]
fn a_package_becomes_an_image_in_which_a_thief_finds_nothing() {
    let site = Site::new();
    publish(&site);
    let locked = site.script("lock_runner.sh", &["circleci", "9.9.9"], &[]);
    assert!(locked.status.success(), "{}", said(&locked));
    assert!(
        site.lock()
            .contains("\ncircleci-runner 9.9.9 amd64 http://127.0.0.1:"),
        "{}",
        site.lock()
    );
    let image = built(&site, &[]);

    let look = "stat -c '%u %a' /opt/circleci/circleci-runner";
    let output = run_image(&image.0, &["--entrypoint", "bash"], &["-c", look]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 111\n");

    let ended = pod(&image)
        .vendor("task.sh", &thief(TOKEN, "supervisor|circleci-runner"))
        .run();
    assert_eq!(ended.code(), Some(0), "{}", ended.said());
    assert_eq!(ended.report()["flavor"], "circleci");
    assert!(
        ended.vendor("log").contains("\nfound: \n"),
        "{}",
        ended.vendor("log")
    );
    assert!(!ended.said().contains(TOKEN) && ended.staged().is_empty());

    as_root_of_the_profile_userns(&image);

    // Where root in the pod's own user namespace is available, the task is another user.
    let ended = pod(&image)
        .with_root()
        .vendor("task.sh", &thief_with_its_uid())
        .vendor("log", "")
        .run_open();
    assert_eq!(ended.code(), Some(0), "{}", ended.said());
    let log = ended.vendor("log");
    assert!(
        log.contains("\nuid 1000\n") && log.contains("\nfound: \n"),
        "{log}\n{}",
        ended.said()
    );
}

/// A thief that says who it is first.
fn thief_with_its_uid() -> String {
    let thief = thief(TOKEN, "supervisor|circleci-runner");
    format!("echo \"uid $(id -u)\" >>/vendor/log; {thief}")
}

/// Root that cannot change owners: the task stays root, and the runner closed to it.
fn as_root_of_the_profile_userns(image: &Built) {
    let ended = pod(image)
        .vendor("task.sh", &thief_with_its_uid())
        .with_rights_of_userns()
        .run();
    assert_eq!(ended.code(), Some(0), "{}", ended.said());
    let log = ended.vendor("log");
    assert!(
        log.contains("\nuid 0\n") && log.contains("\nfound: \n"),
        "{log}\n{}",
        ended.said()
    );
    assert!(
        ended.said().contains("the task stays root"),
        "{}",
        ended.said()
    );
    assert!(!ended.said().contains("execute-only"), "{}", ended.said());
}

#[test]
fn takes_a_given_program_and_rejects_an_unpinned_one() {
    let site = Site::new();
    let output = site.script(
        "buildme_local.sh",
        &["--flavor", "circleci"],
        &[("FLAVOR_IMAGE", "localhost/test/never:local")],
    );
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(
        said(&output).contains("scripts/lock_runner.sh circleci VERSION"),
        "{}",
        said(&output)
    );

    let given: &Path = &program();
    let path = given.to_string_lossy().into_owned();
    let wrong = "0".repeat(64);
    for (digest, sentence) in [
        ("", "the sha256 that CircleCI publishes for it"),
        (wrong.as_str(), "its sha256 differs"),
    ] {
        let output = site.script(
            "buildme_local.sh",
            &["--flavor", "circleci"],
            &[
                ("FLAVOR_IMAGE", "localhost/test/never:local"),
                ("CIRCLECI_RUNNER_FILE", &path),
                ("CIRCLECI_RUNNER_SHA256", digest),
            ],
        );
        assert_eq!(output.status.code(), Some(65), "{}", said(&output));
        assert!(said(&output).contains(sentence), "{}", said(&output));
    }
    let digest = sha256(given);
    let image = built(
        &site,
        &[
            ("CIRCLECI_RUNNER_FILE", &path),
            ("CIRCLECI_RUNNER_SHA256", &digest),
        ],
    );
    let ended = pod(&image).vendor("task.sh", "true").run();
    assert_eq!(ended.code(), Some(0), "{}", ended.said());
    assert_eq!(ended.report()["reason"], "completed");
}
