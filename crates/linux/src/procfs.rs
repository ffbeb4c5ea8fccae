//! Processes as procfs shows them, proc(5).

use std::io;

/// A process, as `/proc/PID/stat` describes it, proc_pid_stat(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The process id.
    pub pid: i32,
    /// The process id of the parent; 0 if the parent is outside of the PID namespace.
    pub parent: i32,
    /// The command name: at most 15 bytes, with any character in it.
    pub name: String,
    /// True if the process has ended and is not reaped yet.
    pub zombie: bool,
}

/// Returns the ids of all processes in the PID namespace of `/proc`.
///
/// A process that forks while the list is read may be missing, and one in the list may have ended.
///
/// # Errors
/// As opendir(3) on `/proc`.
pub fn pids() -> io::Result<impl Iterator<Item = i32>> {
    let entries = std::fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Returns what `/proc/PID/stat` says; `None` if the process has ended or `/proc` cannot be read.
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&bytes))
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (pid, name, mut fields) = split_stat(text)?;
    let state = fields.next()?;
    Some(Stat {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        name: name.to_owned(),
        zombie: state == "Z",
    })
}

/// Splits `/proc/PID/stat` into the pid, the name and the fields from the third one on.
///
/// The name stands in parentheses and may contain blanks and parentheses.
pub(crate) fn split_stat(text: &str) -> Option<(&str, &str, impl Iterator<Item = &str>)> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    Some((pid, name, rest.split_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_reads_a_name_with_parentheses_and_blanks() {
        let read = parse_stat("42 (a) R (b) Z 7 42 42 0 -1").unwrap();
        let expected = Stat {
            pid: 42,
            parent: 7,
            name: "a) R (b".to_owned(),
            zombie: true,
        };
        assert_eq!(read, expected);
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn pids_contains_this_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(pids().unwrap().any(|pid| pid == own));
        let parent = nix::unistd::getppid().as_raw();
        assert_eq!(stat(own).map(|stat| stat.parent), Some(parent));
    }
}
