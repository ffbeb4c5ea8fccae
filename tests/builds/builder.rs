//! The builder's own life: killed in the middle of a build, and its end.

use std::process::Command;
use std::time::{Duration, Instant};

use support::{Job, Pod, podman};
use test_support::eventually;

use crate::BASE;

#[test]
fn restarts_a_dead_builder_with_its_committed_layers() {
    let pod = Pod::start(&[], r#"{"auths":{}}"#);
    let built = pod.build(&format!("FROM {BASE}\nRUN true"), "--tag localhost/kept");
    assert_eq!(built.code, 0, "{}", built.said);
    let name = format!("{}-builder", pod.name());
    let pid = podman(&["inspect", "--format", "{{.State.Pid}}", &name]);
    let pid = String::from_utf8(pid.stdout).unwrap().trim().to_owned();
    let killer = std::thread::spawn(move || {
        let runs = || {
            let found = Command::new("pgrep")
                .args(["--full", "--exact", "sleep 86384"])
                .output();
            !found.unwrap().stdout.is_empty()
        };
        // Killed in any case, so that the build ends.
        let patience = Instant::now() + Duration::from_secs(300);
        while !runs() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
        // As the kernel does when memory runs out.
        let killed = Command::new("kill").args(["-KILL", &pid]).status();
        assert!(killed.unwrap().success());
    });
    let done = pod.build(&format!("FROM {BASE}\nRUN sleep 86384"), "--no-cache");
    killer.join().unwrap();
    assert_eq!(done.code, 74, "{}", done.said);
    assert!(
        done.said.contains("the builder closed the connection"),
        "{}",
        done.said
    );
    eventually("the builder to be back", || {
        (pod.job("buildah version").code == 0).then_some(())
    });
    let done = pod.build("FROM localhost/kept\nRUN true", "--pull=never");
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn without_a_builder_the_sentence_says_where_it_should_be() {
    let ended = Job::shell("BUILDER_SOCKET=/nowhere/socket buildah version").run();
    assert_eq!(ended.code(), Some(74), "{}", ended.log);
    assert!(
        ended
            .log
            .contains("cannot connect to the builder at /nowhere/socket"),
        "{}",
        ended.log
    );
}

#[test]
fn files_with_subordinate_ids_in_the_workspace_are_wiped_too() {
    let script = format!(
        "mkdir /workspace/work/d; cd /workspace/work/d; printf 'FROM {BASE}\\nRUN install -d -o 1234 -m 0700 /x && touch /x/y && chown 1234 /x/y\\n' >Containerfile; \
         buildah build --no-cache --tag localhost/foreign . && buildah build --output out ."
    );
    let ended = Job::shell(&script).run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    ended.assert_nothing_is_left();
    let report = ended.builder_report();
    assert_eq!(report["reason"], "completed", "{report}");
    assert_eq!(report["wiped"]["leftover_count"], 0, "{report}");
}

#[test]
fn sigterm_to_the_builder_leaves_a_living_job_its_files() {
    let script = "cd /workspace/work; echo kept >file; echo ready; until [ -e go ]; do sleep 0.05; done; cat file";
    let mut running = Job::shell(script).start();
    running.wait_for_text("ready\n");
    let builder = format!("{}-builder", running.name);
    let killed = podman(&["kill", "--signal", "TERM", &builder]);
    assert!(killed.status.success(), "{killed:?}");
    eventually("the builder's end", || {
        let state = podman(&["inspect", "--format", "{{.State.Status}}", &builder]);
        (state.stdout == b"exited\n").then_some(())
    });
    let go = podman(&["exec", &running.name, "touch", "/workspace/work/go"]);
    assert!(go.status.success(), "{go:?}");
    let ended = running.wait();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("kept\n"), "{}", ended.log);
    ended.assert_nothing_is_left();
    let report = ended.builder_report();
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("its workspace was not wiped"), "{report}");
    assert_eq!(report["exit_code"], 0, "{report}");
}
