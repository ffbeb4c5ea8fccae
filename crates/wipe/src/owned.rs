//! Files of subordinate ids: removed by a child that is root of the user namespace that owns them.
//!
//! Source: user_namespaces(7), "capabilities inside the namespace extend to inodes whose ids are mapped".

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use caps::{CapSet, Capability};
use serde::{Deserialize, Serialize};

use super::open::Opener;
use super::tally::{Progress, Tally};
use super::walk;
use linux::probe::{Probe, ProbeResult};
use linux::userns;

/// The child's name on our hidden command line.
pub const NAME: &str = "wipe";
/// Without a budget the child still ends.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// What the child may take to say what it did, after its budget.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What the child says at its end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Answer {
    Done {
        done: Progress,
        causes: Vec<(u64, String)>,
        /// There were more.
        forgot: bool,
    },
    Not(ProbeResult),
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
pub(super) fn empty(roots: &[PathBuf], tally: &Tally) -> Result<(), String> {
    let left = tally.left().unwrap_or(LONGEST);
    let mut arguments = vec![OsString::from(left.as_millis().to_string())];
    arguments.extend(roots.iter().map(OsString::from));
    let probe = Probe {
        name: NAME,
        arguments,
        forked: None,
        mapped: true,
        timeout: left + LAST_WORDS,
    };
    let mut counted = Progress::default();
    let answer = probe.run_while(&mut |said| {
        count(tally, &mut counted, said);
        // The budget may have become smaller meanwhile; the child does not know.
        !(tally.over() && tally.over_by(LAST_WORDS))
    });
    match answer.map_err(|error| error.to_string())? {
        Answer::Done {
            done,
            causes,
            forgot,
        } => {
            tally.add(done.since(counted));
            tally.causes().learn(causes, forgot);
            Ok(())
        }
        Answer::Not(ProbeResult::Refused { call, errno }) => {
            let errno = nix::errno::Errno::from_raw(errno);
            Err(format!("{call}: {errno:?}"))
        }
        Answer::Not(ProbeResult::Works) => Err("a child of ours said nothing".to_owned()),
    }
}

/// Adds what the child's last line of progress says beyond what was counted before.
fn count(tally: &Tally, counted: &mut Progress, said: &str) {
    let last = said.trim_end().lines().next_back().unwrap_or_default();
    if let Ok(done) = serde_json::from_str::<Progress>(last) {
        tally.add(done.since(*counted));
        *counted = done;
    }
}

/// The child: enters its namespace, empties what the arguments name, and says so on stdout.
///
/// The arguments are the budget in milliseconds and the roots.
#[must_use]
pub fn child(arguments: &[OsString]) -> u8 {
    let answer = match userns::enter() {
        Ok(()) => as_root(arguments),
        Err(verdict) => Answer::Not(verdict),
    };
    match serde_json::to_string(&answer) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("{error}"),
    }
    0
}

fn as_root(arguments: &[OsString]) -> Answer {
    let budget = arguments
        .first()
        .and_then(|text| text.to_str()?.parse().ok());
    let roots: Vec<PathBuf> = arguments.iter().skip(1).map(PathBuf::from).collect();
    let tally = Tally::new(budget.map(Duration::from_millis), None).saying(print);
    walk::empty_all(Opener::find(), &roots, &tally);
    let causes = tally.causes();
    Answer::Done {
        done: tally.progress(),
        causes: causes.list(),
        forgot: causes.forgot,
    }
}

fn print(progress: Progress) {
    if let Ok(line) = serde_json::to_string(&progress) {
        println!("{line}");
    }
}
