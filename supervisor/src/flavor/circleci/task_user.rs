//! The prefix of the task agent's command line: it sends a notice to PID 1, and changes the user if we are root.
//!
//! A task of another uid can neither read nor signal the runner. The change needs root with more capabilities than a build.
//! Otherwise the task has the runner's uid, and the execute-only program keeps the runner's memory unreadable.

use std::path::Path;

use caps::{CapSet, Capability};
use nix::unistd::{Gid, Uid, chown};
use tracing::info;

use crate::config::Workspace;
use crate::flavor::error::FlavorError;

/// The user of the runner image.
const TASK_ID: u32 = 1000;

/// The capabilities to change the user for good, to chown its directories, to signal its processes, and to wipe its files.
const NEEDED: [Capability; 6] = [
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_CHOWN,
    Capability::CAP_KILL,
    Capability::CAP_DAC_OVERRIDE,
];

/// Whether the task runs as another user than the runner. `own` are the words of `circleci.command_prefix`.
pub(super) fn is_another(own: &[String]) -> bool {
    let has = |right: &Capability| caps::has_cap(None, CapSet::Effective, *right).unwrap_or(false);
    own.is_empty() && Uid::effective().is_root() && NEEDED.iter().all(has)
}

/// Returns the arguments of `runner.command_prefix`, with `own` at their end.
pub(super) fn prefix(
    own: &[String],
    workspace: &Workspace,
    configuration: &Path,
    events: &Path,
) -> Result<Vec<String>, FlavorError> {
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/supervisor".into());
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut words = vec![
        text(&program),
        "task".to_owned(),
        text(configuration),
        text(events),
        "--".to_owned(),
    ];
    if is_another(own) {
        give_away(workspace)?;
        words.extend(
            [
                "setpriv",
                &format!("--reuid={TASK_ID}"),
                &format!("--regid={TASK_ID}"),
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
                "--no-new-privs",
                "--",
            ]
            .map(str::to_owned),
        );
    } else if own.is_empty() && Uid::effective().is_root() {
        info!(
            "the task stays root: for a user of its own the container lacks rights (docs/circleci.md)"
        );
    }
    words.extend(own.iter().cloned());
    Ok(words)
}

/// Gives the task's directories to the task's user.
fn give_away(workspace: &Workspace) -> Result<(), FlavorError> {
    for path in [
        workspace.path.clone(),
        workspace.work(),
        workspace.home(),
        workspace.temporary(),
    ] {
        let (uid, gid) = (Uid::from_raw(TASK_ID), Gid::from_raw(TASK_ID));
        chown(&path, Some(uid), Some(gid)).map_err(|errno| FlavorError::Setting {
            flavor: "circleci",
            problem: format!(
                "cannot give {} to the task's user {TASK_ID}: {errno}; run the container as uid 1000, or set circleci.command_prefix",
                path.display()
            ),
        })?;
    }
    Ok(())
}
