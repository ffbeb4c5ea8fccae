//! The job's page: what the pod has, why the job had to end, and what got in its way.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::{Case, RUNNING, Seen, long, run, step};

/// The annotations of the job's last step, which is the completed hook, as `LEVEL TITLE`, and their messages.
fn annotations(seen: &Seen) -> Vec<(String, String)> {
    let steps = seen.github["steps"].as_array().unwrap();
    let hook = steps.iter().find(|step| step["name"] == "Complete runner");
    let all = hook.unwrap()["annotations"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.iter()
        .map(|one| {
            let title = format!("{} {}", text(&one["level"]), text(&one["title"]));
            (title, text(&one["message"]))
        })
        .collect()
}

/// Checks that page, log and report have the same sentence about the only problem, and returns it.
fn only_problem(seen: &Seen, kind: &str, title: &str) -> String {
    let problems = seen.report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["kind"], kind);
    let sentence = problems[0]["message"].as_str().unwrap().to_owned();
    assert_eq!(annotations(seen), [(title.to_owned(), sentence.clone())]);
    assert!(seen.stderr.contains(&sentence), "{}", seen.stderr);
    sentence
}

#[test]
fn says_why_the_job_had_to_end() {
    let steps = || long(&format!("{RUNNING}; sleep 300"));
    run(&[
        Case::new("the pod's end", steps(), |seen| {
            let sentence = only_problem(seen, "terminated", "failure Pod ended");
            assert!(
                sentence.contains("could go on for 1s (grace)"),
                "{sentence}"
            );
            assert!(seen.summary.contains("**Pod ended**"), "{}", seen.summary);
        })
        .set("GRACE=1s TERMINATION_GRACE_PERIOD=60s"),
        Case::new("deadline", steps(), |seen| {
            let sentence = only_problem(seen, "deadline", "failure Deadline");
            assert!(
                sentence.contains("the deadline of 10s was over"),
                "{sentence}"
            );
            assert_eq!(seen.summary, "", "it is never wanted");
        })
        .set("DEADLINE=10s GITHUB__JOB_SUMMARY=never")
        .signals(""),
    ]);
}

/// The group is in the log, and the page has no annotation.
fn went_well(seen: &Seen) {
    for part in [
        "What this pod has",
        "supervisor: ",
        "cores: ",
        "memory: ",
        "storage: /",
        "builder: none",
    ] {
        assert!(seen.log.contains(part), "{part}: {}", seen.log);
    }
    assert_eq!(annotations(seen), []);
    assert_eq!(seen.report["problems"], Value::Null);
    assert_eq!(seen.report["job"]["result"], "succeeded");
}

#[test]
fn says_what_the_pod_has_and_sums_up() {
    let steps = || vec![step("Plain", "echo plain")];
    run(&[
        Case::new("always", steps(), |seen| {
            went_well(seen);
            for part in ["Duration: ", "| runner | "] {
                assert!(seen.summary.contains(part), "{part}: {}", seen.summary);
            }
        })
        .set("GITHUB__JOB_SUMMARY=always")
        .signals(""),
        Case::new("problems only", steps(), |seen| {
            went_well(seen);
            assert_eq!(seen.summary, "");
        })
        .signals(""),
    ]);
}

/// A small file system, until it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn new(limits: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("{limits},uid=1000,mode=0700");
        let mount = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        let mut command = Command::new("mount");
        let mounted = command.args(mount).arg(directory.path()).status();
        assert!(mounted.unwrap().success());
        Self(directory)
    }

    fn path(&self) -> String {
        self.0.path().to_string_lossy().into_owned()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn full(seen: &Seen, part: &str) {
    let sentence = only_problem(seen, "storage_full", "warning Storage full");
    assert!(sentence.contains(part), "{sentence}");
}

#[test]
fn says_which_volume_is_full() {
    let (bytes, files) = (Small::new("size=1m"), Small::new("size=10m,nr_inodes=20"));
    let fill = |script: &str| vec![step("Fill", script)];
    run(&[
        Case::new(
            "bytes",
            fill(&format!("! cat /dev/zero >{}/file", bytes.path())),
            |seen| full(seen, " is full: 0 bytes of 1.0 MiB are free"),
        )
        .set(&format!("WORKSPACE__ALSO_WIPE={}", bytes.path()))
        .signals(""),
        Case::new(
            "inodes",
            fill(&format!("! touch {}/{{1..30}}", files.path())),
            |seen| full(seen, " has no room for more files: 0 of 20 inodes are free"),
        )
        .set(&format!("WORKSPACE__ALSO_WIPE={}", files.path()))
        .signals(""),
    ]);
}

/// A builder that answers until a file appears, and then ends.
fn builder(directory: &Path) {
    let listener = UnixListener::bind(directory.join("socket")).unwrap();
    // The job must not be able to put another socket there.
    for (path, mode) in [
        (directory.to_owned(), 0o755),
        (directory.join("socket"), 0o777),
    ] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    fs::create_dir(directory.join("words")).unwrap();
    let words = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(directory.join("words"), words).unwrap();
    let end = directory.join("words/end");
    let clients: &'static Mutex<Vec<UnixStream>> = Box::leak(Box::default());
    let socket = directory.join("socket");
    std::thread::spawn(move || {
        while !end.exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        fs::remove_file(socket).unwrap();
        for client in clients.lock().unwrap().drain(..) {
            client.shutdown(std::net::Shutdown::Both).unwrap();
        }
    });
    std::thread::spawn(move || {
        for client in listener.incoming().map(Result::unwrap) {
            clients.lock().unwrap().push(client.try_clone().unwrap());
            std::thread::spawn(move || answer(client));
        }
    });
}

/// Frames as in `crates/builder/src/protocol.rs`.
fn answer(mut client: UnixStream) {
    let facts = json!({
        "version": "9.9.9", "builds": 1, "failed_builds": 0, "pushes": 1, "built": [],
        "pushed": [{"name": "registry.example/app:1", "digest": format!("sha256:{}", "0".repeat(64))}],
        "volume": null, "memory_limit_bytes": 1 << 30, "memory_peak_bytes": null, "written_bytes": null,
    });
    let facts = facts.to_string();
    let length = u32::try_from(facts.len()).unwrap().to_be_bytes();
    let frame = [&[21], &length[..], facts.as_bytes()].concat();
    let mut asked = [0; 5];
    while client.read_exact(&mut asked).is_ok() {
        assert_eq!(asked, [6, 0, 0, 0, 0]);
        if client.write_all(&frame).is_err() {
            return;
        }
    }
}

#[test]
fn says_what_the_builder_made_and_that_it_ended() {
    let (kept, ended) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let set = |directory: &Path| {
        builder(directory);
        format!("BUILDER__SOCKET={}/socket", directory.display())
    };
    let (kept_at, ended_at) = (set(kept.path()), set(ended.path()));
    let end = format!("touch {}/words/end; sleep 2", ended.path().display());
    run(&[
        Case::new("it runs", vec![step("Plain", "echo plain")], |seen| {
            assert!(
                seen.log.contains("builder: 9.9.9, memory 1.0 GiB"),
                "{}",
                seen.log
            );
            assert_eq!(annotations(seen), []);
            let pushed = &seen.report["builder"]["pushed"][0];
            assert_eq!(pushed["name"], "registry.example/app:1");
            assert!(
                seen.summary
                    .contains("pushed `registry.example/app:1`, `sha256:00"),
                "{}",
                seen.summary
            );
        })
        .set(&format!("{kept_at} GITHUB__JOB_SUMMARY=always"))
        .signals(""),
        Case::new("it ends", vec![step("Ends it", &end)], |seen| {
            let sentence = only_problem(seen, "builder_ended", "failure Builder ended");
            assert!(sentence.contains("after the job began"), "{sentence}");
        })
        .set(&ended_at)
        .signals(""),
    ]);
}

/// Writes sentences where PID 1 writes them for the hook, and answers in the builder's place.
const DECEIVES: &str = r##"
    echo '::error::forged' >"$XDG_RUNTIME_DIR/hooks/deadline"
    cat >forge.py <<'END'
import socket, struct
server = socket.socket(socket.AF_UNIX)
server.bind("SOCKET")
server.listen()
open("listens", "w")
while True:
    client = server.accept()[0]
    client.recv(5)
    facts = b'{"version":"forged","builds":9,"failed_builds":0,"pushes":0,"built":[],"pushed":[]}'
    client.sendall(struct.pack(">BI", 21, len(facts)) + facts)
END
    python3 -B forge.py </dev/null >/dev/null 2>&1 &
    until [ -e listens ]; do sleep 0.05; done
    RUNNER_TRACKING_ID= disown -a
"##;

#[test]
fn job_deceives_its_own_page_and_no_report() {
    let directory = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(directory.path(), open).unwrap();
    let socket = directory.path().join("socket");
    let socket = socket.to_string_lossy();
    let steps = vec![step("Deceives", &DECEIVES.replace("SOCKET", &socket))];
    run(&[Case::new("forged", steps, |seen| {
        let found = annotations(seen);
        assert_eq!(found[0].0, "failure Deadline", "{found:?}");
        assert!(found[0].1.starts_with("::error::forged"), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(seen.report["problems"], Value::Null);
        assert_eq!(seen.report["builder"], Value::Null);
        assert!(seen.summary.contains("**Deadline**"), "{}", seen.summary);
    })
    .set(&format!("BUILDER__SOCKET={socket}"))
    .signals("")]);
}
