//! Sessions with a builder that plays its operations: the order of frames, refusals, permits and clean-up.

use nix::sys::signal::Signal;

use super::*;
use crate::fixture::{FAILED, Fixture, Frame, OUTPUT, exit};
use crate::protocol::{MAJOR, WINDOW, write};

const SIGTERM: u8 = Signal::SIGTERM as u8;
const TERMINATED: u8 = 128 + SIGTERM;

fn output() -> Frame {
    (Kind::Output, String::from_utf8(OUTPUT.to_vec()).unwrap())
}

/// Asserts that the frames are one message with `because`, and the exit code.
fn assert_refused(frames: &[Frame], because: &str, code: u8) {
    let [(Kind::Notice, text), end] = frames else {
        panic!("expected a notice and an exit code, found {frames:?}");
    };
    assert!(text.contains(because), "{text}");
    assert_eq!(*end, exit(code));
}

/// Runs a session whose client has sent `frames` and has closed its connection.
fn run_without_client(
    fixture: &Fixture,
    line: &str,
    frames: &[(Kind, &[u8])],
) -> Result<u8, OperationError> {
    let (client, server) = UnixStream::pair().unwrap();
    let connection = Arc::new(Connection::new(&server).unwrap());
    for (kind, payload) in frames {
        write(&mut &client, *kind, payload).unwrap();
    }
    drop(client);
    connection.spawn_reader(server).unwrap().join().unwrap();
    Session::new(&fixture.builder, &connection, &fixture.hello(line)).run()
}

#[test]
fn exit_code_comes_after_the_output_and_is_the_last_frame() {
    let fixture = Fixture::new();
    assert_eq!(fixture.serve("images"), [output(), exit(0)]);
    assert_eq!(fixture.serve("pull fail"), [output(), exit(FAILED)]);
    assert_eq!(
        fixture.executed(),
        ["buildah images", "buildah pull -- fail"]
    );
}

#[test]
fn refused_command_line_gets_a_reason_and_executes_nothing() {
    let fixture = Fixture::new();
    for (line, because) in [
        ("nonsense", "nonsense"),
        ("build --no-such-flag .", "--no-such-flag"),
        ("build ../outside", "outside"),
        ("push registry.example/team/app", "builder.push.allow"),
    ] {
        assert_refused(&fixture.serve(line), because, relay::REFUSED);
    }
    assert!(fixture.executed().is_empty());
}

#[test]
fn invalid_greeting_is_a_usage_error_and_executes_nothing() {
    let fixture = Fixture::new();
    let greeted = |kind, payload: &[u8]| {
        let client = fixture.connect();
        client.send(kind, payload);
        client.rest()
    };
    let other = Hello {
        version: (MAJOR + 1, 0),
        ..fixture.hello("images")
    };
    let other = serde_json::to_vec(&other).unwrap();
    let hello = serde_json::to_vec(&fixture.hello("images")).unwrap();
    for (kind, payload, because) in [
        (Kind::Hello, &b"{"[..], "not one of a build client"),
        (
            Kind::Hello,
            &other,
            "use the runner and the builder image of one release",
        ),
        (Kind::InputEnd, &hello, "expected a greeting"),
    ] {
        assert_refused(&greeted(kind, payload), because, exit::USAGE);
    }
    assert!(fixture.executed().is_empty());
}

#[test]
fn pulls_come_before_their_build() {
    let fixture = Fixture::new();
    fixture.write("Containerfile", "FROM registry.example/base\n");
    let frames = fixture.serve("build .");
    assert_eq!(frames, [output(), output(), exit(0)]);
    let executed = fixture.executed();
    assert!(executed[0].starts_with("buildah pull "), "{executed:?}");
    assert!(executed[1].starts_with("buildah build "), "{executed:?}");
    assert_eq!(executed.len(), 2);
}

#[test]
fn failed_pull_ends_the_session_with_its_code() {
    let fixture = Fixture::new();
    fixture.write("Containerfile", "FROM registry.example/fail\n");
    assert_eq!(fixture.serve("build ."), [output(), exit(FAILED)]);
    assert_eq!(fixture.executed().len(), 1);
}

#[test]
fn outputs_are_copied_only_after_success() {
    let fixture = Fixture::new();
    fixture.write("Containerfile", "FROM scratch\n");
    let id = fixture.path("workspace/id");
    let frames = fixture.serve("build --iidfile id --tag fail .");
    assert_eq!(frames.last(), Some(&exit(FAILED)));
    assert!(!id.exists());
    assert_eq!(fixture.serve("build --iidfile id .").last(), Some(&exit(0)));
    assert_eq!(std::fs::read_to_string(id).unwrap(), "written");
}

#[test]
fn output_into_a_missing_directory_is_refused_after_the_build() {
    let fixture = Fixture::new();
    fixture.write("Containerfile", "FROM scratch\n");
    let frames = fixture.serve("build --iidfile missing/id .");
    assert_eq!(frames[0], output());
    assert_refused(&frames[1..], "missing/id", relay::REFUSED);
}

#[test]
fn exported_directory_is_unpacked_by_an_operation_of_its_own() {
    let fixture = Fixture::new();
    fixture.write("Containerfile", "FROM scratch\n");
    assert_eq!(
        fixture.serve("build --output out ."),
        [output(), output(), exit(0)]
    );
    let executed = fixture.executed();
    assert!(executed[1].starts_with("tar --extract "), "{executed:?}");
    assert!(fixture.path("workspace/out").is_dir());
}

#[test]
fn no_directory_of_an_operation_is_left_after_a_session() {
    let fixture = Fixture::new();
    fixture.write("Containerfile", "FROM registry.example/base\n");
    for line in [
        "images",
        "pull fail",
        "build --output out .",
        "build --iidfile missing/id .",
    ] {
        fixture.serve(line);
        assert_eq!(fixture.operation_dirs(), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn second_build_waits_for_a_permit_and_a_listing_does_not() {
    let fixture = Fixture::new();
    let permit = fixture.builder.permits.acquire(|_| {}, || false).unwrap();
    let waiting = fixture.request("pull base");
    let (kind, text) = waiting.next().unwrap();
    assert_eq!(kind, Kind::Notice);
    assert!(text.contains("waiting for one of 1 operations"), "{text}");
    assert_eq!(fixture.serve("images"), [output(), exit(0)]);
    assert_eq!(fixture.executed(), ["buildah images"]);
    drop(permit);
    assert_eq!(waiting.rest(), [output(), exit(0)]);
}

#[test]
fn signal_ends_the_wait_for_a_permit() {
    let fixture = Fixture::new();
    let permit = fixture.builder.permits.acquire(|_| {}, || false).unwrap();
    let waiting = fixture.request("pull base");
    waiting.next().unwrap();
    waiting.send(Kind::Signal, &[SIGTERM]);
    assert_eq!(waiting.rest(), [exit(TERMINATED)]);
    drop(permit);
    assert!(fixture.executed().is_empty());
}

#[test]
fn permit_is_free_again_after_every_end() {
    let fixture = Fixture::new();
    fixture.write("Containerfile", "FROM registry.example/fail\n");
    for line in ["pull base", "pull fail", "build .", "build --iidfile a/b ."] {
        fixture.serve(line);
        let free = fixture.builder.permits.acquire(|_| {}, || true);
        assert!(free.is_some(), "{line}");
    }
}

#[test]
fn signal_before_the_operation_is_its_exit_code() {
    let fixture = Fixture::new();
    let signal: (Kind, &[u8]) = (Kind::Signal, &[SIGTERM]);
    let code = run_without_client(&fixture, "images", &[signal]).unwrap();
    assert_eq!(code, TERMINATED);
    // Errors in the command line do not matter any more.
    let code = run_without_client(&fixture, "nonsense", &[signal]).unwrap();
    assert_eq!(code, TERMINATED);
    assert!(fixture.executed().is_empty());
}

#[test]
fn operation_is_not_executed_without_its_client() {
    let fixture = Fixture::new();
    let gone = run_without_client(&fixture, "images", &[]);
    assert!(matches!(gone, Err(OperationError::ClientGone)), "{gone:?}");
    assert!(fixture.executed().is_empty() && fixture.operation_dirs().is_empty());
}

#[test]
fn input_that_the_builder_did_not_request_closes_the_connection() {
    let fixture = Fixture::new();
    let gone = run_without_client(
        &fixture,
        "images",
        &[(Kind::Input, b"x"), (Kind::Signal, &[SIGTERM])],
    );
    assert!(matches!(gone, Err(OperationError::ClientGone)), "{gone:?}");
}

#[test]
fn requests_a_containerfile_on_stdin_before_the_build() {
    let fixture = Fixture::new();
    let client = fixture.request("build --file - .");
    let (kind, wanted) = client.next().unwrap();
    assert_eq!(kind, Kind::Wanted);
    assert_eq!(wanted.as_bytes(), WINDOW.to_be_bytes());
    assert!(fixture.executed().is_empty());
    client.send(Kind::Input, b"FROM registry.example/fail\n");
    client.send(Kind::InputEnd, &[]);
    let frames = client.rest();
    assert_eq!(frames.last(), Some(&exit(FAILED)));
    assert!(fixture.executed()[0].ends_with("registry.example/fail"));
}
