//! Which shells take commands of POSIX.

/// Whether a shell takes commands of POSIX.
pub(super) fn is_posix(shell: &[String]) -> bool {
    let program = shell.first().map_or("sh", String::as_str);
    let program = program.rsplit('/').next().unwrap_or(program);
    let posix = ["sh", "bash", "ash", "dash", "ksh", "zsh", "busybox"].contains(&program);
    posix && shell.last().is_some_and(|last| last.ends_with('c'))
}
