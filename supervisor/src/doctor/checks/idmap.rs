//! The user and group ids of a build: the helpers that map them, the ranges that they use, and a probe of both.

mod helpers;
mod subordinate;

use nix::unistd::getuid;

use super::privileges;
use super::probes::probe;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use linux::userns_probe;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "idmap.helpers",
        title: "newuidmap and newgidmap have the right to map ids",
        method: "Finds both in PATH. Reads their mode, owner and file capabilities, and the flags of their mount.",
        duty: Duty::Builds,
        preflight: true,
        run: helpers::run,
        findings: helpers::FINDINGS,
        ..Check::DEFAULT
    },
    Check {
        id: "idmap.subordinate",
        title: "This user has subordinate ids",
        method: "Reads /etc/subuid and /etc/subgid by name and by number. Compares the ranges with each other and with the ids of this container.",
        duty: Duty::Builds,
        preflight: true,
        run: subordinate::run,
        findings: subordinate::FINDINGS,
        ..Check::DEFAULT
    },
    Check {
        id: "idmap.map",
        title: "A user namespace with these ids can be made",
        method: "A child process makes a user namespace. newuidmap and newgidmap map the ids (root writes the map itself). The child becomes root in it.",
        duty: Duty::Builds,
        needs: &[
            "userns.create",
            "privileges.no-new-privs",
            "privileges.capabilities",
            "idmap.helpers",
            "idmap.subordinate",
        ],
        preflight: true,
        run: map,
        findings: &[UNMAPPED, NO_OPENAT2],
        ..Check::DEFAULT
    },
];

const UNMAPPED: Finding = Finding::fails("refused")
    .means("All checks of the id map passed, but mapping the ids failed. Buildah will fail with \"newuidmap: write to uid_map failed\", or go on with a single id and fail later.")
    .remedy("supervisor doctor --json    # open an issue with this output: the cause is not known yet");
const NO_OPENAT2: Finding = Finding::fails("openat2")
    .means("newuidmap opens the id map with openat2(2), and does not fall back to open(2) (shadow 4.17.4-2+deb13u1, Debian 13). The seccomp filter of this container refuses openat2(2).")
    .remedy(privileges::SECCOMP.remedy);

fn map(_: &Context) -> Observation {
    match probe(userns_probe::MAPPED, true) {
        Ok(()) => Observation::ok("a child process made one and became root in it"),
        // Root maps the ids itself, with open(2).
        Err(refusal) if !getuid().is_root() && privileges::is_filtered("openat2") => {
            Observation::problem(NO_OPENAT2, refusal.text())
        }
        Err(refusal) => Observation::problem(UNMAPPED, refusal.text()),
    }
}
