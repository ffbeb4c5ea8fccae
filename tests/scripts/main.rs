//! The effects of the scripts: files that they keep, processes that they end, and images that they push.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::{Job, podman, root, supervisor};
use test_support::eventually;

#[test]
fn a_second_start_installs_and_builds_nothing() {
    let ended = Job::shell("true").run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(!ended.log.contains("missing: "), "{}", ended.log);
    assert!(ended.log.contains(": unchanged\n"), "{}", ended.log);
}

#[test]
fn what_somebody_else_has_under_that_name_stays() {
    let job = Job::shell("true");
    let name = job.name().to_owned();
    assert!(podman(&["volume", "create", &name]).status.success());
    let ended = job.run();
    let exists = podman(&["volume", "exists", &name]).status.success();
    assert!(podman(&["volume", "rm", "--force", &name]).status.success());
    assert_eq!(ended.code(), Some(64), "{}", ended.log);
    assert!(
        ended
            .log
            .contains(&format!("there is a volume {name} already")),
        "{}",
        ended.log
    );
    assert!(exists);
}

#[test]
fn a_wrong_argument_is_named_before_anything_is_done() {
    let cases: [(&[&str], i32, &str); 11] = [
        (&["--shape", "round"], 64, "--shape is split or single"),
        (
            &["--shape", "single", "--builder-env", "A=b"],
            64,
            "for the shape split",
        ),
        (
            &["--builder-secrets", "/nonexistent"],
            66,
            "/nonexistent is not a directory",
        ),
        (&["--grace", "soon"], 64, "--grace is a number of seconds"),
        (&["--grace", "2"], 64, "at least 3"),
        (&["--event", "--list"], 64, "--event is the name"),
        (&["--name", "a b"], 64, "unlike \"a b\""),
        (&["--nonsense"], 64, "unknown option \"--nonsense\""),
        (
            &["--secrets", "/nonexistent"],
            66,
            "/nonexistent is not a directory",
        ),
        (
            &["--keep-report", "/nonexistent/report"],
            66,
            "/nonexistent/report",
        ),
        (&["/nonexistent"], 66, "/nonexistent is not a directory"),
    ];
    for (arguments, code, sentence) in cases {
        let output = script("runme_local.sh", arguments, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(sentence) && !said.contains("==>"), "{said}");
    }
}

#[test]
fn a_secret_that_is_no_file_is_named() {
    let job = Job::shell("true").secret("token", "x");
    let directory = job.secrets().unwrap();
    std::os::unix::fs::symlink("nowhere", directory.join("dangling")).unwrap();
    let ended = job.run();
    assert_eq!(ended.code(), Some(66), "{}", ended.log);
    assert!(
        ended.log.contains("holds what is not a file: dangling"),
        "{}",
        ended.log
    );
}

/// What no other process on this machine sleeps for.
const MARK: &str = "86397.25";

#[test]
fn a_long_command_ends_with_the_script_and_all_it_started() {
    let commands = format!(
        "source scripts/lib.sh; handle_signals; tree() {{ (trap '' TERM; sleep {MARK}; sleep {MARK}); }}; logged tree"
    );
    let mut child = Command::new("bash")
        .args(["-c", &commands])
        .current_dir(root())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sleeps = || {
        let found = Command::new("pgrep")
            .args(["--full", "--exact", &format!("sleep {MARK}")])
            .output();
        !found.unwrap().stdout.is_empty()
    };
    eventually("the command", || sleeps().then_some(()));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!sleeps());
}

#[test]
fn images_are_built_on_a_base_of_the_users_own_and_pushed() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::start(directory.path());
    let conf = directory.path().join("registries.conf");
    let text = format!(
        "[[registry]]\nlocation = \"{}\"\ninsecure = true\n",
        registry.address
    );
    std::fs::write(&conf, text).unwrap();
    let base = "localhost/test/my-base:1";
    assert!(
        podman(&["tag", "localhost/ci-cd-agents/base:trixie", base])
            .status
            .success()
    );

    let target = format!("{}/team", registry.address);
    let environment = [
        ("BASE_IMAGE", base),
        ("RUNNER_IMAGE", IMAGES[0]),
        ("BUILDER_IMAGE", IMAGES[1]),
        ("SINGLE_IMAGE", IMAGES[2]),
        ("CONTAINERS_REGISTRIES_CONF", conf.to_str().unwrap()),
    ];
    let output = script(
        "buildme_local.sh",
        &["--push", &target, "--tag", "t1"],
        &environment,
    );
    let _ = podman(&["rmi", "--force", IMAGES[0], IMAGES[1], IMAGES[2], base]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let references = String::from_utf8(output.stdout).unwrap();
    let mut lines = references.lines();
    for name in ["runner", "builder", "single"] {
        let reference = lines.next().unwrap_or_default();
        let begin = format!("{target}/{name}:t1@");
        assert!(reference.starts_with(&begin), "{references}");
        let digest = &reference[begin.len()..];
        let inspected = Command::new("skopeo")
            .args(["inspect", "--tls-verify=false", "--config"])
            .arg(format!("docker://{target}/{name}@{digest}"))
            .output()
            .unwrap();
        let config: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
        assert_eq!(
            config["config"]["Entrypoint"][0],
            "/usr/local/bin/supervisor"
        );
        assert_eq!(config["config"]["User"], "1000:1000");
    }
}

#[test]
fn marker_words_are_found_and_names_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(directory.path().join("page.md"), text).unwrap();
    let lint = || {
        let script = "source scripts/test.sh; lint_prose \"$1\"";
        Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(directory.path())
            .current_dir(root())
            .status()
            .unwrap()
            .success()
    };
    // Split, because the lint reads this file too.
    for word in [
        "no\x62ody",
        "Some\x62ody",
        "w\x68om",
        "is no\x6ee",
        "be i\x74",
        "t\x6fld",
    ] {
        write(&format!("A job that {word} sees.\n"));
        assert!(!lint(), "{word}");
    }
    write("The user `no\x62ody` and \"no\x62ody\" own a stolder file.\n");
    assert!(lint());
}

const IMAGES: [&str; 3] = [
    "localhost/test/runner:pushed",
    "localhost/test/builder:pushed",
    "localhost/test/single:pushed",
];

fn script(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(root().join("scripts").join(name))
        .args(arguments)
        .env("CI_CD_AGENTS_BINARY", supervisor())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Debian's docker-registry on a free port of the loopback, ended when dropped.
struct Registry {
    address: String,
    child: Child,
}

impl Registry {
    fn start(directory: &Path) -> Self {
        let settings = directory.join("registry.yml");
        let data = directory.join("registry");
        // The registry takes a free port by itself: one chosen here could be another test's by then.
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            data.display()
        );
        std::fs::write(&settings, text).unwrap();
        let path = directory.join("registry.log");
        let log = File::create(&path).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&settings)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = eventually("the registry", || {
            let log = std::fs::read_to_string(&path).unwrap();
            let port = log.split("listening on 127.0.0.1:").nth(1)?;
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            // What follows the number shows that all of it has been written.
            let whole = log.contains(&format!("127.0.0.1:{port}\""));
            whole.then(|| format!("127.0.0.1:{port}"))
        });
        Self { address, child }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
