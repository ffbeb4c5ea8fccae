//! GitHub's runner: from the release to a job in its image.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::{root, run_image};

use crate::pod::{Built, Pod, thief};
use crate::site::{Site, said, sha256, shell};

const REGISTRATION: &str = "AABF3JGZDX3P5PMEXLND6TS6FCWO6";
const REMOVE: &str = "BBCG4KHAEY4Q6QNFYMOE7UT7GDXP7";

/// Publishes a release as GitHub does: the archives, and the release's notes with their digests.
fn publish(site: &Site, digest_in_notes: impl Fn(&str) -> String) {
    let runner = root().join("tests/fakes/actions-runner");
    let listener = PathBuf::from(env!("CARGO_BIN_EXE_fake-runner-listener"));
    let mut notes = String::new();
    let mut assets = Vec::new();
    for architecture in ["x64", "arm64"] {
        let name = format!("actions-runner-linux-{architecture}-9.9.9.tar.gz");
        let archive = site.file(&format!("actions/runner/releases/download/v9.9.9/{name}"));
        // The vendor's archives hold ./bin, ./externals and the scripts, of a user of their own, writable for the group.
        shell(
            "cp -rT \"$1\" \"$2\"; install -m 0755 \"$4\" \"$2/bin/Runner.Listener\"; touch \"$2\"/{config,run,env,safe_sleep}.sh; chmod -R g+w \"$2\"; chown -R 1001:127 \"$2\"; tar -C \"$2\" -czf \"$3\" .",
            &[&runner, &site.scratch(architecture), &archive, &listener],
        );
        let sha = sha256(&archive);
        notes += &format!(
            "- {name} <!-- BEGIN SHA linux-{architecture} -->{}<!-- END SHA linux-{architecture} -->\n",
            digest_in_notes(&sha)
        );
        assets.push(serde_json::json!({"name": name, "digest": format!("sha256:{sha}")}));
    }
    let release = serde_json::json!({"tag_name": "v9.9.9", "body": notes, "assets": assets});
    let file = site.file("repos/actions/runner/releases/tags/v9.9.9");
    fs::write(file, release.to_string()).unwrap();
}

/// Pins and builds, and gives the image.
fn built(site: &Site) -> Built {
    let locked = site.script("lock_runner.sh", &["github", "9.9.9"], &[]);
    assert!(locked.status.success(), "{}", said(&locked));
    let image = Built::name("github", &site.scratch("x"));
    let variables = [("FLAVOR_IMAGE", image.0.as_str())];
    let output = site.script("buildme_local.sh", &["--flavor", "github"], &variables);
    assert!(output.status.success(), "{}", said(&output));
    image
}

fn jit_configuration() -> String {
    let files = r#"{AgentName: "pod", WorkFolder: "_work", GitHubUrl: "https://github.com/o/r", Ephemeral: "True", DisableUpdate: "True"}
        | {".runner": (tostring | @base64), ".credentials": ({Scheme: "OAuth"} | tostring | @base64),
           ".credentials_rsaparams": ({d: "private"} | tostring | @base64)} | tostring | @base64"#;
    let output = Command::new("jq").args(["-nr", files]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn pod(image: &Built) -> Pod {
    Pod::new(&image.0).set("RUNNER__ENV", "{FAKE_GITHUB=\"/vendor\"}")
}

#[test]
fn does_one_job_on_a_read_only_root_in_a_releases_image() {
    let site = Site::new();
    publish(&site, str::to_owned);
    let image = built(&site);
    let lock = site.lock();
    assert_eq!(
        lock.lines()
            .filter(|line| line.starts_with("actions-runner "))
            .count(),
        2,
        "{lock}"
    );
    assert!(
        lock.contains("actions-runner 9.9.9 arm64 http://127.0.0.1:"),
        "{lock}"
    );

    // Root's, not writable by the job, nothing setuid, no sudo.
    let look = "find /opt/actions-runner \\( ! -user root -o -perm /6022 \\) ! -type l; command -v sudo; test -x /opt/actions-runner/bin/Runner.Listener && echo looked";
    let output = run_image(&image.0, &["--entrypoint", "bash"], &["-c", look]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "looked\n",
        "{}",
        said(&output)
    );

    let job = "id -u >/vendor/uid; touch /opt/actions-runner/bin/x 2>/dev/null && echo writable >/vendor/uid; exit 0";
    let ended = pod(&image)
        .secret("jitconfig", &jit_configuration())
        .vendor("job.sh", job)
        .run();
    assert_eq!(ended.code(), Some(0), "{}", ended.said());
    assert_eq!(ended.vendor("uid"), "1000\n");
    let report = ended.report();
    assert_eq!(report["flavor"], "github");
    assert_eq!(report["job"]["result"], "succeeded");
    assert_eq!(report["wiped"]["leftover_count"], 0, "{report}");
    assert!(ended.staged().is_empty());

    // A thief, with a JIT configuration and where the tokens live longer than the job: none of them is to be found.
    let jit = jit_configuration();
    let with_jit = || {
        pod(&image)
            .secret("jitconfig", &jit)
            .vendor("job.sh", &thief(&jit, "supervisor|Runner.Listener"))
    };
    for ended in [with_jit().run(), with_jit().with_rights_of_userns().run()] {
        assert_eq!(ended.code(), Some(0), "{}", ended.said());
        let log = ended.vendor("log");
        assert!(log.contains("\nfound: \n"), "{log}");
        assert!(!ended.said().contains(&jit));
    }
    for needle in [REGISTRATION, REMOVE] {
        let ended = pod(&image)
            .set("GITHUB__URL", "https://github.com/o/r")
            .secret("registration_token", REGISTRATION)
            .secret("remove_token", REMOVE)
            .vendor("registration-token", REGISTRATION)
            .vendor("job.sh", &thief(needle, "supervisor|Runner.Listener"))
            .run();
        assert_eq!(ended.code(), Some(0), "{}", ended.said());
        assert!(
            ended.vendor("log").contains("\nfound: \n"),
            "{}",
            ended.vendor("log")
        );
        assert!(!ended.said().contains(needle));
    }
}

#[test]
fn a_digest_that_is_not_the_vendors_is_refused() {
    let site = Site::new();
    publish(&site, |_| "0".repeat(64));
    let before = site.lock();
    let output = site.script("lock_runner.sh", &["github", "9.9.9"], &[]);
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));
    assert!(said(&output).contains("two digests"), "{}", said(&output));

    let site = Site::new();
    publish(&site, str::to_owned);
    let archive: PathBuf = site
        .file("actions/runner/releases/download/v9.9.9/actions-runner-linux-arm64-9.9.9.tar.gz");
    fs::write(archive, "something else").unwrap();
    let output = site.script("lock_runner.sh", &["github", "9.9.9"], &[]);
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));
    assert!(
        said(&output).contains("sha256 differs"),
        "{}",
        said(&output)
    );
    assert_eq!(site.lock(), before);

    let output = site.script("lock_runner.sh", &["github", "9.9.8"], &[]);
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
}
