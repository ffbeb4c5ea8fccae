//! A virtual machine whose kernel kills all processes of a cgroup together: cgroup v2 with `memory.oom.group`.
//!
//! The machine that the tests run on may have cgroup v1. The kubelet's containers since Kubernetes 1.28 are as here.

use std::sync::LazyLock;

use serde_json::Value;
use support::{root, run_image, supervisor, vm_image};

use crate::HOG;
use crate::group_kill::CASES;

/// One run of the supervisor, in a cgroup of its own.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The cgroup's limit in MiB.
    pub(crate) limit: u64,
    /// `memory.guard`.
    pub(crate) guard: &'static str,
    /// The job, a script of sh.
    pub(crate) script: &'static str,
}

/// What became of the cgroup.
pub(crate) struct Fate {
    pub(crate) said: String,
    pub(crate) code: i32,
    /// How often the kernel killed all processes of the cgroup.
    pub(crate) group_kills: u64,
    /// How many processes the kernel killed.
    pub(crate) kernel_kills: u64,
}

/// What the machine prints: it starts once, and runs all cases.
static PRINTED: LazyLock<String> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let line = |case: &Case| {
        format!(
            "{} {} {} {}\n",
            case.name, case.limit, case.guard, case.script
        )
    };
    let cases: String = CASES.iter().map(line).collect();
    std::fs::write(directory.path().join("cases"), cases).unwrap();
    let scripts = root().join("tests/memory/vm");
    for name in ["init.sh", "start.sh"] {
        std::fs::copy(scripts.join(name), directory.path().join(name)).unwrap();
    }
    std::fs::copy(HOG, directory.path().join("hog")).unwrap();
    std::fs::copy(supervisor(), directory.path().join("supervisor")).unwrap();
    let volume = format!("--volume={}:/vm:ro", directory.path().display());
    let output = run_image(&vm_image(), &[&volume], &["bash", "/vm/start.sh"]);
    let printed = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert!(
        printed.contains("\nall cases ended"),
        "{printed}\n{output:?}"
    );
    printed
});

impl Fate {
    /// The fate of the case with this name.
    pub(crate) fn of(name: &str) -> Self {
        let (_, rest) = PRINTED.split_once(&format!("begin {name}\n")).unwrap();
        let (said, rest) = rest.split_once(&format!("end {name} ")).unwrap();
        let mut numbers = rest.lines().next().unwrap().split(' ');
        let mut number = || numbers.next().unwrap().parse().unwrap();
        Self {
            said: said.to_owned(),
            code: i32::try_from(number()).unwrap(),
            group_kills: number(),
            kernel_kills: number(),
        }
    }

    /// The report, if PID 1 lived to write it.
    pub(crate) fn report(&self) -> Option<Value> {
        let line = self.said.lines().find(|line| line.contains("\"schema\""));
        line.map(|line| serde_json::from_str(line).unwrap())
    }
}
