//! Between client and builder: streams, signals, exit codes, turns, and a client that vanishes.

use support::Pod;
use test_support::eventually;

use crate::{BASE, open, pod, until_open};

#[test]
fn output_comes_as_it_is_made() {
    let script = format!(
        r#"
        printf 'FROM {BASE}\nRUN ["bash", "-c", "echo $((1)); {until}; echo $((2))"]\n' >Containerfile
        buildah build --no-cache . >out 2>err & client=$!
        until grep -qx 1 out; do sleep 0.05; done
        grep -qx 2 out && exit 9
        {open}
        wait $client || exit 8
        kill $listener; cat out err
        "#,
        until = until_open(7701),
        open = open(7701),
    );
    let done = pod().job(&script);
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.said.contains("\n1\n2\n"), "{}", done.said);
}

#[test]
fn standard_error_stays_apart_and_the_exit_code_is_buildahs() {
    let done = pod().job(&format!(
        "cat >Containerfile <<'END'\nFROM {BASE}\nRUN echo to-out; echo to-err >&2; {taken}; {taken} >&2; exit 7\nEND\n\
         buildah build --no-cache . >out 2>err; echo \"code $?\"; \
         grep -c '^to-out$' out; grep -c '^to-err$' err; grep -c '^to-err$' out; buildah inspect nothing 2>/dev/null; echo \"code $?\"",
        taken = support::taken!()
    ));
    assert_eq!(done.said, "code 7\n1\n1\n0\ncode 125\n");
}

#[test]
fn much_output_is_complete_and_a_slow_reader_holds_only_itself() {
    let done = pod().job(&format!(
        "cat >Containerfile <<'END'\nFROM {BASE}\nRUN seq 1 2000000; {taken}\nEND\n\
         buildah build --no-cache . | (sleep 1; grep -cE '^[0-9]+$')",
        taken = support::taken!()
    ));
    assert_eq!(done.said.lines().next(), Some("2000000"), "{}", done.said);
}

#[test]
fn a_containerfile_and_a_password_come_by_standard_input() {
    let done = pod().job(&format!(
        "buildah build --no-cache --file - . <<'END' &&\nFROM {BASE}\nRUN echo by-in\"\"put; {taken}\nEND\n\
         printf 'FROM {BASE}\\nLABEL a=b\\n' | docker build --quiet --file - . && \
         printf 'secret' | buildah login --username me --password-stdin 127.0.0.1:5000 && buildah login --get-login 127.0.0.1:5000 && buildah logout 127.0.0.1:5000",
        taken = support::taken!()
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.said.contains("\nby-input\n"), "{}", done.said);
    assert!(done.said.contains("\nme\n"), "{}", done.said);
}

/// Starts a build that sleeps, does something to its client, and gives what the job then said.
fn sleeping(seconds: u32, then: &str) -> support::Done {
    pod().job(&format!(
        r#"
        printf 'FROM {BASE}\nRUN echo sl""eeping; exec sleep {seconds}\n' >Containerfile
        buildah build --no-cache . >out 2>&1 & client=$!
        until grep -q sleeping out; do sleep 0.05; done
        {then}
        wait $client; echo "code $?"; cat out
        "#
    ))
}

fn assert_gone(seconds: u32) {
    let mark = format!("sleep {seconds}");
    eventually("the RUN step to be gone", || {
        let running =
            pod().builder("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done");
        assert!(running.said.contains("serve-builds"), "{}", running.said);
        (!running.said.contains(&mark)).then_some(())
    });
}

#[test]
fn a_signal_to_the_client_ends_its_build() {
    for (signal, code, seconds) in [("INT", 130, 86381), ("TERM", 143, 86382)] {
        let done = sleeping(seconds, &format!("kill -{signal} $client"));
        let first = format!("code {code}\n");
        assert!(done.said.starts_with(&first), "{}", done.said);
        assert_gone(seconds);
    }
}

#[test]
fn a_client_that_vanishes_takes_its_build_along() {
    let done = sleeping(86383, "kill -KILL $client");
    assert!(done.said.starts_with("code 137\n"), "{}", done.said);
    assert_gone(86383);
}

#[test]
fn builds_beyond_the_limit_wait_say_so_and_end_by_a_signal() {
    let pod = Pod::start(&["SUPERVISOR_BUILDER__PARALLEL=1"], r#"{"auths":{}}"#);
    let script = format!(
        r#"
        mkdir a b
        printf 'FROM {BASE}\nRUN ["bash", "-c", "echo $((1)); {until}"]\n' >a/Containerfile
        printf 'FROM {BASE}\nRUN true\n' >b/Containerfile
        buildah build --no-cache a >a.out 2>&1 & a=$!
        until grep -qx 1 a.out; do sleep 0.05; done
        buildah build --no-cache b >b.out 2>&1 & b=$!
        until grep -q '^builder: waiting for one of 1 operations that run already$' b.out; do sleep 0.05; done
        buildah version >/dev/null || exit 9
        grep -q STEP b.out && exit 8
        buildah build --no-cache b >c.out 2>&1 & c=$!
        until grep -q '^builder: waiting' c.out; do sleep 0.05; done
        kill -INT $c; (sleep 20; kill -KILL $c) 2>/dev/null & guard=$!
        wait $c; [ $? = 130 ] || exit 7
        kill $guard; grep -q STEP c.out && exit 6
        {open}
        wait $a && wait $b && kill $listener && grep STEP b.out
        "#,
        until = until_open(7702),
        open = open(7702),
    );
    let done = pod.job(&script);
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.said.contains("STEP 1/2"), "{}", done.said);
}

#[test]
fn a_terminal_has_its_size_and_follows_it() {
    let script = format!(
        r#"
        mkdir -p ../terminal; cd ../terminal
        cat >Containerfile <<'END'
FROM {BASE}
RUN ["bash", "-c", "{until}; echo $((3)); {taken}"]
END
        script -qec 'stty rows 33 cols 77; (until [ -e resize ]; do sleep 0.05; done; stty -F /dev/tty rows 44 cols 88) & buildah build --no-cache .' /dev/null; code=$?
        rm -r ../terminal; exit $code
        "#,
        until = until_open(7703),
        taken = support::taken!(),
    );
    let job = std::thread::spawn(move || pod().job(&script));
    let sizes =
        || pod().builder("for t in /dev/pts/[0-9]*; do stty -F $t size; done 2>/dev/null; true");
    let has = |size: &str| sizes().said.lines().any(|line| line == size).then_some(());
    eventually("the terminal", || has("33 77"));
    assert_eq!(pod().job("touch ../terminal/resize").code, 0);
    eventually("its new size", || has("44 88"));
    let released = pod().job(&format!(
        "{}; until [ ! -e ../terminal ]; do sleep 0.05; done; kill $listener",
        open(7703)
    ));
    drop(released);
    let done = job.join().unwrap();
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.said.contains("\n3\r\n"), "{}", done.said);
}

/// A listener of the job's own takes the client's greeting down: of the environment only what the command line is about.
#[test]
fn sends_only_variables_that_the_command_line_names() {
    let done = pod().job(
        r#"
        cat >listen.js <<'END'
require('net').createServer(socket => {
    let all = '';
    socket.on('data', data => { all += data; if (all.includes('"terminal"')) { console.log(all.slice(5)); process.exit(); } });
}).listen('s');
END
        node listen.js & listener=$!
        until [ -S s ]; do sleep 0.05; done
        export NAMED=given DEPLOY_TOKEN=hidden no_proxy=localhost BUILDER_SOCKET=$PWD/s
        echo FROM scratch >Containerfile; buildah build --build-arg NAMED . ; wait $listener
        "#,
    );
    let greeting = done
        .said
        .lines()
        .find(|line| line.contains("\"arguments\""));
    let greeting = greeting.unwrap_or_else(|| panic!("{}", done.said));
    assert!(greeting.contains(r#""NAMED":"given""#), "{greeting}");
    assert!(greeting.contains(r#""no_proxy":"localhost""#), "{greeting}");
    assert!(
        !greeting.contains("DEPLOY_TOKEN") && !greeting.contains("\"PATH\""),
        "{greeting}"
    );
}

#[test]
fn a_signal_to_one_build_leaves_the_others_alone() {
    let script = format!(
        r#"
        mkdir a b
        printf 'FROM {BASE}\nRUN ["bash", "-c", "echo $((1)); {until}"]\n' >a/Containerfile
        printf 'FROM {BASE}\nRUN echo $((1)); exec sleep 86385\n' >b/Containerfile
        buildah build --no-cache a >a.out 2>&1 & a=$!
        until grep -qx 1 a.out; do sleep 0.05; done
        for i in 1 2 3; do
            buildah build --no-cache b >b.out 2>&1 & b=$!
            until grep -qx 1 b.out; do sleep 0.05; done
            kill -INT $b; wait $b; echo "code $?"
        done
        {open}
        wait $a && kill $listener; cat a.out
        "#,
        until = until_open(7704),
        open = open(7704),
    );
    let done = pod().job(&script);
    assert!(
        done.said.starts_with("code 130\ncode 130\ncode 130\n"),
        "{}",
        done.said
    );
    assert!(done.said.contains("\nCOMMIT\n"), "{}", done.said);
}
