//! The processes of a job's steps: found among those of the runner, and ended without it.
//!
//! The runner starts a worker for its job, and the worker starts the steps and the hooks. What a step leaves behind when its
//! own parent ends is a child of this process, and no longer below the worker.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid};

use linux::procfs::{Process, descendants, processes};

/// How many times the list is read for processes that were forked while it was read before.
const ROUNDS: usize = 8;

/// The steps of one runner.
#[derive(Debug)]
pub(super) struct Steps {
    runner: i32,
    /// The worker's name, proc_pid_comm(5).
    name: &'static str,
    /// The worker, once it has been seen. It may outlive its runner.
    worker: Option<Process>,
    /// The processes that [`Steps::end`] sent SIGTERM to.
    ended: Vec<Process>,
    /// The pipes that the worker reads their output from. It waits 5 s for a process that keeps one of them open.
    outputs: BTreeSet<OsString>,
}

impl Steps {
    pub(super) fn new(runner: Pid, name: &'static str) -> Self {
        Self {
            runner: runner.as_raw(),
            name,
            worker: None,
            ended: Vec::new(),
            outputs: BTreeSet::new(),
        }
    }

    /// Whether the list of processes cannot be read: a job may lower this process's limit on descriptors.
    pub(super) fn is_blind(&self) -> bool {
        processes().is_none()
    }

    /// Whether a worker runs.
    pub(super) fn has_worker(&self) -> bool {
        !self.look().workers.is_empty()
    }

    /// Looks for the worker. `orphaned`: the runner has ended. The job has no process then that could have the worker's
    /// name, since its first step comes after the worker was seen.
    pub(super) fn find_worker(&mut self, orphaned: bool) -> Option<Process> {
        let tree = self.look();
        let mut found = tree.workers.first().cloned();
        if orphaned && self.worker.is_none() {
            let named = |process: &Process| process.name == self.name;
            found = found.or_else(|| children(&tree.all, tree.own).into_iter().find(named));
        }
        self.worker = found.or(self.worker.take());
        self.worker.clone()
    }

    /// Sends SIGTERM to a worker that has no runner any more: it ends its job, and reports it.
    pub(super) fn terminate_worker(&self) {
        for worker in &self.look().workers {
            worker.send(Signal::SIGTERM);
            resume(worker);
        }
    }

    /// Continues a worker that its job has stopped.
    pub(super) fn resume_worker(&self) {
        self.look().workers.iter().for_each(resume);
    }

    /// Sends SIGTERM to the steps that run now, and gives their names. A stopped runner or worker goes on: it has to see
    /// the end of its step.
    pub(super) fn end(&mut self, until: Instant) -> Vec<String> {
        let tree = self.look();
        for process in tree.runner.iter().chain(&tree.workers) {
            resume(process);
        }
        self.outputs = tree.outputs();
        self.ended = tree.steps();
        self.ended.extend(tree.holders(&self.outputs));
        // A parent comes before its children: it does not see one end, and begin the next, before its own signal.
        for process in self.ended.iter().take_while(|_| Instant::now() < until) {
            process.send(Signal::SIGTERM);
            resume(process);
        }
        self.ended.iter().map(Process::title).collect()
    }

    /// Sends SIGKILL to those that SIGTERM did not end, and gives their names. Steps that began since are left alone.
    pub(super) fn kill_ended(&self, until: Instant) -> Vec<String> {
        self.kill(until, |tree| {
            let running = tree.running();
            let mut left = self.ended.clone();
            left.retain(|process| running.contains(&(process.pid, process.start)));
            let pids: Vec<i32> = left.iter().map(|process| process.pid).collect();
            left.extend(descendants(&tree.all, &pids));
            left.extend(tree.holders(&self.outputs));
            left
        })
    }

    /// Sends SIGKILL to all that is the job's and not the runner's: the steps, and what earlier ones left behind.
    pub(super) fn kill_all(&self, until: Instant) -> Vec<String> {
        self.kill(until, |tree| {
            let mut all = tree.steps();
            all.extend(tree.orphans());
            all
        })
    }

    /// Sends SIGKILL to the worker alone, and gives its name.
    pub(super) fn kill_worker(&self, until: Instant) -> Vec<String> {
        self.kill(until, |tree| tree.workers.clone())
    }

    /// A job may have very many processes, or take the processor from this one. So nothing here goes on after `until`, when
    /// SIGKILL goes to the whole group.
    fn kill(&self, until: Instant, chosen: impl Fn(&Tree) -> Vec<Process>) -> Vec<String> {
        let mut killed = BTreeSet::new();
        let mut titles = Vec::new();
        for _ in 0..ROUNDS {
            let tree = self.look();
            let before = killed.len();
            for process in chosen(&tree) {
                if Instant::now() >= until {
                    return titles;
                }
                if tree.is_jobs(&process) && killed.insert((process.pid, process.start)) {
                    process.send(Signal::SIGKILL);
                    titles.push(process.title());
                }
            }
            if killed.len() == before {
                break;
            }
        }
        titles
    }

    /// The processes as they are now; nothing if /proc cannot be read.
    fn look(&self) -> Tree {
        let all = processes().unwrap_or_default();
        let tree = Tree::of(all, getpid().as_raw(), self.runner, self.name);
        tree.with_worker(self.worker.as_ref())
    }
}

/// A stopped process acts on SIGTERM only once it runs again.
fn resume(process: &Process) {
    if process.is_stopped() {
        process.send(Signal::SIGCONT);
    }
}

fn is_among(process: &Process, others: &[Process]) -> bool {
    let same = |other: &Process| (other.pid, other.start) == (process.pid, process.start);
    others.iter().any(same)
}

/// All processes of one moment, and which of them are what.
struct Tree {
    all: Vec<Process>,
    own: i32,
    runner: Option<Process>,
    workers: Vec<Process>,
}

impl Tree {
    fn of(all: Vec<Process>, own: i32, runner: i32, worker: &str) -> Self {
        let mut workers = children(&all, runner);
        workers.retain(|process| process.name == worker);
        let runner = all.iter().find(|process| process.pid == runner).cloned();
        Self {
            all,
            own,
            runner,
            workers,
        }
    }

    /// With the worker that was seen before, if it is still there.
    fn with_worker(mut self, worker: Option<&Process>) -> Self {
        // As it is now: it may have been stopped since.
        let known = worker.and_then(|worker| self.find(worker)).cloned();
        let other = known.filter(|known| !is_among(known, &self.workers));
        self.workers.extend(other);
        self
    }

    /// Pid and start time of each process that runs.
    fn running(&self) -> BTreeSet<(i32, u64)> {
        let running = self.all.iter().filter(|process| !process.is_zombie());
        running
            .map(|process| (process.pid, process.start))
            .collect()
    }

    fn find(&self, process: &Process) -> Option<&Process> {
        let same = |other: &&Process| (other.pid, other.start) == (process.pid, process.start);
        let found = self.all.iter().find(same);
        found.filter(|found| !found.is_zombie())
    }

    /// Not this process itself, and not the runner: whatever was chosen, these two are never ended here.
    fn is_jobs(&self, process: &Process) -> bool {
        let runner = self.runner.as_ref().map(|runner| runner.pid);
        !process.is_zombie() && process.pid != self.own && Some(process.pid) != runner
    }

    /// The worker's children, steps and hooks, and all below them.
    fn steps(&self) -> Vec<Process> {
        let workers: Vec<i32> = self.workers.iter().map(|worker| worker.pid).collect();
        let mut steps = descendants(&self.all, &workers);
        steps.retain(|process| !process.is_zombie());
        steps
    }

    /// The processes whose parents have ended, and all below them: children of this process other than the runner.
    fn orphans(&self) -> Vec<Process> {
        let mut orphans = children(&self.all, self.own);
        orphans.retain(|child| self.is_jobs(child) && !is_among(child, &self.workers));
        let pids: Vec<i32> = orphans.iter().map(|orphan| orphan.pid).collect();
        let below = descendants(&self.all, &pids);
        orphans.extend(below.into_iter().filter(|process| !process.is_zombie()));
        orphans
    }

    /// The orphans that have one of these pipes as standard input, output or error. Their other descriptors are not read: a job
    /// may have a million of them, and a missed holder costs only the worker's 5 s.
    fn holders(&self, outputs: &BTreeSet<OsString>) -> Vec<Process> {
        if outputs.is_empty() {
            return Vec::new();
        }
        let mut orphans = self.orphans();
        orphans.retain(|process| !outputs.is_disjoint(&pipes(process.pid, &["0", "1", "2"])));
        orphans
    }

    /// The pipes that the worker gave its children as standard output and error. Its own and ours are not among them.
    fn outputs(&self) -> BTreeSet<OsString> {
        let standard = |pid| pipes(pid, &["1", "2"]);
        let mut outputs = BTreeSet::new();
        for worker in &self.workers {
            for child in children(&self.all, worker.pid) {
                outputs.extend(standard(child.pid));
            }
        }
        for other in self
            .workers
            .iter()
            .map(|worker| worker.pid)
            .chain([self.own])
        {
            for shared in standard(other) {
                outputs.remove(&shared);
            }
        }
        outputs
    }
}

fn children(all: &[Process], parent: i32) -> Vec<Process> {
    let of_parent = |process: &&Process| process.parent == parent && !process.is_zombie();
    all.iter().filter(of_parent).cloned().collect()
}

/// The pipes among a process's descriptors, as proc_pid_fd(5) names them: `pipe:[INODE]`.
fn pipes(pid: i32, numbers: &[&str]) -> BTreeSet<OsString> {
    let directory = format!("/proc/{pid}/fd");
    // What cannot be read is not of our user, and so not the job's.
    let links = numbers
        .iter()
        .filter_map(|number| std::fs::read_link(Path::new(&directory).join(number)).ok());
    links
        .map(std::path::PathBuf::into_os_string)
        .filter(|link| link.to_string_lossy().starts_with("pipe:"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(pid: i32, parent: i32, name: &str) -> Process {
        Process {
            pid,
            parent,
            name: name.to_owned(),
            state: 'S',
            start: u64::try_from(pid).unwrap_or(0),
        }
    }

    const OWN: i32 = 1;
    const RUNNER: i32 = 7;
    const WORKER: &str = "Runner.Worker";

    /// A worker with a step, a daemon that an earlier step left, and one that has taken the worker's name.
    fn tree() -> Tree {
        let mut all = vec![
            example(OWN, 0, "supervisor"),
            example(RUNNER, OWN, "Runner.Listener"),
            example(8, RUNNER, WORKER),
            example(9, 8, "bash"),
            example(10, 9, "sleep"),
            example(11, 9, "defunct"),
            example(20, OWN, "daemon"),
            example(21, 20, WORKER),
            example(22, OWN, WORKER),
            // Entered from outside of the namespace.
            example(30, 0, "sh"),
        ];
        all[5].state = 'Z';
        Tree::of(all, OWN, RUNNER, WORKER)
    }

    fn pids(processes: &[Process]) -> Vec<i32> {
        processes.iter().map(|process| process.pid).collect()
    }

    #[test]
    fn a_step_is_what_is_below_the_runners_own_worker() {
        let tree = tree();
        assert_eq!(pids(&tree.workers), [8]);
        assert_eq!(pids(&tree.steps()), [9, 10]);
    }

    #[test]
    fn counts_an_orphan_of_any_name_as_the_jobs() {
        let tree = tree();
        assert_eq!(pids(&tree.orphans()), [20, 22, 21]);
        for (pid, is_jobs) in [(OWN, false), (RUNNER, false), (9, true), (11, false)] {
            let process = tree.all.iter().find(|process| process.pid == pid).unwrap();
            assert_eq!(tree.is_jobs(process), is_jobs, "{pid}");
        }
    }

    #[test]
    fn a_worker_without_its_runner_is_still_the_worker() {
        let worker = example(22, OWN, WORKER);
        let mut tree = tree();
        tree.all[8].state = 'T';
        let tree = tree.with_worker(Some(&worker));
        assert_eq!(pids(&tree.workers), [8, 22]);
        assert!(tree.workers[1].is_stopped(), "as it is now");
        assert_eq!(pids(&tree.orphans()), [20, 21]);
        let mut gone = worker;
        gone.start += 1;
        assert_eq!(pids(&tree.with_worker(Some(&gone)).workers), [8, 22]);
    }

    #[test]
    fn another_process_with_its_pid_is_not_the_one_that_was_ended() {
        let tree = tree();
        assert!(tree.find(&example(10, 9, "sleep")).is_some());
        assert!(tree.find(&example(11, 9, "defunct")).is_none());
        let mut other = example(10, 9, "sleep");
        other.start += 1;
        assert!(tree.find(&other).is_none());
    }

    #[test]
    fn the_pipes_of_a_process_are_known_by_their_inodes() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let outputs = pipes(pid, &["1"]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(outputs.len(), 1);
        assert!(outputs.is_disjoint(&pipes(getpid().as_raw(), &["0", "1", "2"])));
    }
}
