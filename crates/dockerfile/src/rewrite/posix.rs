//! The shell of a SHELL, and which ones take commands of POSIX.

use super::super::lexer::Instruction;

const SHELLS: [&str; 7] = ["sh", "bash", "ash", "dash", "ksh", "zsh", "busybox"];

/// Reads SHELL. Only an array is a shell.
pub(super) fn shell(instruction: &Instruction) -> Option<Vec<String>> {
    serde_json::from_str(&instruction.rest).ok()
}

/// Whether a shell takes commands of POSIX: its program, or the one that it starts, as in `conda run -n NAME bash -c`.
pub(super) fn is_posix(shell: &[String]) -> bool {
    let is_shell = |program: &String| {
        let name = program.rsplit('/').next();
        name.is_some_and(|name| SHELLS.contains(&name))
    };
    let is_option = |word: &&String| word.starts_with('-') || *word == "pipefail";
    let started = shell.iter().rev().find(|word| !is_option(word));
    let programs = [shell.first(), started];
    let takes_command = shell.last().is_some_and(|last| last.ends_with('c'));
    takes_command && programs.into_iter().flatten().any(is_shell)
}

#[test]
fn a_shell_may_be_started_by_another_program() {
    for (shell, wanted) in [
        ("/bin/sh -c", true),
        ("/bin/bash -o pipefail -c", true),
        ("bash --rcfile x -ec", true),
        ("/usr/bin/env bash -c", true),
        ("conda run -n name /bin/bash -c", true),
        ("pwsh -c", false),
        ("python -c", false),
        ("bash", false),
        ("", false),
    ] {
        let words: Vec<String> = shell.split_whitespace().map(str::to_owned).collect();
        assert_eq!(is_posix(&words), wanted, "{shell}");
    }
}
