//! Registration, start, and the location of the runner's files.

use test_support::{PTRACE, eventually};

use crate::fake::{Github, REGISTRATION, count, jit_configuration, log};

#[test]
fn a_jit_configuration_is_all_that_a_job_needs() {
    let ended = Github::jit()
        .job("echo done >\"$FAKE_GITHUB/result\"")
        .run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "completed");
    assert_eq!(report["job"]["result"], "succeeded");
    assert_eq!(report["runner"]["exit_code"], 100);
    assert_eq!(report["runner"]["starts"], 1);
    assert_eq!(report["registration"], "used");
    assert!(ended.fixture.path("github/result").exists());
    assert!(log(&ended.fixture).starts_with("argv: run jitconfig\n"));
    assert!(!ended.fixture.path("github/registered").exists());
    ended.assert_workspace_is_empty();
}

#[test]
fn registers_and_runs_an_ephemeral_runner_with_a_token() {
    let github = Github::registration()
        .set("GITHUB__LABELS", "gpu,large")
        .set("GITHUB__GROUP", "trusted")
        .job("true");
    let ended = github.run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let said = log(&ended.fixture);
    let expected = "registered: name=pod-1 labels=gpu,large group=trusted url=https://github.com/owner/repository \
        flags=disableupdate ephemeral replace unattended ";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("\nargv: run \n"), "{said}");
    let work = ended.fixture.path("workspace/work");
    assert!(
        said.contains(&format!("listening: work={}", work.display())),
        "{said}"
    );
    assert_eq!(ended.report()["runner"]["starts"], 2);
    assert_eq!(ended.report()["registration"], "used");
}

#[test]
fn a_registration_that_is_refused_has_its_own_reason() {
    let ended = Github::registration()
        .secret("registration_token", "ZZZZ3JGZDX3P5PMEXLND6TS6FCWO6")
        .run();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "runner_error");
    assert!(
        report["message"]
            .as_str()
            .unwrap()
            .contains("could not be registered")
    );
    assert_eq!(count(&ended.fixture, "argv: run"), 0);
    assert_eq!(report["registration"], serde_json::Value::Null);
}

#[test]
fn keeps_the_images_files_and_the_runners_root_apart() {
    let running = Github::jit().start();
    let root = running.fixture.path("workspace/runner");
    eventually("the runner's settings", || {
        root.join(".runner").exists().then_some(())
    });
    assert!(root.join("bin/Runner.Listener").is_file());
    assert!(!root.join("bin").is_symlink());
    assert!(root.join("externals").is_symlink());
    assert!(!running.fixture.path("image/.runner").exists());
    assert!(!running.fixture.path("image/_diag").exists());
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.wait().assert_workspace_is_empty();
}

#[test]
fn no_token_is_in_the_jobs_reach() {
    // The registration token's process is gone when the job starts; what the job sees is looked at from inside of it.
    let script = r#"
        needle=$(cat "$FAKE_GITHUB/registration-token")
        found=
        for p in /proc/[0-9]*; do
            for f in cmdline environ; do
                if tr '\0' '\n' <"$p/$f" 2>/dev/null | grep -qF -- "$needle"; then found+="$p/$f "; fi
            done
        done
        if env | grep -qE '^(SUPERVISOR_|ACTIONS_RUNNER_INPUT_)'; then found+="environment "; fi
        if grep -rsqF -- "$needle" /tmp/*/workspace /tmp/*/run "$HOME/.."; then found+="files "; fi
        if [ "$(ulimit -c)" != 0 ]; then found+="core "; fi
        for d in /proc/self/fd/*; do
            case $(readlink "$d") in /dev/null|pipe:*|/proc/*|"$FAKE_GITHUB"/job.sh|'') ;; *) found+="$(readlink "$d") " ;; esac
        done
        echo "found: $found" >"$FAKE_GITHUB/found"
    "#;
    let ended = Github::registration()
        .secret("remove_token", "BBCG4KHAEY4Q6QNFYMOE7UT7GDXP7")
        .job(script)
        .run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let found = std::fs::read_to_string(ended.fixture.path("github/found")).unwrap();
    assert_eq!(found, "found: \n");
    assert!(!ended.stderr.contains(REGISTRATION) && !ended.stdout.contains(REGISTRATION));
}

/// A thief in the job's place. What it looks for comes in two halves, so that the search does not find itself.
fn thief(needle: &str) -> String {
    let (first, second) = needle.split_at(needle.len() / 2);
    format!(
        r#"
        first={first}; needle=${{first}}{second}
        found=
        for p in /proc/[0-9]*; do
            pid=${{p#/proc/}}
            if [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ]; then continue; fi
            for f in cmdline environ task/*/environ; do
                if cat "$p"/$f 2>/dev/null | tr '\0' '\n' | grep -qF -- "$needle"; then found+="$p/$f "; fi
            done
            case $(cat "$p/comm" 2>/dev/null) in Runner.Listener|runner-listener|supervisor)
                seen+="$(cat "$p/comm") "
                for f in fd map_files; do
                    if ls "$p/$f" 2>/dev/null | grep -q .; then found+="$p/$f "; fi
                done
                for f in environ maps auxv; do
                    if head -c 1 "$p/$f" 2>/dev/null | grep -q .; then found+="$p/$f "; fi
                done
                if (exec 7<"$p/mem") 2>/dev/null; then found+="$p/mem "; fi
                # PTRACE_SEIZE
                if perl -e 'exit(syscall({PTRACE}, 0x4206, $ARGV[0], 0, 0) == 0 ? 0 : 1)' "$pid"; then found+="ptrace:$pid "; fi
            esac
        done
        if env | grep -qE '^(SUPERVISOR_|ACTIONS_RUNNER_INPUT_)'; then found+="environment "; fi
        found+=$(grep -rslF -- "$needle" "$HOME/.." "$TMPDIR" "$XDG_RUNTIME_DIR" /dev/shm || true)
        for d in /proc/self/fd/*; do
            case $(readlink "$d") in /dev/null|pipe:*|/proc/*|"$FAKE_GITHUB"/job.sh|'') ;; *) found+="$(readlink "$d") " ;; esac
        done
        echo "seen: $seen found: $found" >"$FAKE_GITHUB/found"
    "#
    )
}

#[test]
fn what_the_engine_left_open_ends_with_the_supervisor() {
    let job = "ls -l /proc/self/fd >\"$FAKE_GITHUB/found\"; grep core /proc/self/limits >>\"$FAKE_GITHUB/found\"";
    let ended = Github::jit().prelude("exec 9</etc").job(job).run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let found = std::fs::read_to_string(ended.fixture.path("github/found")).unwrap();
    assert!(!found.contains("/etc"), "{found}");
    // Neither to a file nor through a pipe: 0 would be no limit for that.
    let limit = found.lines().find(|line| line.contains("core file size"));
    let limit: Vec<&str> = limit.unwrap().split_whitespace().skip(4).collect();
    assert_eq!(limit, ["1", "1", "bytes"]);
}

#[test]
fn a_jit_configuration_is_out_of_the_jobs_reach() {
    let ended = Github::jit().job(&thief(&jit_configuration())).run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let found = std::fs::read_to_string(ended.fixture.path("github/found")).unwrap();
    assert_eq!(found, "seen: supervisor Runner.Listener  found: \n");
    assert!(!ended.stderr.contains(&jit_configuration()));
}

#[test]
fn an_image_without_the_runner_says_which_image_has_it() {
    let ended = Github::jit().set("GITHUB__DIRECTORY", "/nowhere").run();
    assert_eq!(ended.code(), 78);
    let message = ended.report()["message"].to_string();
    assert!(
        message.contains("/nowhere/bin/Runner.Listener"),
        "{message}"
    );
}
