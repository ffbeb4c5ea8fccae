//! Chooses the uid of PID 1 of the builder: one outside every build's id map.
//!
//! kill(2) and prlimit(2) compare uids, so a build cannot signal or limit PID 1. The files of the job belong to an id that
//! builds have. PID 1 opens them with setfsuid(2).

use tracing::warn;

use super::error::ServeError;
use linux::idmap::{self, IdType, parse_map, unmapped_id};
use linux::process::{self, Identity};

/// Changes the uid, the gid and the capabilities of this process. Root of a pod's user namespace keeps its uid, and opens
/// files with the uid of the job.
pub(super) fn assume(client: u32) -> Result<(), ServeError> {
    let now = Identity::effective();
    let changed = match now.uid {
        // Builds have all ids of the namespace, so no other id is left.
        0 if client == 0 => Ok(()),
        0 => {
            let files = Identity {
                uid: client,
                gid: client,
            };
            process::become_mapper(now, files)
        }
        _ => match unmapped_identity().filter(|_| process::can_map()) {
            Some(own) => process::become_mapper(own, now),
            None => {
                warn!(
                    "the builder keeps the uid that builds have, so a RUN step may end it. Another uid needs the image's file capabilities, SETUID and SETGID in the bounding set, and allowPrivilegeEscalation"
                );
                process::drop_capabilities()
            }
        },
    };
    changed.map_err(|error| ServeError {
        what: "cannot change the uid and the capabilities",
        source: std::io::Error::other(error),
    })
}

fn unmapped_identity() -> Option<Identity> {
    let id = |kind: IdType| {
        let current = std::fs::read_to_string(kind.map_file("self")).ok()?;
        unmapped_id(&parse_map(&current), &idmap::wanted_map(kind).ok()?)
    };
    Some(Identity {
        uid: id(IdType::User)?,
        gid: id(IdType::Group)?,
    })
}
