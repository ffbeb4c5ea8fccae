//! The sentences that say what ran out of memory, and what helps.

use crate::record::{Kill, Killer};

const MIB: u64 = 1 << 20;

/// The limit to try next: half as much again, in steps of 256 MiB.
fn proposal(limit: u64) -> u64 {
    (limit + limit / 2).div_ceil(256 * MIB) * 256
}

/// What was killed, and why. One sentence, or two if most of the memory lies in tmpfs. `container` is its name in the pod.
#[must_use]
pub fn sentence(kill: &Kill, container: &str) -> String {
    let limit = kill.usage.limit;
    let mib = |bytes: u64| bytes / MIB;
    let who = match kill.killer {
        Killer::Guard => format!(
            "{} (pid {}) had {} MiB and was killed",
            kill.name(),
            kill.pid,
            mib(kill.bytes)
        ),
        Killer::GuardAll => format!(
            "{} processes had {} MiB together and were killed",
            kill.processes,
            mib(kill.bytes)
        ),
        // What it used before is not known.
        Killer::Kernel if kill.pid == 0 => return by_kernel(kill.processes, container),
        Killer::Kernel => format!(
            "the kernel killed {}, probably {} (pid {}) with {} MiB",
            processes(kill.processes),
            kill.name(),
            kill.pid,
            mib(kill.bytes)
        ),
    };
    let mut text = format!(
        "out of memory: {who}; {} of the container's {} MiB were in use; raise resources.limits.memory of the container {container}, to {} MiB for example",
        mib(kill.usage.unreclaimable()),
        mib(limit),
        proposal(limit)
    );
    let tmpfs = kill.usage.stat.shmem;
    if tmpfs > kill.usage.unreclaimable() / 2 {
        text += &format!(
            ". {} MiB of it lie in tmpfs (a memory volume, /dev/shm) or in shared memory; killing a process does not free its files there",
            mib(tmpfs)
        );
    }
    text
}

/// As [`sentence`], if all that is known is how many processes the kernel killed.
#[must_use]
pub fn by_kernel(count: u64, container: &str) -> String {
    format!(
        "out of memory: the kernel killed {}; raise resources.limits.memory of the container {container}",
        processes(count)
    )
}

fn processes(count: u64) -> String {
    match count {
        1 => "a process".to_owned(),
        count => format!("{count} processes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::{Stat, Usage};
    use crate::table::Name;

    fn kill(killer: Killer, processes: u64, shmem: u64) -> Kill {
        let stat = Stat {
            shmem,
            ..Stat::default()
        };
        Kill {
            name: Name::new(b"node"),
            pid: 42,
            bytes: 300 * MIB,
            processes,
            killer,
            usage: Usage {
                limit: 512 * MIB,
                current: 500 * MIB,
                stat,
                swap_left: 0,
            },
        }
    }

    #[test]
    fn sentence_names_process_sizes_and_a_higher_limit() {
        let text = sentence(&kill(Killer::Guard, 1, 0), "runner");
        let expected = "out of memory: node (pid 42) had 300 MiB and was killed; 500 of the container's 512 MiB were in use; raise resources.limits.memory of the container runner, to 768 MiB for example";
        assert_eq!(text, expected);
    }

    #[test]
    fn sentence_tells_the_killers_apart() {
        let text = |killer, count| sentence(&kill(killer, count, 0), "builder");
        assert!(text(Killer::GuardAll, 9).contains("9 processes had 300 MiB together"));
        assert!(text(Killer::Kernel, 1).contains("the kernel killed a process, probably node"));
        let unknown = Kill {
            pid: 0,
            ..kill(Killer::Kernel, 2, 0)
        };
        let unknown = sentence(&unknown, "builder");
        assert!(
            unknown.contains("the kernel killed 2 processes;"),
            "{unknown}"
        );
    }

    #[test]
    fn tmpfs_is_named_only_if_it_holds_most() {
        let text = |shmem| sentence(&kill(Killer::Guard, 1, shmem), "runner");
        assert!(text(300 * MIB).contains("300 MiB of it lie in tmpfs"));
        assert!(!text(200 * MIB).contains("tmpfs"));
    }

    #[test]
    fn proposal_is_half_as_much_again() {
        assert_eq!(proposal(512 * MIB), 768);
        assert_eq!(proposal(4096 * MIB), 6144);
        assert_eq!(proposal(100 * MIB), 256);
    }
}
