//! What stands in front of the task agent's command line: word to PID 1, and another user where we are root.
//!
//! A task of another uid can neither read nor signal the runner; without root it is the same uid, and the runner's program
//! being execute-only closes its memory.

use std::path::Path;

use nix::unistd::{Gid, Uid, chown};

use crate::config::Config;
use crate::flavor::FlavorError;

/// The user of the runner image.
const TASK_ID: u32 = 1000;

/// The words of `runner.command_prefix`.
pub(super) fn prefix(
    config: &Config,
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
    let own = &config.circleci.command_prefix;
    if own.is_empty() && Uid::effective().is_root() {
        give_away(config)?;
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
    }
    words.extend(own.iter().cloned());
    Ok(words)
}

/// The task's directories become the task's.
fn give_away(config: &Config) -> Result<(), FlavorError> {
    let workspace = &config.workspace;
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
                "cannot give {} to the task's user {TASK_ID}: {errno}; give the container CHOWN, or run it as uid 1000",
                path.display()
            ),
        })?;
    }
    Ok(())
}
