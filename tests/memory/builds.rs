//! Builds that take more memory than the builder has.

use std::thread::scope;

use support::{Pair, root};

/// A `RUN` step that grows by 4 MiB at a time until there is no memory.
const GROWS: &str =
    "c=x; for i in {1..22}; do c=$c$c; done; while true; do a+=($c); sleep 0.01; done";
/// A `RUN` step that is longer under way than the other one.
const WAITS: &str = "sleep 15; echo all-of-it";

/// A builder with a limit, and the guard.
fn builder() -> Pair {
    let profile = root().join("k8s/seccomp/buildah.json");
    let profile = format!("--security-opt=seccomp={}", profile.display());
    let flags = [
        "--cap-drop=all",
        "--cap-add=SETUID,SETGID",
        &profile,
        "--memory=384m",
        "--memory-swap=384m",
        "--env=SUPERVISOR_MEMORY__GUARD=on",
    ];
    Pair::start(0, &[], &flags)
}

#[test]
fn a_build_without_memory_ends_and_the_other_goes_on() {
    let pair = &builder();
    let (greedy, modest) = scope(|scope| {
        let modest = Pair::step(WAITS).replace("work/step", "work/other");
        let modest = scope.spawn(move || pair.job(&modest));
        let greedy = scope.spawn(|| pair.job(&Pair::step(GROWS)));
        (greedy.join().unwrap(), modest.join().unwrap())
    });
    assert_eq!(greedy.code, 137, "{}", greedy.said);
    let last = greedy.said.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with("builder: out of memory: bash (pid "),
        "{}",
        greedy.said
    );
    assert!(last.contains("of the container builder"), "{last}");
    assert_eq!(modest.code, 0, "{}", modest.said);
    assert!(modest.said.contains("all-of-it"), "{}", modest.said);
    let memory = &pair.end()["memory"];
    assert_eq!(memory["supervisor_kills"], 1, "{memory}");
    assert_eq!(memory["kernel_kills"], 0, "{memory}");
}
