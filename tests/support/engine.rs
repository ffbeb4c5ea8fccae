//! podman, with the flags that it needs on this machine.

use std::process::{Command, Output};
use std::sync::LazyLock;

use crate::root;

/// What `scripts/lib/engine.sh` finds on this machine. The scripts are its one source; a test program reads them once.
struct Engine {
    path: String,
    flags: Vec<String>,
    limit_flags: Vec<String>,
    security_flags: Vec<String>,
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let script = r#"source scripts/lib.sh; engine_options
        printf '%s\0' "$PATH" "${#ENGINE_FLAGS[@]}" "${#LIMIT_FLAGS[@]}" "${ENGINE_FLAGS[@]}" "${LIMIT_FLAGS[@]}" "${SECURITY_FLAGS[@]}""#;
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    parse(&String::from_utf8(output.stdout).unwrap())
});

/// `printed` holds PATH, the number of podman's own flags, the number of flags for limits, and all flags. A NUL ends each.
fn parse(printed: &str) -> Engine {
    let mut words = printed.split_terminator('\0').map(str::to_owned);
    let path = words.next().unwrap();
    let flags = words.next().unwrap().parse().unwrap();
    let limit_flags = words.next().unwrap().parse().unwrap();
    Engine {
        path,
        flags: words.by_ref().take(flags).collect(),
        limit_flags: words.by_ref().take(limit_flags).collect(),
        security_flags: words.collect(),
    }
}

/// Returns podman's command line up to its subcommand. It runs in the repository's root.
#[must_use]
pub fn podman_command() -> Command {
    let mut command = Command::new("podman");
    command
        .args(&ENGINE.flags)
        .env("PATH", &ENGINE.path)
        .env("LC_ALL", "C.UTF-8")
        .current_dir(root());
    command
}

/// Returns the flags of `podman run` that let a container mount file systems on this machine.
#[must_use]
pub fn security_flags() -> &'static [String] {
    &ENGINE.security_flags
}

/// Runs podman to its end.
#[must_use]
pub fn podman(arguments: &[&str]) -> Output {
    podman_command().args(arguments).output().unwrap()
}

/// Starts a container as `how` says, with what every container needs on this machine.
#[must_use]
pub fn image_with(how: &[&str], image: &str, flags: &[&str], arguments: &[&str]) -> Output {
    let mut command = podman_command();
    command
        .args(&how[..1])
        .args(&ENGINE.limit_flags)
        .args(&ENGINE.security_flags)
        .args(&how[1..])
        .args(flags)
        .arg(image)
        .args(arguments);
    // If the kernel kills a process for its memory, conmon writes a file into the working directory.
    let directory = tempfile::tempdir().unwrap();
    command.current_dir(directory.path()).output().unwrap()
}
