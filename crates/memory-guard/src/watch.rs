//! The loop of the guard's thread. While memory runs out it allocates nothing and writes no log.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_timerslack;
use nix::unistd::getpid;
use rustix::process::setpriority_process;

use crate::cgroup::Usage;
use crate::decision::{Action, Decision, View};
use crate::growth::Growth;
use crate::levels::{Reader, Tightest};
use crate::pace;
use crate::record::{Kill, Killer};
use crate::scan::{Scanner, Victim};
use crate::scope::Scope;
use crate::shared::Shared;
use crate::table::{Entry, Group, Measure, Remembered, SPARED, largest, largest_group};
use linux::scheduling;

/// How often the processes are read at most while less than a quarter of the limit is left: for the names of the largest, and to keep
/// the code and the memory of the scan in use.
const REHEARSAL: Duration = Duration::from_millis(500);
/// The thread runs for less at a time, and so is chosen sooner when it wakes.
const SLICE: Duration = Duration::from_micros(100);
/// A guard that only watches looks no more often.
const CALM: Duration = Duration::from_millis(100);
/// If the room lasts for so long even with the cache counted as in use, the limit is far.
const FAR: Duration = Duration::from_millis(5);
/// How often the cache is measured far from the limit.
const MEASURE: Duration = Duration::from_secs(1);
/// How often the kernel's kills are counted.
const COUNT: Duration = Duration::from_secs(1);
/// How long the guard waits if no process explains where the memory is.
const UNEXPLAINED: Duration = Duration::from_millis(500);
/// How often the processes are read again, until a scan finds none that is new: a fork bomb makes some during each scan.
const ROUNDS: usize = 200;

/// The thread's own state.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    scanner: Scanner,
    reader: Reader,
    decision: Decision,
    growth: Growth,
    /// Since when too little memory is left, and no process is large.
    pressed: Option<Instant>,
    seen: Remembered,
    victim: Option<Victim>,
    /// Pid and start of the process that was killed last on its own.
    hit: Option<(i32, u64)>,
    /// The largest process at the last scan, and the usage then.
    largest: Option<(Entry, Usage)>,
    own: i32,
    fill_rate: u64,
    rehearsed: Option<Instant>,
    measured: Option<Instant>,
    /// What was left at the last measurement with the cache counted as in use, and the size of the cache, in bytes.
    least: u64,
    reclaimable: u64,
    counted: Option<Instant>,
    kernel_kills: u64,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, scanner: Scanner) -> Self {
        let processors = thread::available_parallelism().map_or(64, usize::from);
        Self {
            shared,
            scanner,
            reader: Reader::default(),
            decision: Decision::default(),
            growth: Growth::default(),
            pressed: None,
            seen: Remembered::default(),
            victim: None,
            hit: None,
            largest: None,
            own: getpid().as_raw(),
            fill_rate: pace::fill_rate(processors),
            rehearsed: None,
            measured: None,
            least: 0,
            reclaimable: 0,
            counted: None,
            kernel_kills: 0,
        }
    }

    /// Runs until the handle is dropped.
    pub(crate) fn run(&mut self) {
        // All help on a busy machine. A pod seldom has the right to the first.
        let _ = setpriority_process(None, -20);
        let _ = scheduling::shorten_slice(SLICE);
        let _ = set_timerslack(1);
        while !self.shared.stop.load(Relaxed) {
            if self.is_active() {
                let pause = self.look(Instant::now());
                thread::park_timeout(pause);
            } else {
                thread::park();
            }
        }
        // What the kernel did at the very end belongs into the report.
        self.count();
    }

    fn is_active(&self) -> bool {
        match &self.shared.scope {
            Scope::Job(_) => self.shared.active.load(Relaxed),
            Scope::Builds(builds) => !builds.is_idle(),
        }
    }

    /// Looks once, acts if it has to, and returns how long to sleep.
    fn look(&mut self, now: Instant) -> Duration {
        self.count_kernel_kills(now);
        let least = self.shared.levels.least_room(&mut self.reader);
        if let Some(pause) = self.pause_unmeasured(least, now) {
            return pause;
        }
        self.measured = Some(now);
        let Some(tightest) = self.shared.levels.tightest(&mut self.reader) else {
            // The limit was taken away in place.
            return pace::sleep(u64::MAX, self.fill_rate, pace::SHORTEST);
        };
        let Tightest { usage, room } = tightest;
        self.shared.limit.store(usage.limit, Relaxed);
        self.shared.peak.fetch_max(usage.unreclaimable(), Relaxed);
        self.growth.note(usage.unreclaimable(), now);
        self.least = usage.limit.saturating_sub(usage.current);
        self.reclaimable = usage.current.saturating_sub(usage.unreclaimable());
        let headroom = self.headroom(usage.limit);
        let headroom = headroom + self.growth.margin(headroom);
        if room >= headroom {
            self.pressed = None;
        }
        if room < headroom && self.shared.acts {
            self.act(usage, room, headroom, now);
        } else if self.should_rehearse(usage, room, now) {
            self.rehearsed = Some(now);
            self.scan(usage);
        }
        self.pause(room, headroom)
    }

    /// Whether to read the processes although nothing has to die yet. If memory grows, the guard then knows already that many
    /// small processes take it, and loses no time with a scan when it has to act.
    fn should_rehearse(&self, usage: Usage, room: u64, now: Instant) -> bool {
        let grows = self.growth.since_scan() >= self.headroom(usage.limit);
        room < usage.limit / 4 && is_due(self.rehearsed, REHEARSAL, now)
            || self.shared.acts && room < usage.limit / 2 && grows
    }

    /// How long to sleep without a look at the cache, whose size takes longest to read, if `least` bytes are left with the cache
    /// counted as in use. `None` if the size matters now.
    fn pause_unmeasured(&self, least: u64, now: Instant) -> Option<Duration> {
        if is_due(self.measured, MEASURE, now) || least == u64::MAX {
            return None;
        }
        let headroom = self.headroom(self.shared.limit.load(Relaxed));
        let pause = self.pause(least, headroom);
        // While memory does not grow, a small cache would not make the sleep much longer.
        let grown = self.least.saturating_sub(least);
        let is_small = self.reclaimable <= least.saturating_sub(headroom) / 2;
        let is_at_rest = least > headroom && grown < headroom / 8 && is_small;
        (pause >= FAR || is_at_rest).then_some(pause)
    }

    fn pause(&self, room: u64, headroom: u64) -> Duration {
        let shortest = if self.growth.is_at_rest() {
            pace::AT_REST
        } else {
            pace::SHORTEST
        };
        let pause = pace::sleep(room.saturating_sub(headroom), self.fill_rate, shortest);
        if self.shared.acts {
            pause
        } else {
            pause.max(CALM)
        }
    }

    /// Never more than half of the limit: a setting may be meant for another container.
    fn headroom(&self, limit: u64) -> u64 {
        let set = self.shared.settings.headroom;
        set.unwrap_or_else(|| pace::default_headroom(limit))
            .min(limit / 2)
    }

    /// Reads the processes, and marks those that may be killed.
    fn scan(&mut self, usage: Usage) {
        let began = Instant::now();
        let shared = usage.stat.shmem > usage.unreclaimable() / 2;
        self.scanner.scan(if shared {
            Measure::Resident
        } else {
            Measure::Anonymous
        });
        let scope = &self.shared.scope;
        scope.mark(&mut self.scanner, self.own, &mut self.seen);
        self.spare_dying();
        if let Some(entry) = largest(&self.scanner.entries) {
            self.largest = Some((entry, usage));
        }
        let processes = self.scanner.entries.len();
        let ended = Instant::now();
        self.growth.scanned(processes, ended - began, ended);
    }

    /// A process that was sent SIGKILL and has not ended is not hit again: that would count as one more kill.
    fn spare_dying(&mut self) {
        let Some(hit) = self.hit.filter(|_| self.is_dying()) else {
            return;
        };
        let entries = self.scanner.entries.iter_mut();
        entries
            .filter(|entry| (entry.pid, entry.start) == hit)
            .for_each(|entry| entry.group = SPARED);
    }

    fn is_dying(&self) -> bool {
        self.victim.as_ref().is_some_and(Victim::is_dying)
    }

    fn act(&mut self, usage: Usage, room: u64, headroom: u64, now: Instant) {
        let view = View {
            room,
            headroom,
            is_dying: self.is_dying(),
        };
        match self.decision.decide(view, now) {
            Action::Wait => {}
            Action::KillLargest if self.is_crowd(view, usage, now) => self.kill_all(usage, now),
            Action::KillLargest => self.kill_largest(view, usage, now),
            Action::KillAll => {
                self.scan(usage);
                self.kill_all(usage, now);
            }
        }
    }

    /// Whether many small processes take the memory, by a scan that has just been made.
    fn is_crowd(&self, view: View, usage: Usage, now: Instant) -> bool {
        let is_small = |entry: Entry| entry.bytes < view.headroom / 4;
        !view.is_dying
            && self.growth.is_known_crowd(view.headroom, now)
            && largest(&self.scanner.entries).is_some_and(is_small)
            && self.explains(usage)
    }

    fn kill_largest(&mut self, view: View, usage: Usage, now: Instant) {
        self.scan(usage);
        // The scan may have taken long, and others free memory too.
        let fresh = self.shared.levels.tightest(&mut self.reader);
        let Some(Tightest { usage, .. }) = fresh.filter(|fresh| fresh.room < view.headroom) else {
            return;
        };
        let Some(entry) = largest(&self.scanner.entries) else {
            return;
        };
        let is_small = entry.bytes < view.headroom / 4;
        // While a large process ends, the death of a small one gives nothing.
        if view.is_dying && is_small && self.decision.is_patient(now) {
            return;
        }
        // Many small ones together are too large, and there is no time to end them one by one.
        if is_small {
            let since = *self.pressed.get_or_insert(now);
            let waits = now.saturating_duration_since(since) < UNEXPLAINED;
            // What is taken in the kernel, such as the buffers of sockets, belongs to no process. If none is about to end, some of
            // these hold it.
            if waits && self.decision.has_just_killed(now) && !self.explains(usage) {
                return;
            }
            self.kill_all(usage, now);
            return;
        }
        let Some(victim) = self.scanner.kill(&entry) else {
            return;
        };
        self.victim = Some(victim);
        self.hit = Some((entry.pid, entry.start));
        // What it was is known. A later kill of the kernel is another process's.
        self.largest = None;
        self.decision.killed(now);
        self.note(entry.group, Kill::of(&entry, usage));
    }

    /// Whether the end of all processes gives enough. It does not if one that has just been killed still holds the memory.
    fn explains(&self, usage: Usage) -> bool {
        let all = largest_group(&self.scanner.entries).map_or(0, |(_, bytes)| bytes);
        let used = usage.unreclaimable();
        all.saturating_add(usage.stat.shmem) > used / 4
    }

    /// Kills all of the step, or of the largest build, of those that were scanned last and then of those that are new.
    fn kill_all(&mut self, usage: Usage, now: Instant) {
        let Some((group, bytes)) = largest_group(&self.scanner.entries) else {
            return;
        };
        let of_group = |entry: &&Entry| entry.group == group;
        let mut processes = self.scanner.entries.iter().filter(of_group).count() as u64;
        self.shared.scope.kill_process_group();
        let mut first = None;
        for round in 0..ROUNDS {
            // PID 1 waits for this thread, and then ends all processes itself.
            if self.shared.stop.load(Relaxed) {
                break;
            }
            let mut new = 0;
            for entry in &self.scanner.entries {
                if entry.group != group || round > 0 && self.scanner.had(entry) {
                    continue;
                }
                if let Some(victim) = self.scanner.kill(entry) {
                    new += 1;
                    first.get_or_insert(*entry);
                    self.victim = Some(victim);
                }
            }
            if round > 0 {
                processes += new;
            }
            // The first round may know only processes that have ended.
            if new == 0 && round > 0 {
                break;
            }
            self.scan(usage);
        }
        self.decision.killed_all(now);
        // The process group may have ended before its processes were sent signals one by one.
        let first = first.or_else(|| self.largest.map(|(entry, _)| entry));
        if let Some(entry) = first {
            let kill = Kill {
                bytes,
                processes,
                killer: Killer::GuardAll,
                ..Kill::of(&entry, usage)
            };
            self.note(group, kill);
        }
        self.largest = None;
    }

    fn note(&self, group: Group, kill: Kill) {
        if let Scope::Builds(builds) = &self.shared.scope {
            builds.killed(group, kill);
        }
        self.shared.record(kill);
    }

    /// Notices kills of the kernel. It names no process, so the largest one that was seen and has ended is the likely one.
    fn count_kernel_kills(&mut self, now: Instant) {
        if !is_due(self.counted, COUNT, now) {
            return;
        }
        self.counted = Some(now);
        self.count();
    }

    fn count(&mut self) {
        let kills = self.shared.kernel_kills(&mut self.reader);
        let new = kills.saturating_sub(self.kernel_kills);
        self.kernel_kills = kills;
        if new == 0 {
            return;
        }
        let gone = self
            .largest
            .take_if(|(entry, _)| self.scanner.is_gone(entry));
        let tightest = || self.shared.levels.tightest(&mut Reader::default());
        let (entry, usage) = match gone {
            Some(gone) => gone,
            None => match tightest() {
                Some(tightest) => (Entry::default(), tightest.usage),
                None => return,
            },
        };
        let kill = Kill {
            processes: new,
            killer: Killer::Kernel,
            ..Kill::of(&entry, usage)
        };
        self.note(entry.group, kill);
    }
}

fn is_due(last: Option<Instant>, every: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now.saturating_duration_since(last) >= every)
}
