//! Who PID 1 of the builder is: somebody whom no process of a build can be.
//!
//! kill(2), prlimit(2) and the like ask for the same user. A build has the ids that PID 1 maps for it, among them the one
//! that files of the job belong to; PID 1 takes another one, and works with the job's files all the same, setfsuid(2).

use tracing::warn;

use super::error::ServeError;
use linux::idmap::{self, Kind, left_out, parse_map};
use linux::process::{self, Identity};

/// Changes user and rights. Root of a pod's user namespace stays who it is, and works with the files of the job's user.
pub(super) fn assume(client: u32) -> Result<(), ServeError> {
    let now = Identity::effective();
    let changed = match now.uid {
        // It builds with all the ids that there are.
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
                    "the builder stays the user that builds have: a RUN step may end it. It takes the image's own file capabilities, SETUID and SETGID in the bounding set, and allowPrivilegeEscalation"
                );
                process::drop_capabilities()
            }
        },
    };
    changed.map_err(|error| ServeError {
        what: "user and capabilities cannot be changed",
        source: std::io::Error::other(error),
    })
}

fn unmapped_identity() -> Option<Identity> {
    let id = |kind: Kind| {
        let ours = std::fs::read_to_string(kind.map_file("self")).ok()?;
        left_out(&parse_map(&ours), &idmap::planned(kind).ok()?)
    };
    Some(Identity {
        uid: id(Kind::User)?,
        gid: id(Kind::Group)?,
    })
}
