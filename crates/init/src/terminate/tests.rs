//! The course of each termination, phase by phase.

use super::*;

const TIMES: Times = Times {
    grace: Duration::from_secs(10),
    step_grace: Duration::from_secs(2),
    kill_after: Duration::from_secs(20),
};

const SECOND: Duration = Duration::from_secs(1);

/// The phases with the second of each, counted from the beginning; those that come again once.
fn course(mut termination: Termination, now: Instant) -> Vec<(Phase, f64)> {
    let mut course = vec![(termination.done(), 0.0)];
    while let Some(due) = termination.due() {
        let phase = termination.advance(due).unwrap();
        if course.last().is_none_or(|last| last.0 != phase) {
            course.push((phase, (due - now).as_secs_f64()));
        }
    }
    course
}

fn busy(times: Times, now: Instant) -> Termination {
    Termination::begin(Cause::Requested, times, now, FirstPhase::Drain)
}

#[test]
fn a_runner_without_a_job_is_asked_then_told_then_killed() {
    let now = Instant::now();
    let idle = Termination::begin(Cause::Requested, TIMES, now, FirstPhase::Graceful);
    let expected = [
        (Phase::Graceful, 0.0),
        (Phase::Term, 10.0),
        (Phase::Kill, 20.0),
        (Phase::KillAll, 21.0),
        (Phase::Abandon, 22.0),
    ];
    assert_eq!(course(idle, now), expected);
}

#[test]
fn a_job_under_way_ends_a_step_at_a_time_and_has_the_last_word() {
    let now = Instant::now();
    let after = [
        (Phase::Interrupt, 17.0),
        (Phase::KillJob, 17.3),
        (Phase::Kill, 20.0),
        (Phase::KillAll, 21.0),
        (Phase::Abandon, 22.0),
    ];
    let drained = course(busy(TIMES, now), now);
    let before = [
        (Phase::Wait, 0.0),
        (Phase::EndSteps, 10.0),
        (Phase::KillSteps, 12.0),
    ];
    assert_eq!(drained, [&before[..], &after].concat());
    // The job's own maximum is no reason to let it go on.
    let deadline = Termination::begin(Cause::Deadline, TIMES, now, FirstPhase::EndSteps);
    let before = [(Phase::EndSteps, 0.0), (Phase::KillSteps, 2.0)];
    assert_eq!(course(deadline, now), [&before[..], &after].concat());
}

#[test]
fn sigkill_to_all_that_is_the_jobs_comes_again_until_the_end() {
    let now = Instant::now();
    let mut termination = busy(TIMES, now);
    while termination.done() != Phase::KillJob {
        termination.advance(termination.due().unwrap());
    }
    let first = termination.acted;
    assert_eq!(termination.due(), Some(first + AGAIN));
    assert_eq!(termination.advance(first + AGAIN), Some(Phase::KillJob));
    assert_eq!(termination.due(), Some(first + 2 * AGAIN));
    let end = now + TIMES.kill_after;
    assert_eq!(termination.advance(end), Some(Phase::Kill));
}

#[test]
fn kills_the_worker_if_no_time_for_last_words_is_left() {
    let now = Instant::now();
    let late = now + TIMES.kill_after - SECOND;
    let mut termination = busy(TIMES, now);
    let phases: Vec<Phase> = std::iter::from_fn(|| {
        let due = termination.due()?;
        termination.advance(due.max(late))
    })
    .collect();
    let expected = [
        Phase::EndSteps,
        Phase::KillSteps,
        Phase::KillWorker,
        Phase::Kill,
        Phase::KillAll,
        Phase::Abandon,
    ];
    assert_eq!(phases, expected);
}

#[test]
fn whatever_the_times_are_the_steps_end_before_the_last_words() {
    let now = Instant::now();
    let grace = TIMES.kill_after;
    let tight = course(busy(Times { grace, ..TIMES }, now), now);
    let expected = [
        (Phase::Wait, 0.0),
        (Phase::EndSteps, 17.0),
        (Phase::KillSteps, 17.0),
        (Phase::Interrupt, 17.0),
    ];
    assert_eq!(tight[..4], expected);
}

#[test]
fn advances_a_phase_with_each_request_but_not_with_a_burst() {
    let now = Instant::now();
    let mut termination = Termination::begin(Cause::Requested, TIMES, now, FirstPhase::Graceful);
    assert!(termination.bring_forward(now));
    assert!(!termination.bring_forward(now));
    assert_eq!(termination.due(), Some(now + SETTLE));
    let later = now + SETTLE;
    assert!(!termination.bring_forward(later - SETTLE / 2));
    assert_eq!(termination.advance(later), Some(Phase::Term));
    assert!(!termination.bring_forward(later + SETTLE / 4));
    assert_eq!(termination.due(), Some(now + TIMES.kill_after));
    let much_later = later + 2 * SETTLE;
    assert!(termination.bring_forward(much_later));
    assert_eq!(termination.due(), Some(later + SETTLE));
}

#[test]
fn asking_again_and_again_takes_no_time_from_the_last_words() {
    let now = Instant::now();
    let mut termination = busy(TIMES, now);
    let mut at = now;
    while termination.done() != Phase::Interrupt {
        at += 2 * SECOND;
        termination.bring_forward(at);
        at = at.max(termination.due().unwrap());
        termination.advance(at);
    }
    assert!(at < now + TIMES.grace, "brought forward");
    assert!(termination.bring_forward(at + 2 * SECOND));
    termination.advance(at + KNOWN);
    assert_eq!(termination.done(), Phase::KillJob);
    assert_eq!(termination.next_due(), Some(now + TIMES.kill_after));
}

#[test]
fn ends_an_idle_runner_at_once_unless_it_takes_a_job() {
    let now = Instant::now();
    let mut idle = Termination::begin(Cause::Requested, TIMES, now, FirstPhase::Look);
    let mut taking = idle;
    assert_eq!(idle.due(), Some(now + LOOK));
    assert_eq!(idle.advance(now + LOOK), Some(Phase::Graceful));
    assert_eq!(idle.due(), Some(now + TIMES.grace));

    assert_eq!(taking.found_busy(), JobArrival::Late);
    assert_eq!(taking.due(), Some(now + TIMES.grace));
    assert_eq!(taking.advance(now + TIMES.grace), Some(Phase::EndSteps));
    assert_eq!(taking.found_busy(), JobArrival::Known);

    // It took a job although it had the graceful signal: no second signal, and never SIGTERM.
    assert_eq!(idle.found_busy(), JobArrival::Late);
    assert_eq!(idle.found_busy(), JobArrival::Known);
    let left: Vec<Phase> = course(idle, now).iter().map(|row| row.0).collect();
    let expected = [
        Phase::Graceful,
        Phase::KillJob,
        Phase::Kill,
        Phase::KillAll,
        Phase::Abandon,
    ];
    assert_eq!(left, expected);
}

#[test]
fn keeps_a_job_that_comes_at_the_end_of_the_idle_time() {
    let now = Instant::now();
    let mut idle = Termination::begin(Cause::Idle, TIMES, now, FirstPhase::Look);
    assert_eq!(idle.found_busy(), JobArrival::Wanted);
    // After the graceful signal it cancels the job itself, and has a job's time for that.
    assert_eq!(idle.advance(now), Some(Phase::Graceful));
    assert_eq!(idle.found_busy(), JobArrival::Late);
}

#[test]
fn phases_without_time_are_skipped() {
    let now = Instant::now();
    let mut late = busy(TIMES, now);
    assert_eq!(late.advance(now + 10 * SECOND), Some(Phase::EndSteps));
    assert_eq!(late.advance(now + 21 * SECOND), Some(Phase::Kill));
}

#[test]
fn times_beyond_the_clock_are_taken() {
    let times = Times {
        grace: Duration::MAX,
        kill_after: Duration::MAX,
        ..TIMES
    };
    assert!(busy(times, Instant::now()).due().is_some());
}
