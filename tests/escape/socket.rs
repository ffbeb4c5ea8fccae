//! Messages of a hostile client, and the users that may connect.

use crate::{BASE, alone, assert_it_still_serves, pod};

/// A client of our own, in the runner's Node: `socket` is connected, `say(kind, payload)` sends a frame.
fn client(script: &str) -> support::Done {
    client_in(&pod(), script)
}

fn client_in(pod: &support::Pod, script: &str) -> support::Done {
    let script = format!(
        "cat >client.js <<'END'\nconst net = require('net');\n\
         const say = (socket, kind, payload) => {{ const head = Buffer.alloc(5); head[0] = kind; head.writeUInt32BE(payload.length, 1); socket.write(Buffer.concat([head, payload])); }};\n\
         const hello = args => Buffer.from(JSON.stringify({{version: [1, 0], arguments: args, directory: process.cwd(), environment: {{}}}}));\n\
         const open = () => {{ const socket = net.connect('/run/builder/socket'); socket.on('error', () => {{}}); return socket; }};\n\
         {script}\nEND\nnode client.js"
    );
    pod.job(&script)
}

/// It was not let in, without a word.
fn assert_gone(done: &support::Done) {
    assert_eq!(done.code, 74, "{}", done.said);
    let said = "the builder closed the connection early";
    assert!(done.said.contains(said), "{}", done.said);
    assert!(!done.said.contains("Go Version"), "{}", done.said);
}

#[test]
fn a_process_of_the_builders_own_container() {
    let done = pod().builder("exec -a buildah supervisor version");
    // The very user that clients have, but in the builder's PID namespace.
    assert_gone(&done);
    assert_it_still_serves();
}

#[test]
fn another_user_of_the_runners_container() {
    let pod = pod();
    let name = pod.name();
    let called = |user: &str| {
        let output = support::podman(&["exec", "--user", user, &name, "buildah", "version"]);
        support::Done {
            code: output.status.code().unwrap(),
            said: String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
        }
    };
    for user in ["1001:1001", "0:0"] {
        let done = called(user);
        assert_eq!(done.code, 74, "{}", done.said);
        let said = "cannot connect to the builder at /run/builder/socket: Permission denied";
        assert!(done.said.contains(said), "{}", done.said);
    }
    let done = called("1000:1000");
    assert!(done.said.contains("Go Version"), "{}", done.said);
}

#[test]
fn a_user_that_forges_itself_in_a_namespace() {
    let done =
        pod().job("unshare --user --map-user 0 buildah version; unshare --user buildah version");
    // Whoever it said it was, the kernel would tell who it is outside; but it does not get that far.
    assert_ne!(done.code, 0, "{}", done.said);
    assert_eq!(
        done.said
            .matches("unshare failed: Operation not permitted")
            .count(),
        2,
        "{}",
        done.said
    );
    assert_it_still_serves();
}

#[test]
fn garbage() {
    let done = client(
        "let left = 8; for (let i = 0; i < 8; i++) { const s = open(); s.on('data', d => process.stdout.write(d)); s.on('close', () => --left || process.exit()); const b = require('crypto').randomBytes(100000); b[0] = 99 + i; s.end(b); }",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    // Whose end comes back first, theirs or ours, is chance.
    assert!(done.said.contains("no frame has number"), "{}", done.said);
    assert_it_still_serves();
}

#[test]
fn a_frame_of_four_gigabytes() {
    let done = client(
        "const s = open(); s.write(Buffer.from([1, 255, 255, 255, 255])); s.on('data', d => process.stdout.write(d)); s.on('close', () => process.exit());",
    );
    assert!(done.said.contains("too many"), "{}", done.said);
    assert_it_still_serves();
}

#[test]
fn another_version() {
    let done = client(
        "const s = open(); say(s, 1, Buffer.from('{\"version\":[2,0]}')); s.on('data', d => process.stdout.write(d)); s.on('close', () => process.exit());",
    );
    assert!(
        done.said.contains("version 2.0") && done.said.contains("one release"),
        "{}",
        done.said
    );
}

#[test]
fn a_hundred_clients_that_say_nothing() {
    let (pod, _alone) = alone();
    let done = client_in(
        &pod,
        "let closed = 0; for (let i = 0; i < 100; i++) open().on('close', () => { if (++closed == 36) { console.log('so many are refused'); process.exit(); } });",
    );
    assert_eq!(done.said, "so many are refused\n");
    test_support::eventually("the builder to be free again", || {
        (pod.job("buildah version").code == 0).then_some(())
    });
}

#[test]
fn a_greeting_in_drops_does_not_hold_others() {
    let done = client(
        "const s = open(); s.on('close', () => console.log('closed')); s.write(Buffer.from([1])); setTimeout(() => { s.write(Buffer.from([0])); console.log(String(require('child_process').execFileSync('buildah', ['version'])), s.readyState); process.exit(); }, 100);",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(
        done.said.contains("Go Version") && done.said.contains(" open\n"),
        "{}",
        done.said
    );
}

#[test]
fn a_half_closed_client_ends_its_build() {
    let done = client(&format!(
        "require('fs').writeFileSync('Containerfile', 'FROM {BASE}\\nRUN echo sleep\"\"ing; exec sleep 86392\\n'); \
         const s = net.connect({{path: '/run/builder/socket', allowHalfOpen: true}}); say(s, 1, hello(['build', '--no-cache', '.'])); \
         let all = ''; s.on('data', d => {{ all += d; if (all.includes('sleeping')) s.end(); }}); s.on('close', () => {{ console.log('closed'); process.exit(); }});"
    ));
    assert_eq!(done.said, "closed\n");
    let left = pod().builder("cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    assert!(
        left.said.contains("serve-builds") && !left.said.contains("86392"),
        "{}",
        left.said
    );
    assert_it_still_serves();
}

#[test]
fn a_client_that_reads_nothing_holds_no_other() {
    let done = client(&format!(
        "require('fs').writeFileSync('Containerfile', 'FROM {BASE}\\nRUN yes\\n'); \
         const s = open(); say(s, 1, hello(['build', '--no-cache', '.'])); \
         s.once('data', () => {{ s.pause(); console.log(String(require('child_process').execFileSync('buildah', ['version'])), s.readyState); process.exit(); }});"
    ));
    assert!(
        done.said.contains("Go Version") && done.said.ends_with(" open\n"),
        "{}",
        done.said
    );
}

#[test]
fn input_that_nobody_asked_for_costs_no_memory() {
    let done = client(
        "const s = open(); say(s, 1, hello(['login', '--username', 'x', '--password-stdin', '127.0.0.1:5000'])); for (let i = 0; i < 1600; i++) say(s, 2, Buffer.alloc(65536)); s.on('close', () => { console.log('closed'); process.exit(); }); s.resume();",
    );
    assert_eq!(done.said, "closed\n");
    let most = pod().builder("sed -n 's/^VmHWM: *//p' /proc/1/status");
    let most: u64 = most
        .said
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(most < 65_536, "PID 1 had {most} KiB");
    assert_it_still_serves();
}

/// Small on the wire, and thirty times as much in memory.
#[test]
fn a_greeting_of_a_million_arguments() {
    let done = client(
        "const s = open(); say(s, 1, hello(Array(1e6).fill(''))); s.on('data', d => process.stdout.write(d)); s.on('close', () => process.exit());",
    );
    assert!(
        done.said.contains("more than 16384 arguments"),
        "{}",
        done.said
    );
    assert_it_still_serves();
}

#[test]
fn signals_that_are_not_a_clients_to_send() {
    let done = client(
        "const s = open(); say(s, 1, hello(['version'])); for (const n of [0, 9, 19, 64, 200, 255]) say(s, 4, Buffer.from([n])); say(s, 4, Buffer.alloc(0)); let out = ''; s.on('data', d => out += d); s.on('close', () => { console.log(out.includes('Go Version') ? 'served' : 'not served: ' + out); process.exit(); });",
    );
    assert!(
        done.said.contains("served") && !done.said.contains("not served"),
        "{}",
        done.said
    );
}
