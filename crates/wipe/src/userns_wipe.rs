//! Removes files of subordinate ids, in a child that is root of a user namespace with these ids.
//!
//! Source: user_namespaces(7), section "Capabilities".

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use caps::{CapSet, Capability};
use serde::{Deserialize, Serialize};

use super::openat::Opener;
use super::progress::{Counts, Progress};
use super::walk;
use linux::errno::name_of;
use linux::probe::{Probe, ProbeError, ProbeResult};
use linux::userns;

/// The name of the child on the hidden command line `supervisor probe`.
pub const NAME: &str = "wipe";
/// The child's budget if the wipe has none.
const MAX_BUDGET: Duration = Duration::from_secs(24 * 3600);
/// How long the child may take after its budget to print what it removed.
const REPORT_TIME: Duration = Duration::from_millis(300);

/// The last line of the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum ChildResult {
    Done {
        done: Counts,
        failures: Vec<(u64, String)>,
        /// There were more failures.
        incomplete: bool,
    },
    Refused(ProbeResult),
}

/// The reason why the child could not be started or did not finish.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsernsError {
    /// The child ended early, or was ended at the time limit.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The kernel refused the user namespace or its id maps.
    #[error("{call}: {errno}")]
    Refused { call: String, errno: String },
    /// The child ended without its last line.
    #[error("the child printed no counts")]
    NoCounts,
}

/// Returns whether a user namespace could give permissions that this process does not have.
pub(super) fn would_help() -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    !(has(Capability::CAP_DAC_OVERRIDE) && has(Capability::CAP_FOWNER))
}

/// Empties the roots again, as root over all subordinate ids of this user.
///
/// # Errors
/// As [`UsernsError`].
pub(super) fn empty(roots: &[PathBuf], progress: &Progress) -> Result<(), UsernsError> {
    let left = progress.left().unwrap_or(MAX_BUDGET);
    let mut arguments = vec![OsString::from(left.as_millis().to_string())];
    arguments.extend(roots.iter().map(OsString::from));
    let probe = Probe {
        name: NAME,
        arguments,
        forked: None,
        mapped: true,
        timeout: left + REPORT_TIME,
    };
    let mut counted = Counts::default();
    let result = probe.run_while(&mut |output| {
        count(progress, &mut counted, output);
        // The budget may have become smaller meanwhile, which the child does not know.
        !(progress.is_over() && progress.is_over_by(REPORT_TIME))
    });
    match result? {
        ChildResult::Done {
            done,
            failures,
            incomplete,
        } => {
            progress.add(done.since(counted));
            progress.failures().merge(failures, incomplete);
            Ok(())
        }
        ChildResult::Refused(ProbeResult::Refused { call, errno }) => {
            let errno = name_of(errno);
            Err(UsernsError::Refused { call, errno })
        }
        ChildResult::Refused(ProbeResult::Works) => Err(UsernsError::NoCounts),
    }
}

/// Adds what the child's last line of progress has more than `counted`.
fn count(progress: &Progress, counted: &mut Counts, output: &str) {
    let last = output.trim_end().lines().next_back().unwrap_or_default();
    if let Ok(done) = serde_json::from_str::<Counts>(last) {
        progress.add(done.since(*counted));
        *counted = done;
    }
}

/// The child: enters its namespace, empties the roots and prints the result on stdout.
///
/// The arguments are the budget in milliseconds and the roots.
#[must_use]
pub fn run_in_child(arguments: &[OsString]) -> u8 {
    let result = match userns::enter() {
        Ok(()) => as_root(arguments),
        Err(refused) => ChildResult::Refused(refused),
    };
    match serde_json::to_string(&result) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("{error}"),
    }
    0
}

fn as_root(arguments: &[OsString]) -> ChildResult {
    let budget = arguments
        .first()
        .and_then(|text| text.to_str()?.parse().ok());
    let roots: Vec<PathBuf> = arguments.iter().skip(1).map(PathBuf::from).collect();
    let progress = Progress::new(budget.map(Duration::from_millis), None).reporting_to(print);
    walk::empty_all(Opener::find(), &roots, &progress);
    let failures = progress.failures();
    ChildResult::Done {
        done: progress.counts(),
        failures: failures.list(),
        incomplete: failures.incomplete,
    }
}

fn print(progress: Counts) {
    if let Ok(line) = serde_json::to_string(&progress) {
        println!("{line}");
    }
}
