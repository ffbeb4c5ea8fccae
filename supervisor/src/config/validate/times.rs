//! Finds times that do not fit into each other.

use super::super::{Config, FlavorName};
use super::invalid_value::{InvalidValue, invalid};
use init::terminate::LAST_WORDS;

pub(super) fn first_invalid(config: &Config) -> Option<InvalidValue> {
    let show = humantime::format_duration;
    if config.wipe.reserve >= config.termination_grace_period {
        return invalid(
            "wipe.reserve",
            format!(
                "found {}, expected less than termination_grace_period ({})",
                show(config.wipe.reserve),
                show(config.termination_grace_period)
            ),
        );
    }
    if config.grace > config.kill_after() {
        return invalid(
            "grace",
            format!(
                "found {}, expected at most {} (termination_grace_period less wipe.reserve)",
                show(config.grace),
                show(config.kill_after())
            ),
        );
    }
    if let Some(short) = steps(config) {
        return Some(short);
    }
    if config.deadline.is_some_and(|deadline| deadline.is_zero()) {
        return invalid(
            "deadline",
            "found 0s, expected more than 0s, or \"none\" for no deadline",
        );
    }
    if config.wipe.budget.is_zero() {
        return invalid("wipe.budget", "found 0s, expected more than 0s");
    }
    None
}

/// Finds a `grace` that leaves too little time to end a job's step and report its result. GitHub would show such a job as running for
/// a quarter of an hour.
fn steps(config: &Config) -> Option<InvalidValue> {
    let (grace, step) = (config.grace, config.github.step_grace);
    let needed = grace.saturating_add(step).saturating_add(LAST_WORDS);
    if config.flavor != FlavorName::Github || needed <= config.kill_after() {
        return None;
    }
    let show = humantime::format_duration;
    invalid(
        "grace",
        format!(
            "found {}, which with github.step_grace ({}) and the {} that the runner takes to report its job makes {}; expected at most {} (termination_grace_period {} less wipe.reserve {})",
            show(grace),
            show(step),
            show(LAST_WORDS),
            show(needed),
            show(config.kill_after()),
            show(config.termination_grace_period),
            show(config.wipe.reserve),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rejects_times_in_which_a_github_job_cannot_end() {
        let refused = |grace, period, reserve| {
            let mut config = Config {
                flavor: FlavorName::Github,
                grace: Duration::from_secs(grace),
                termination_grace_period: Duration::from_secs(period),
                ..Config::default()
            };
            config.wipe.reserve = Duration::from_secs(reserve);
            first_invalid(&config).map(|invalid| invalid.problem)
        };
        // The defaults, those of the manifests, and those for jobs of an hour.
        for (grace, period, reserve) in [(10, 30, 10), (45, 75, 15), (3600, 3660, 10)] {
            assert_eq!(refused(grace, period, reserve), None);
        }
        assert_eq!(refused(15, 30, 10), None);
        let text = refused(1, 12, 10).unwrap();
        for part in [
            "found 1s",
            "step_grace (2s)",
            "the 3s",
            "makes 6s",
            "at most 2s",
            "12s",
            "10s",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let mut exec = Config::default();
        exec.grace = exec.kill_after();
        assert!(first_invalid(&exec).is_none());
    }
}
