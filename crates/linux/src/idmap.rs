//! Id maps of user namespaces: `/etc/subuid`, `/proc/PID/uid_map`, `newuidmap`.
//!
//! Sources: user_namespaces(7), subuid(5), newuidmap(1).

use std::path::PathBuf;
use std::process::{Command, Output};

use nix::unistd::{Pid, getuid};

use super::passwd;

use super::process::{self, Identity};

/// The type of an id: users and groups have their own maps, files and helpers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    /// User ids.
    User,
    /// Group ids.
    Group,
}

impl IdType {
    /// Returns the file with the subordinate ranges, subuid(5) or subgid(5).
    #[must_use]
    pub fn subordinate_file(self) -> &'static str {
        match self {
            Self::User => "/etc/subuid",
            Self::Group => "/etc/subgid",
        }
    }

    /// Returns the program that writes a map on behalf of an unprivileged user, newuidmap(1) or newgidmap(1).
    #[must_use]
    pub fn helper(self) -> &'static str {
        match self {
            Self::User => "newuidmap",
            Self::Group => "newgidmap",
        }
    }

    /// Returns the path of the map of process `pid`, which is a number or `self`.
    #[must_use]
    pub fn map_file(self, pid: &str) -> PathBuf {
        let name = match self {
            Self::User => "uid_map",
            Self::Group => "gid_map",
        };
        PathBuf::from(format!("/proc/{pid}/{name}"))
    }
}

/// A range of `count` consecutive ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first id.
    pub start: u32,
    /// The number of ids.
    pub count: u32,
}

impl IdRange {
    /// Returns whether all ids of `self` lie in `other`.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        let end = |range: Self| u64::from(range.start) + u64::from(range.count);
        self.start >= other.start && end(self) <= end(other)
    }
}

/// One line of a map: `count` ids that are `inside` in the namespace and `outside` in its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMapping {
    /// The first id in the namespace.
    pub inside: u32,
    /// The first id in the parent namespace.
    pub outside: u32,
    /// The number of ids.
    pub count: u32,
}

/// The reason why an id map could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The file with the subordinate ranges cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The error of the kernel.
        source: std::io::Error,
    },
    /// The map could not be written.
    #[error("cannot map ids with {program}: {problem}")]
    Write {
        /// The helper, or the path of the map if it is written directly.
        program: String,
        /// The error of the kernel, or what the helper wrote to stderr.
        problem: String,
    },
}

/// Returns the ranges that `text` in the form of subuid(5) grants to a user, by `name` or by numeric `id`.
///
/// Ignores malformed lines, as `newuidmap` does.
#[must_use]
pub fn subordinate_ranges(text: &str, name: Option<&str>, id: u32) -> Vec<IdRange> {
    let number = id.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let range = IdRange {
                start: fields.next()?.parse().ok()?,
                count: fields.next()?.parse().ok()?,
            };
            let matches = Some(owner) == name || owner == number;
            (matches && fields.next().is_none() && range.count > 0).then_some(range)
        })
        .collect()
}

/// Parses a `uid_map` or `gid_map`. Ignores malformed lines.
#[must_use]
pub fn parse_map(text: &str) -> Vec<IdMapping> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            Some(IdMapping {
                inside: numbers.next()?.ok()?,
                outside: numbers.next()?.ok()?,
                count: numbers.next()?.ok()?,
            })
        })
        .collect()
}

/// Returns the map in which `id` is root and the ranges are the ids after it.
#[must_use]
fn build_map(id: u32, ranges: &[IdRange]) -> Vec<IdMapping> {
    let mut lines = vec![IdMapping {
        inside: 0,
        outside: id,
        count: 1,
    }];
    let mut inside = 1;
    for range in ranges {
        lines.push(IdMapping {
            inside,
            outside: range.start,
            count: range.count,
        });
        inside += range.count;
    }
    lines
}

/// A uid that no range assigns: it lies between the container ranges and the kernel's (systemd, UIDS-GIDS.md).
const RESERVED_UID: u32 = 1_900_000_000;

/// Returns an id of this process's map `current` that the map `planned` does not contain, so that no process in it can
/// have that id.
///
/// Prefers 1,900,000,000, which no range assigns. Falls back to 0 only if that id is not in `current`.
#[must_use]
pub fn unmapped_id(current: &[IdMapping], planned: &[IdMapping]) -> Option<u32> {
    let has = |first: u32, count: u32, id: u32| id >= first && id - first < count;
    let free = |id: &u32| {
        current.iter().any(|line| has(line.inside, line.count, *id))
            && !planned
                .iter()
                .any(|line| has(line.outside, line.count, *id))
    };
    [RESERVED_UID, 0].into_iter().find(free)
}

/// Returns the map of a new namespace for the user with the current file system uid: itself as root, then its
/// subordinate ids.
///
/// Root of a namespace without entries in `/etc/subuid` keeps all ids that it has.
///
/// # Errors
/// [`MapError::Read`] if the file with the ranges exists and cannot be read.
pub fn wanted_map(kind: IdType) -> Result<Vec<IdMapping>, MapError> {
    let path = PathBuf::from(kind.subordinate_file());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(MapError::Read { path, source }),
    };
    let Identity { uid, gid } = Identity::filesystem();
    let name = passwd::user(uid).map(|user| user.name);
    let ranges = subordinate_ranges(&text, name.as_deref(), uid);
    let id = match kind {
        IdType::User => uid,
        IdType::Group => gid,
    };
    if uid == 0 && ranges.is_empty() {
        let current = std::fs::read_to_string(kind.map_file("self")).unwrap_or_default();
        let identity = parse_map(&current).into_iter().map(|line| IdMapping {
            outside: line.inside,
            ..line
        });
        return Ok(identity.collect());
    }
    Ok(build_map(id, &ranges))
}

/// Runs a command to its end.
type Run<'a> = &'a (dyn Fn(&mut Command) -> std::io::Result<Output> + Sync);

/// Writes both maps of process `pid`: directly if this process has the right to, and through the helpers otherwise.
///
/// # Errors
/// [`MapError`] with the message of the helper or the kernel.
pub(crate) fn write_maps(pid: Pid) -> Result<(), MapError> {
    write_map(pid, IdType::User, &Command::output)?;
    write_map(pid, IdType::Group, &Command::output)
}

/// Writes both maps with both helpers at once. `run` runs them, for a process that reaps its children in one place.
///
/// # Errors
/// [`MapError`] with the message of the helper or the kernel.
pub fn write_maps_with(pid: Pid, run: Run<'_>) -> Result<(), MapError> {
    let both = |kind| write_map(pid, kind, run);
    if !needs_helper() {
        return both(IdType::User).and_then(|()| both(IdType::Group));
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || both(IdType::Group));
        both(IdType::User)?;
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            // The thread could not be started.
            _ => both(IdType::Group),
        }
    })
}

fn needs_helper() -> bool {
    !(getuid().is_root() || process::is_mapper())
}

fn write_map(pid: Pid, kind: IdType, run: Run<'_>) -> Result<(), MapError> {
    let lines = wanted_map(kind)?;
    if !needs_helper() {
        write_directly(pid, kind, &lines)
    } else {
        write_by_helper(pid, kind, &lines, run)
    }
}

fn write_directly(pid: Pid, kind: IdType, lines: &[IdMapping]) -> Result<(), MapError> {
    let path = kind.map_file(&pid.to_string());
    let text: String = lines
        .iter()
        .map(|line| format!("{} {} {}\n", line.inside, line.outside, line.count))
        .collect();
    process::with_effective_ids(|| std::fs::write(&path, text)).map_err(|error| MapError::Write {
        program: path.display().to_string(),
        problem: error.to_string(),
    })
}

fn write_by_helper(
    pid: Pid,
    kind: IdType,
    lines: &[IdMapping],
    run: Run<'_>,
) -> Result<(), MapError> {
    let failed = |problem: String| MapError::Write {
        program: kind.helper().to_owned(),
        problem,
    };
    let mut command = Command::new(kind.helper());
    command.arg(pid.to_string());
    for line in lines {
        for number in [line.inside, line.outside, line.count] {
            command.arg(number.to_string());
        }
    }
    let output = run(&mut command).map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(failed(stderr.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBUID: &str =
        "root:1:5\nrunner:1:999\n# comment\nrunner:bad:1\n1000:1001:64535\nrunner:7:0\n";

    #[test]
    fn subordinate_ranges_match_name_and_uid() {
        let ranges = subordinate_ranges(SUBUID, Some("runner"), 1000);
        let expected = [
            IdRange {
                start: 1,
                count: 999,
            },
            IdRange {
                start: 1001,
                count: 64535,
            },
        ];
        assert_eq!(ranges, expected);
        assert_eq!(subordinate_ranges(SUBUID, None, 1000).len(), 1);
    }

    #[test]
    fn build_map_puts_the_user_first_and_its_ranges_after() {
        let lines = build_map(
            1000,
            &[
                IdRange {
                    start: 1,
                    count: 999,
                },
                IdRange {
                    start: 1001,
                    count: 9,
                },
            ],
        );
        let numbers: Vec<_> = lines
            .iter()
            .map(|l| (l.inside, l.outside, l.count))
            .collect();
        assert_eq!(numbers, [(0, 1000, 1), (1, 1, 999), (1000, 1001, 9)]);
    }

    #[test]
    fn unmapped_id_is_outside_the_planned_map() {
        let line = |inside, outside, count| IdMapping {
            inside,
            outside,
            count,
        };
        let planned = [line(0, 1000, 1), line(1, 1, 999), line(1000, 1001, 64535)];
        let node = [line(0, 0, u32::MAX)];
        assert_eq!(unmapped_id(&node, &planned), Some(RESERVED_UID));
        assert_eq!(unmapped_id(&[line(0, 100_000, 65536)], &planned), Some(0));
        assert_eq!(
            unmapped_id(&[line(0, 5, 65536)], &[line(0, 0, 65536)]),
            None
        );
        assert_eq!(unmapped_id(&node, &node), None);
    }

    #[test]
    fn parse_map_reads_the_kernels_format() {
        let lines = parse_map("         0          0 4294967295\n");
        assert_eq!(
            lines,
            [IdMapping {
                inside: 0,
                outside: 0,
                count: u32::MAX
            }]
        );
    }

    #[test]
    fn within_compares_both_ends_of_a_range() {
        let pod = IdRange {
            start: 0,
            count: 65536,
        };
        assert!(
            IdRange {
                start: 1001,
                count: 64535
            }
            .within(pod)
        );
        assert!(
            !IdRange {
                start: 100_000,
                count: 65536
            }
            .within(pod)
        );
    }
}
