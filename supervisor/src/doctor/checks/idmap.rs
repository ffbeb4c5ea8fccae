//! The user and group ids of a build: the helpers that map them, the ranges they come from, and the whole of it tried.

use std::io::ErrorKind;

use caps::{CapSet, Capability};
use nix::unistd::{getgid, getuid};

use super::privileges;
use super::trials::ask;
use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::duty::Duty;
use crate::doctor::scene::{Scene, user};
use linux::idmap::{Kind, Range, parse_map, subordinate_ranges};
use linux::program;
use linux::rooms;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "idmap.helpers",
        title: "newuidmap and newgidmap have the right to map ids",
        how: "Finds both in PATH and reads mode, owner, file capabilities and the flags of the mount that holds them.",
        duty: Duty::Builds,
        preflight: true,
        look: helpers,
        cases: &[NO_HELPER, NO_RIGHT, NOSUID, POWERLESS, SETUID],
        ..Check::NEW
    },
    Check {
        id: "idmap.subordinate",
        title: "This user has subordinate ids",
        how: "Reads /etc/subuid and /etc/subgid by name and by number, and compares the ranges with each other and with the ids that exist in this container.",
        duty: Duty::Builds,
        preflight: true,
        look: subordinate,
        cases: &[
            NO_FILE, MALFORMED, NO_ENTRY, OVERLAP, OUTSIDE, OWN_ID, TOO_FEW,
        ],
        ..Check::NEW
    },
    Check {
        id: "idmap.map",
        title: "A user namespace with these ids can be made",
        how: "A child makes a user namespace, newuidmap and newgidmap map the ids (as root we write the map ourselves), the child becomes root in it.",
        duty: Duty::Builds,
        after: &[
            "userns.create",
            "privileges.no-new-privs",
            "privileges.capabilities",
            "idmap.helpers",
            "idmap.subordinate",
        ],
        preflight: true,
        look: map,
        cases: &[UNMAPPED, NO_OPENAT2],
        ..Check::NEW
    },
];

const MEANS: &str = "Files in an image belong to many users, so a build needs many user ids, and these two programs hand them out.";
const REBUILD: &str = "In the image's Containerfile, in the last step that touches these files:\n  RUN apt-get update && apt-get install --yes uidmap libcap2-bin && \\\n      chmod u-s /usr/bin/newuidmap /usr/bin/newgidmap && \\\n      setcap cap_setuid+ep /usr/bin/newuidmap && setcap cap_setgid+ep /usr/bin/newgidmap";

const NO_HELPER: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: MEANS,
    cure: REBUILD,
};
const NO_RIGHT: Case = Case {
    name: "no-right",
    status: Status::Fail,
    means: "Files in an image belong to many users, so a build needs many user ids. The programs that hand them out are here, but without the file capability that gives them the right to: it gets lost where an image is copied or flattened without extended attributes.",
    cure: REBUILD,
};
const NOSUID: Case = Case {
    name: "nosuid",
    status: Status::Fail,
    means: "The file system that holds newuidmap and newgidmap is mounted nosuid, which makes the kernel ignore the right that their files carry.",
    cure: "Take the volume or mount over {directory} out of the pod spec, or mount it without nosuid; on the node, as root:\n  findmnt -o TARGET,OPTIONS --target /var/lib/containerd",
};
const POWERLESS: Case = Case {
    name: "setuid-powerless",
    status: Status::Fail,
    means: "These programs are setuid root, and as root they write a map only with the capabilities DAC_OVERRIDE and SYS_ADMIN, which this container rightly has not. With a file capability of their own they need neither.",
    cure: REBUILD,
};
const SETUID: Case = Case {
    name: "setuid",
    status: Status::Warn,
    means: "The programs work, but as setuid root: a way to root for every process of the job, where one capability of one file would do.",
    cure: REBUILD,
};
const NO_FILE: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "Files in an image belong to many users, so a build needs many user ids, and this file says which ones this user may take. It is not there.",
    cure: RANGES,
};
const MALFORMED: Case = Case {
    name: "malformed",
    status: Status::Fail,
    means: "Files in an image belong to many users, so a build needs many user ids. The line that grants them to this user cannot be read: it must be NAME:FIRST:COUNT.",
    cure: RANGES,
};
const NO_ENTRY: Case = Case {
    name: "no-entry",
    status: Status::Fail,
    means: "Files in an image belong to many users, so a build needs many user ids, and no line of this file grants any to the user that this container runs as.",
    cure: RANGES,
};
const OVERLAP: Case = Case {
    name: "overlap",
    status: Status::Fail,
    means: "Two of the ranges that this user is granted hold the same ids, and the kernel refuses a map that holds one twice.",
    cure: RANGES,
};
const OUTSIDE: Case = Case {
    name: "outside",
    status: Status::Fail,
    means: "This container has only some of the node's user ids (it lives in a user namespace), and the ranges that this user is granted are not among them. Buildah's own message blames newuidmap.",
    cure: RANGES,
};
const OWN_ID: Case = Case {
    name: "own-id",
    status: Status::Fail,
    means: "The ranges hold this user's own id, which becomes root of the build: the kernel refuses a map that holds one twice.",
    cure: RANGES,
};
const TOO_FEW: Case = Case {
    name: "too-few",
    status: Status::Warn,
    means: "Most images need the ids up to 65535 (nobody is 65534). A build fails at the first file of a higher one: \"potentially insufficient UIDs or GIDs available in user namespace\".",
    cure: RANGES,
};
const RANGES: &str = "In the image's Containerfile (ids that exist in every pod, less this user's own and its group's):\n  RUN printf '{subuids}' >/etc/subuid && printf '{subgids}' >/etc/subgid\nOn a node or workstation, as root:\n  usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}";
const UNMAPPED: Case = Case {
    name: "refused",
    status: Status::Fail,
    means: "Everything that gives a build its user ids looks right, and still it was refused. Buildah will say \"newuidmap: write to uid_map failed\", or go on with a single id and fail later.",
    cure: "supervisor doctor --json    # and open an issue with it: this case is not known yet",
};
const NO_OPENAT2: Case = Case {
    name: "openat2",
    status: Status::Fail,
    means: "newuidmap opens the map of ids with openat2(2), without another way (shadow 4.17.4-2+deb13u1, Debian 13). The seccomp filter of this container refuses that system call.",
    cure: privileges::SECCOMP.cure,
};

fn helpers(_: &Scene) -> Finding {
    if is_root() {
        return Finding::skipped("root writes the map itself");
    }
    let mut wrong: Vec<Finding> = [Kind::User, Kind::Group]
        .into_iter()
        .filter_map(helper)
        .collect();
    wrong.sort_by_key(|finding| !finding.is_fatal());
    let ok = || Finding::ok("newuidmap has cap_setuid=ep, newgidmap has cap_setgid=ep");
    wrong.into_iter().next().unwrap_or_else(ok)
}

fn is_root() -> bool {
    getuid().is_root()
}

/// What is wrong with one helper.
fn helper(kind: Kind) -> Option<Finding> {
    let name = kind.helper();
    let Some(path) = program::find(name) else {
        return Some(Finding::case(NO_HELPER, format!("{name} is not in PATH")));
    };
    let shown = path.display();
    let rights = match program::rights(&path) {
        Ok(rights) => rights,
        Err(error) => return Some(Finding::case(NO_HELPER, format!("{shown}: {error}"))),
    };
    let capability = match kind {
        Kind::User => Capability::CAP_SETUID,
        Kind::Group => Capability::CAP_SETGID,
    };
    if rights.nosuid {
        let directory = path.parent().unwrap_or(&path).display().to_string();
        let found = format!("{shown} lies on a mount with nosuid");
        return Some(Finding::case(NOSUID, found).fill("directory", directory));
    }
    let granted = rights.permitted & (1 << capability.index()) != 0;
    if rights.setuid_root {
        let needed = [Capability::CAP_DAC_OVERRIDE, Capability::CAP_SYS_ADMIN];
        let has = |capability| caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false);
        if !needed.into_iter().all(has) {
            let found = format!("{shown} is setuid root, without SYS_ADMIN and DAC_OVERRIDE");
            return Some(Finding::case(POWERLESS, found));
        }
        return Some(Finding::case(SETUID, format!("{shown} is setuid root")));
    }
    match (granted, rights.effective) {
        (true, true) => None,
        (true, false) => {
            let found = format!("the capability of {shown} is permitted but not effective");
            Some(Finding::case(NO_RIGHT, found))
        }
        (false, _) => {
            let found = format!("{shown} is neither setuid root nor has it {capability}");
            Some(Finding::case(NO_RIGHT, found))
        }
    }
}

fn subordinate(_: &Scene) -> Finding {
    let mut totals = Vec::new();
    for kind in [Kind::User, Kind::Group] {
        match ranges(kind) {
            Ok(Some(total)) => totals.push((kind.subordinate_file(), total)),
            Ok(None) => {}
            Err((case, found)) => return wrong(case, found),
        }
    }
    if totals.is_empty() {
        return Finding::skipped("root takes all ids that this container has");
    }
    let few = totals.iter().find(|(_, total)| *total < 65534);
    if let Some((file, total)) = few {
        let found = format!(
            "{file} grants {total} ids, with this user's own {}",
            total + 1
        );
        return wrong(TOO_FEW, found);
    }
    let told = totals
        .iter()
        .map(|(file, total)| format!("{total} in {file}"));
    Finding::ok(told.collect::<Vec<_>>().join(", "))
}

/// The two files differ where the user's number and its group's do.
fn wrong(case: Case, found: String) -> Finding {
    let name = user();
    Finding::case(case, found)
        .fill("subuids", advice(&name, own(Kind::User)))
        .fill("subgids", advice(&name, own(Kind::Group)))
}

/// The id that becomes root of the build.
fn own(kind: Kind) -> u32 {
    match kind {
        Kind::User => getuid().as_raw(),
        Kind::Group => getgid().as_raw(),
    }
}

/// Two ranges around `own` that exist in a pod of 65536 ids.
fn advice(user: &str, own: u32) -> String {
    if own == 0 || own > 65535 {
        return format!("{user}:1:65535\\n");
    }
    let range = |first: u32, count: u32| match count {
        0 => String::new(),
        _ => format!("{user}:{first}:{count}\\n"),
    };
    range(1, own - 1) + &range(own + 1, 65535 - own)
}

/// How many ids a file grants us, or what is wrong with it; `None` where root has no line and so needs none.
fn ranges(kind: Kind) -> Result<Option<u64>, (Case, String)> {
    let file = kind.subordinate_file();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if is_root() && error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err((NO_FILE, format!("{file}: {error}"))),
    };
    if is_root() && subordinate_ranges(&text, Some(&user()), 0).is_empty() {
        return Ok(None);
    }
    let map = std::fs::read_to_string(kind.map_file("self")).unwrap_or_default();
    let inside = parse_map(&map).into_iter().map(|line| Range {
        start: line.inside,
        count: line.count,
    });
    judge(
        &text,
        &user(),
        getuid().as_raw(),
        own(kind),
        &inside.collect::<Vec<_>>(),
    )
    .map(Some)
    .map_err(|(case, found)| (case, format!("{file}: {found}")))
}

/// The number of ids granted to `name` or `uid`, other than `own`, of those `inside` this container.
fn judge(
    text: &str,
    name: &str,
    uid: u32,
    own: u32,
    inside: &[Range],
) -> Result<u64, (Case, String)> {
    let ranges = subordinate_ranges(text, Some(name), uid);
    let number = uid.to_string();
    let mentions = |line: &&str| {
        let owner = line.split(':').next().unwrap_or_default().trim();
        owner == name || owner == number
    };
    let lines = text.lines().filter(mentions).count();
    if ranges.is_empty() && lines == 0 {
        return Err((NO_ENTRY, format!("no line for {name} or {uid}")));
    }
    if ranges.len() < lines {
        return Err((
            MALFORMED,
            format!(
                "{} of {lines} lines for {name} cannot be read",
                lines - ranges.len()
            ),
        ));
    }
    for (index, range) in ranges.iter().enumerate() {
        let shown = format!("{}:{}", range.start, range.count);
        if ranges[..index].iter().any(|other| overlap(*range, *other)) {
            return Err((OVERLAP, format!("{shown} overlaps another range of {name}")));
        }
        if overlap(
            *range,
            Range {
                start: own,
                count: 1,
            },
        ) {
            return Err((
                OWN_ID,
                format!("{shown} holds {own}, which is {name} itself"),
            ));
        }
        if !covered(*range, inside) {
            let ids = inside
                .iter()
                .map(|range| format!("{}:{}", range.start, range.count));
            let ids = ids.collect::<Vec<_>>().join(", ");
            return Err((
                OUTSIDE,
                format!("{shown} is not within the ids of this container ({ids})"),
            ));
        }
    }
    Ok(ranges.iter().map(|range| u64::from(range.count)).sum())
}

fn overlap(one: Range, other: Range) -> bool {
    let end = |range: Range| u64::from(range.start) + u64::from(range.count);
    u64::from(one.start) < end(other) && u64::from(other.start) < end(one)
}

/// Whether every id of a range is in one of the others; the kernel wants each line of a map within one extent.
fn covered(range: Range, inside: &[Range]) -> bool {
    inside.is_empty() || inside.iter().any(|extent| range.within(*extent))
}

fn map(_: &Scene) -> Finding {
    match ask(rooms::MAPPED, true) {
        Ok(()) => Finding::ok("made one, and became root in it"),
        // Root maps the ids itself, with open(2).
        Err(refusal) if !is_root() && privileges::is_filtered("openat2") => {
            Finding::case(NO_OPENAT2, refusal.told())
        }
        Err(refusal) => Finding::case(UNMAPPED, refusal.told()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: [Range; 1] = [Range {
        start: 0,
        count: 65536,
    }];

    fn case(text: &str) -> &'static str {
        judge(text, "runner", 1000, 1000, &POD).map_or_else(|(case, _)| case.name, |_| "ok")
    }

    #[test]
    fn each_fault_of_the_file_has_its_own_case() {
        assert_eq!(case("runner:1:999\nrunner:1001:64535\n"), "ok");
        assert_eq!(case("1000:1:999\n"), "ok");
        assert_eq!(case("root:1:999\n"), "no-entry");
        assert_eq!(case(""), "no-entry");
        assert_eq!(case("runner:1\n"), "malformed");
        assert_eq!(case("runner:1:999\nrunner:x:1\n"), "malformed");
        assert_eq!(case("runner:1:999\nrunner:500:10\n"), "overlap");
        assert_eq!(case("runner:1:65535\n"), "own-id");
        assert_eq!(case("runner:100000:65536\n"), "outside");
        assert_eq!(case("runner:60000:6000\n"), "outside");
    }

    #[test]
    fn what_is_advised_is_granted_for_each_id_apart() {
        for own in [0, 1, 2, 1000, 2000, 65534, 65535, 100_000] {
            let text = advice("runner", own).replace("\\n", "\n");
            let total = judge(&text, "runner", 1000, own, &POD);
            assert!(total.is_ok_and(|total| total >= 65534), "{own}: {text}");
        }
    }

    #[test]
    fn the_line_to_paste_serves_user_and_group_apart() {
        let check = &CHECKS[1];
        let finding = Finding::case(OWN_ID, "")
            .fill("subuids", advice("runner", 1000))
            .fill("subgids", advice("runner", 2000));
        let scene = Scene::of(&crate::config::Config::default());
        let cure = finding.outcome(check, &scene).cure.unwrap();
        let line = "RUN printf 'runner:1:999\\nrunner:1001:64535\\n' >/etc/subuid && printf 'runner:1:1999\\nrunner:2001:63535\\n' >/etc/subgid";
        assert!(cure.contains(line), "{cure}");
    }
}
