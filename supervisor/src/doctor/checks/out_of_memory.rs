//! What happens here if memory runs out.

use crate::config::MemoryGuard;
use crate::doctor::check::{Check, Observation};
use crate::doctor::context::Context;
use memory_guard::levels::{Levels, Reader};

pub(super) const CHECKS: &[Check] = &[Check {
    id: "kernel.out-of-memory",
    title: "What the kernel kills if memory runs out",
    method: "Reads memory.oom.group of this container's cgroup and of those above it, and the setting memory.guard.",
    run: out_of_memory,
    ..Check::DEFAULT
}];

fn out_of_memory(context: &Context) -> Observation {
    let Ok(levels) = Levels::open() else {
        return Observation::ok("this container's cgroup cannot be read, so nothing is watched");
    };
    let has_limit = levels.tightest(&mut Reader::default()).is_some();
    Observation::ok(describe(
        has_limit,
        levels.kills_group(),
        context.config.memory.guard,
    ))
}

fn describe(has_limit: bool, kills_group: bool, guard: MemoryGuard) -> &'static str {
    match (has_limit, kills_group, guard) {
        (false, ..) => "this container has no limit: the kernel kills when the node has no memory",
        (true, true, MemoryGuard::Off) => {
            "the kernel kills the whole container; memory.guard is off"
        }
        (true, true, _) => {
            "the kernel kills the whole container; the supervisor kills the largest process of the job before that"
        }
        (true, false, MemoryGuard::On) => {
            "the kernel kills one process; the supervisor kills the largest process of the job before that"
        }
        (true, false, MemoryGuard::Auto) => {
            "the kernel kills one process; the supervisor reports it"
        }
        (true, false, MemoryGuard::Off) => "the kernel kills one process; memory.guard is off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describe_names_who_kills_what() {
        let group = describe(true, true, MemoryGuard::Auto);
        assert!(group.contains("whole container") && group.contains("before that"));
        assert!(describe(true, true, MemoryGuard::Off).contains("is off"));
        assert!(describe(true, false, MemoryGuard::Auto).contains("reports it"));
        assert!(describe(true, false, MemoryGuard::On).contains("before that"));
        assert!(describe(true, false, MemoryGuard::Off).contains("is off"));
        assert!(describe(false, true, MemoryGuard::On).contains("no limit"));
    }
}
