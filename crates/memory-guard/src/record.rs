//! What was killed, for log, report and build.

use crate::cgroup::Usage;
use crate::table::{Entry, Name};

/// Who killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Killer {
    /// The guard: one process.
    #[default]
    Guard,
    /// The guard: the whole step or build, because single processes did not suffice.
    GuardAll,
    /// The kernel. Which process it took is not known; it is the largest one that the guard had seen.
    Kernel,
}

/// One kill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kill {
    pub(crate) name: Name,
    /// The pid; 0 if it is not known.
    pub pid: i32,
    /// The memory of the process, or of all together, in bytes.
    pub bytes: u64,
    /// How many processes.
    pub processes: u64,
    /// Who killed.
    pub killer: Killer,
    /// The container's memory at that moment.
    pub usage: Usage,
}

impl Kill {
    pub(crate) fn of(entry: &Entry, usage: Usage) -> Self {
        Self {
            name: entry.name,
            pid: entry.pid,
            bytes: entry.bytes,
            processes: 1,
            killer: Killer::Guard,
            usage,
        }
    }

    /// The name of the process, at most 15 characters, printable.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.text()
    }
}
