//! Files of subordinate ids: removed by a child that is root of the user namespace that owns them.
//!
//! Source: user_namespaces(7), "capabilities inside the namespace extend to inodes whose ids are mapped".

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use caps::{CapSet, Capability};
use serde::{Deserialize, Serialize};

use super::openat::Opener;
use super::progress::{Counts, Progress};
use super::walk;
use linux::errno::name_of;
use linux::probe::{Probe, ProbeResult};
use linux::userns;

/// The child's name on our hidden command line.
pub const NAME: &str = "wipe";
/// Without a budget the child still ends.
const MAX_BUDGET: Duration = Duration::from_secs(24 * 3600);
/// What the child may take to say what it did, after its budget.
const REPORT_TIME: Duration = Duration::from_millis(300);

/// What the child says at its end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum ChildResult {
    Done {
        done: Counts,
        failures: Vec<(u64, String)>,
        /// There were more.
        incomplete: bool,
    },
    Refused(ProbeResult),
}

/// Whether a namespace of our own could give permissions that we do not have.
pub(super) fn would_help() -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    !(has(Capability::CAP_DAC_OVERRIDE) && has(Capability::CAP_FOWNER))
}

/// Empties the roots once more, as root over all subordinate ids of this user.
///
/// # Errors
/// A sentence on why there was no such child, or why it did not come to its end.
pub(super) fn empty(roots: &[PathBuf], progress: &Progress) -> Result<(), String> {
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
    let answer = probe.run_while(&mut |said| {
        count(progress, &mut counted, said);
        // The budget may have become smaller meanwhile; the child does not know.
        !(progress.is_over() && progress.is_over_by(REPORT_TIME))
    });
    match answer.map_err(|error| error.to_string())? {
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
            Err(format!("{call}: {}", name_of(errno)))
        }
        ChildResult::Refused(ProbeResult::Works) => Err("a child of ours said nothing".to_owned()),
    }
}

/// Adds what the child's last line of progress says beyond what was counted before.
fn count(progress: &Progress, counted: &mut Counts, said: &str) {
    let last = said.trim_end().lines().next_back().unwrap_or_default();
    if let Ok(done) = serde_json::from_str::<Counts>(last) {
        progress.add(done.since(*counted));
        *counted = done;
    }
}

/// The child: enters its namespace, empties what the arguments name, and says so on stdout.
///
/// The arguments are the budget in milliseconds and the roots.
#[must_use]
pub fn run_in_child(arguments: &[OsString]) -> u8 {
    let answer = match userns::enter() {
        Ok(()) => as_root(arguments),
        Err(verdict) => ChildResult::Refused(verdict),
    };
    match serde_json::to_string(&answer) {
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
