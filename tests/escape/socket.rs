//! What a hostile client says, and who may say anything.

use crate::{alone, assert_it_still_serves, pod};

/// A client of our own, in the runner's Node: `socket` is connected, `say(kind, payload)` sends a frame.
fn client(script: &str) -> support::Done {
    client_in(&pod(), script)
}

fn client_in(pod: &support::Pod, script: &str) -> support::Done {
    let script = format!(
        "cat >client.js <<'END'\nconst net = require('net');\n\
         const say = (socket, kind, payload) => {{ const head = Buffer.alloc(5); head[0] = kind; head.writeUInt32BE(payload.length, 1); socket.write(Buffer.concat([head, payload])); }};\n\
         const hello = args => Buffer.from(JSON.stringify({{version: [1, 0], arguments: args, directory: '/workspace/work', environment: {{}}}}));\n\
         const open = () => {{ const socket = net.connect('/run/builder/socket'); socket.on('error', () => {{}}); return socket; }};\n\
         {script}\nEND\nnode client.js"
    );
    pod.job(&script)
}

#[test]
fn a_process_of_the_builders_own_container() {
    let done = pod().builder(
        "exec -a buildah /proc/1/exe version 2>&1 || (exec -a buildah supervisor version)",
    );
    assert_ne!(done.code, 0, "{}", done.said);
    assert!(!done.said.contains("Go Version"), "{}", done.said);
}

#[test]
fn another_user_of_the_runners_container() {
    let output = support::podman(&[
        "exec",
        "--user",
        "1001:1001",
        &pod().name(),
        "buildah",
        "version",
    ]);
    assert!(!output.status.success());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("Go Version"));
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
        "for (let i = 0; i < 8; i++) open().end(require('crypto').randomBytes(100000)); setTimeout(() => process.exit(), 300);",
    );
    assert_eq!(done.code, 0, "{}", done.said);
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
        "const all = []; for (let i = 0; i < 100; i++) all.push(open()); setTimeout(() => process.exit(), 500);",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    support::wait_for("the builder to be free again", || {
        (pod.job("buildah version").code == 0).then_some(())
    });
}

#[test]
fn a_greeting_in_drops_does_not_hold_others() {
    let done = client(
        "const s = open(); s.write(Buffer.from([1])); setTimeout(() => s.write(Buffer.from([0])), 100); require('child_process').execFileSync('buildah', ['version']); process.exit();",
    );
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn a_half_closed_client_ends_its_build() {
    let done = client(
        "const s = net.connect({path: '/run/builder/socket', allowHalfOpen: true}); say(s, 1, hello(['version'])); s.end(); s.on('data', () => {}); s.on('close', () => process.exit());",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    assert_it_still_serves();
}

#[test]
fn a_client_that_reads_nothing_holds_no_other() {
    let done = client(
        "const s = open(); s.pause(); say(s, 1, hello(['build', '--help'])); require('child_process').execFileSync('buildah', ['version']); process.exit();",
    );
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn input_that_nobody_asked_for_costs_no_memory() {
    let done = client(
        "const s = open(); say(s, 1, hello(['login', '--username', 'x', '--password-stdin', '127.0.0.1:5000'])); for (let i = 0; i < 100; i++) say(s, 2, Buffer.alloc(65536)); s.on('close', () => process.exit()); s.resume();",
    );
    assert_eq!(done.code, 0, "{}", done.said);
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
