//! Programs of the image, and staged secrets.

use crate::rows::{assert_all, row};
use crate::state::{State, good};
use crate::token::token;

/// Puts a program at this path that runs these shell commands.
fn program(path: &str, says: &str) -> State {
    good().setup(&format!(
        "printf '#!/bin/sh\\n{says}\\n' >{path}; chmod 0755 {path}"
    ))
}

/// Changes a program's header to another machine type, elf(5) `e_machine`.
fn foreign(path: &str) -> State {
    good().setup(&format!(
        "printf '\\x16' | dd of={path} bs=1 seek=18 conv=notrunc status=none"
    ))
}

#[test]
fn doctor_finds_faults_of_programs() {
    let (runner, buildah) = ("tools.runner", "tools.buildah");
    let local = ["--flavor", "local"];
    assert_all([
        row("no act", good().setup("rm /usr/local/bin/act"))
            .with(&local)
            .finds(runner, "fail missing", "SUPERVISOR_FLAVOR=exec"),
        row("act", good()).with(&local).finds(runner, "ok", ""),
        row("act of another machine", foreign("/usr/local/bin/act"))
            .with(&local)
            .finds(runner, "fail foreign", "Use act for "),
        row("no runner of GitHub's", good())
            .with(&["--flavor", "github"])
            .finds(runner, "fail missing", "SUPERVISOR_FLAVOR=exec"),
        row("no buildah", good().setup("rm /usr/bin/buildah"))
            .finds(
                buildah,
                "fail missing",
                "install --yes --no-install-recommends buildah",
            )
            .finds("storage.build", "skipped", ""),
        row(
            "buildah that does not run",
            program("/usr/bin/buildah", "exit 3"),
        )
        .finds(buildah, "fail broken", "ldd /usr/bin/buildah"),
        row("buildah of another machine", foreign("/usr/bin/buildah")).finds(
            buildah,
            "fail foreign",
            "Use buildah for ",
        ),
        row(
            "an old buildah",
            program("/usr/bin/buildah", "echo buildah version 1.28.2"),
        )
        .finds(buildah, "warn old", "debian:trixie"),
        row("crun that does not run", program("/usr/bin/crun", "exit 1")).finds(
            "tools.runtime",
            "warn broken",
            "--reinstall crun",
        ),
        row("no runtime", good().setup("rm /usr/bin/crun")).finds("tools.runtime", "ok", ""),
        row("git that does not run", program("/usr/bin/git", "exit 1")).finds(
            "tools.git",
            "fail broken",
            "ldd /usr/bin/git",
        ),
        row("git of another machine", foreign("/usr/bin/git")).finds(
            "tools.git",
            "fail foreign",
            "Use git for ",
        ),
        row(
            "buildah that only prints its version",
            program(
                "/usr/bin/buildah",
                "[ $1 = --version ] && echo buildah version 1.39.3",
            ),
        )
        .finds("storage.build", "fail failed", "supervisor doctor --json"),
        row("no git", good().setup("rm /usr/bin/git")).finds("tools.git", "warn missing", "git"),
    ]);
}

#[test]
fn doctor_finds_a_missing_token() {
    // CircleCI's program exists, but its token does not.
    let state = program("/usr/bin/circleci-runner", "exit 0");
    let state = state.flags(&["--env=SUPERVISOR_CIRCLECI__PROGRAM=/usr/bin/circleci-runner"]);
    assert_all([row("no token", state)
        .with(&["--flavor", "circleci"])
        .finds("tools.needs", "fail unfit", "docs/circleci.md")]);
}

/// A staged secret on a memory volume.
fn secret(value: &str, more: &str) -> State {
    good().setup(&format!(
        "mkdir -p /run/secrets/supervisor; mount -t tmpfs -o mode=0700 tmpfs /run/secrets/supervisor; cd /run/secrets/supervisor; \
         printf '%s' '{value}' >TOKEN; chmod 0400 TOKEN; chown -R 1000:1000 .; {more}; cd /"
    ))
}

#[test]
fn doctor_finds_faults_of_secrets() {
    let (directory, content, unlink) = ("secrets.directory", "secrets.content", "secrets.unlink");
    let required = ["--env=SUPERVISOR_SECRETS__REQUIRED=OTHER"];
    assert_all([
        row("in order", secret(&token(-3600, 3600), "true"))
            .finds(directory, "ok", "")
            .finds(content, "ok", "")
            .finds(unlink, "ok", ""),
        row(
            "the directory is root's",
            secret("x", "chown root .; chmod 0700 ."),
        )
        .finds(directory, "fail unreadable", "fsGroup: 1000")
        .finds(content, "skipped", ""),
        row("the file is root's", secret("x", "chown root TOKEN")).finds(
            content,
            "fail unreadable",
            "fsGroup: 1000",
        ),
        row("missing", secret("x", "true").flags(&required)).finds(
            directory,
            "fail missing",
            "--from-literal=OTHER=VALUE",
        ),
        row("empty", secret("", "true")).finds(content, "fail empty", "--from-literal=TOKEN=VALUE"),
        row("expired", secret(&token(-3600, -60), "true")).finds(
            content,
            "warn expired-other",
            "--from-file=TOKEN=FILE",
        ),
        row(
            "the runner's own expired",
            secret(&token(-3600, -60), "mv TOKEN resource_class_token"),
        )
        .with(&["--flavor", "circleci"])
        .finds(
            content,
            "fail expired",
            "--from-file=resource_class_token=FILE",
        ),
        row(
            "a file of credentials with an expired token in it",
            secret(
                &format!(r#"{{"access_token":"{}"}}"#, token(-3600, -60)),
                "true",
            ),
        )
        .finds(content, "ok", ""),
        row("not yet valid", secret(&token(3600, 7200), "true")).finds(
            content,
            "warn not-yet",
            "timedatectl",
        ),
        row("open to others", secret("x", "chmod 0644 TOKEN")).finds(
            content,
            "warn mode",
            "defaultMode: 0440",
        ),
        row("not to be removed", secret("x", "chmod 0500 .")).finds(
            unlink,
            "warn stays",
            "medium: Memory",
        ),
        row("none", good()).finds(directory, "skipped", ""),
    ]);
}

#[test]
fn secrets_of_a_running_job_count_as_taken() {
    let look = "SUPERVISOR_SECRETS__REQUIRED=TOKEN supervisor doctor --flavor circleci --only secrets,tools.needs";
    let output = secret(
        "x",
        "mkdir -p /opt/circleci; cp /bin/true /opt/circleci/circleci-runner",
    )
    .flags(&["--env=SUPERVISOR_SECRETS__REQUIRED=TOKEN"])
    .run(&["run", "--flavor", "exec", "--", "bash", "-c", look]);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let taken = "already taken by the job that runs here";
    assert_eq!(text.matches(taken).count(), 2, "{text}");
}

#[test]
fn value_of_a_secret_is_never_printed() {
    let expired = token(-3600, -60);
    for format in [&["--json"][..], &[]] {
        let mut arguments = vec!["doctor", "--only", "secrets"];
        arguments.extend(format);
        let output = secret(&expired, "true").run(&arguments);
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            text.contains("expired") && !text.contains(&expired),
            "{text}"
        );
    }
}
