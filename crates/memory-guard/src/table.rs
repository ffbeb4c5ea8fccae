//! The processes of one moment, and which of them is killed. Pure functions, without allocations.

use crate::cgroup::digits;
use linux::output::is_unprintable;

/// A command name, at most 15 bytes. The job chooses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; 15],
    length: u8,
}

impl Name {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut name = Self::default();
        let length = bytes.len().min(name.bytes.len());
        name.bytes[..length].copy_from_slice(&bytes[..length]);
        name.length = u8::try_from(length).unwrap_or(0);
        name
    }

    /// The name for log and report. It moves no cursor.
    pub(crate) fn text(self) -> String {
        let bytes = &self.bytes[..usize::from(self.length)];
        let text = String::from_utf8_lossy(bytes);
        let printable = |letter: char| if is_unprintable(letter) { '?' } else { letter };
        text.chars().map(printable).collect()
    }
}

/// The step or build that a process belongs to. The guard kills within one of them.
pub(crate) type Group = u16;
/// The group of processes that are not the job's.
pub(crate) const SPARED: Group = 0;
/// The group of all processes of a job in the runner's container.
pub(crate) const JOB: Group = 1;
/// The number of groups whose memory is counted.
pub(crate) const GROUPS: usize = 128;

/// One process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// Clock ticks since boot. With the pid it identifies one process.
    pub(crate) start: u64,
    /// Memory that a kill frees.
    pub(crate) bytes: u64,
    pub(crate) name: Name,
    pub(crate) group: Group,
}

/// The parts of `/proc/PID/stat` that matter: parent, start time, name, and the resident pages as `bytes`.
pub(crate) fn parse_stat(pid: i32, text: &[u8]) -> Option<Entry> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    // The name may contain any byte, so its end is the last parenthesis.
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let name = text.get(open + 1..close)?;
    let rest = text.get(close + 2..)?.trim_ascii_end();
    // The state is field 3.
    let mut fields = rest.split(|byte| *byte == b' ').skip(1);
    let parent = digits(fields.next()?)?;
    let start = digits(fields.nth(17)?)?;
    let resident = digits(fields.nth(1)?)?;
    Some(Entry {
        pid,
        bytes: resident,
        parent: i32::try_from(parent).ok()?,
        start,
        name: Name::new(name),
        ..Entry::default()
    })
}

/// What counts as the size of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Its anonymous memory: what its end certainly frees.
    Anonymous,
    /// Shared memory too, if most of the memory is shared.
    Resident,
}

/// The anonymous pages from `/proc/PID/statm`, whose fields are: all, resident, shared.
pub(crate) fn parse_statm(text: &[u8]) -> Option<u64> {
    let mut fields = text.trim_ascii_end().split(|byte| *byte == b' ').skip(1);
    let resident = digits(fields.next()?)?;
    let shared = digits(fields.next()?)?;
    Some(resident.saturating_sub(shared))
}

fn find(entries: &[Entry], pid: i32) -> Option<usize> {
    entries.binary_search_by_key(&pid, |entry| entry.pid).ok()
}

/// Processes that are never killed: the runner, and its children down to a depth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spared {
    /// The pid of the runner, 0 before its start.
    pub runner: i32,
    /// 0: the runner is the job. 1: the runner is spared. 2: its children, the workers, are spared too.
    pub depth: u8,
}

impl Spared {
    fn holds(self, entry: &Entry) -> bool {
        let is_runner = self.depth > 0 && entry.pid == self.runner;
        is_runner || self.depth > 1 && entry.parent == self.runner
    }
}

/// Processes that were seen to be spared. A worker whose runner has ended is still the worker.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    seen: [(i32, u64); 8],
    next: usize,
}

impl Remembered {
    fn holds(&self, entry: &Entry) -> bool {
        self.seen.contains(&(entry.pid, entry.start))
    }

    fn add(&mut self, entry: &Entry) {
        if !self.holds(entry) {
            self.seen[self.next % self.seen.len()] = (entry.pid, entry.start);
            self.next += 1;
        }
    }
}

/// Marks what is below `own` as the job's, without the spared processes. `entries` are sorted by pid.
///
/// A process whose parent has ended is a child of `own`. One that entered the namespace from outside is not below it.
pub(crate) fn mark_job(entries: &mut [Entry], own: i32, spared: Spared, seen: &mut Remembered) {
    const UNKNOWN: Group = Group::MAX;
    for entry in &mut *entries {
        entry.group = if entry.pid == own { SPARED } else { UNKNOWN };
    }
    for at in 0..entries.len() {
        let mut top = at;
        let mut steps = 0;
        // Pids that were used again while the list was read may form a circle.
        let found = loop {
            let entry = entries[top];
            if entry.group != UNKNOWN {
                break entry.group;
            }
            if entry.parent == own {
                break JOB;
            }
            steps += 1;
            match find(entries, entry.parent) {
                Some(parent) if steps <= entries.len() => top = parent,
                _ => break SPARED,
            }
        };
        let mut below = at;
        while entries[below].group == UNKNOWN {
            entries[below].group = found;
            match find(entries, entries[below].parent) {
                Some(parent) => below = parent,
                None => break,
            }
        }
    }
    for entry in entries.iter_mut().filter(|entry| entry.group == JOB) {
        if spared.holds(entry) {
            seen.add(entry);
        }
        if seen.holds(entry) {
            entry.group = SPARED;
        }
    }
}

/// The group with the most memory, and how much that is.
pub(crate) fn largest_group(entries: &[Entry]) -> Option<(Group, u64)> {
    let mut sums = [0_u64; GROUPS];
    for entry in entries {
        if let Some(sum) = sums.get_mut(usize::from(entry.group)) {
            *sum = sum.saturating_add(entry.bytes);
        }
    }
    let sums = sums.into_iter().enumerate().skip(1);
    let (group, bytes) = sums.max_by_key(|(_, bytes)| *bytes)?;
    let group = Group::try_from(group).ok()?;
    (bytes > 0).then_some((group, bytes))
}

/// The largest process of the largest group, if it has memory.
pub(crate) fn largest(entries: &[Entry]) -> Option<Entry> {
    let (group, _) = largest_group(entries)?;
    let of_group = entries.iter().filter(|entry| entry.group == group);
    of_group.max_by_key(|entry| entry.bytes).copied()
}

#[cfg(test)]
mod tests;
