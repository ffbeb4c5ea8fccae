//! The subordinate ids of this user, subuid(5): whether a build can map them.

use std::io::ErrorKind;

use nix::unistd::{getgid, getuid};

use crate::doctor::check::{Finding, Observation};
use crate::doctor::context::{Context, user};
use linux::idmap::{IdRange, IdType, parse_map, subordinate_ranges};

pub(super) const FINDINGS: &[Finding] = &[
    NO_FILE, MALFORMED, NO_ENTRY, OVERLAP, OUTSIDE, OWN_ID, TOO_FEW,
];

const RANGES: &str = "In the image's Containerfile (ids that exist in every pod, without this user's own and its group's):\n  RUN printf '{subuids}' >/etc/subuid && printf '{subgids}' >/etc/subgid\nOn a node or workstation, as root:\n  usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}";

const NO_FILE: Finding = Finding::fails("missing")
    .means("Files in an image belong to many users, so a build needs many user ids. This file grants them to this user. It does not exist.")
    .remedy(RANGES);
const MALFORMED: Finding = Finding::fails("malformed")
    .means("Files in an image belong to many users, so a build needs many user ids. The line that grants them to this user is malformed: it must be NAME:FIRST:COUNT.")
    .remedy(RANGES);
const NO_ENTRY: Finding = Finding::fails("no-entry")
    .means("Files in an image belong to many users, so a build needs many user ids. No line of this file grants ids to this container's user.")
    .remedy(RANGES);
const OVERLAP: Finding = Finding::fails("overlap")
    .means("Two of this user's ranges overlap. The kernel refuses an id map that has an id twice.")
    .remedy(RANGES);
const OUTSIDE: Finding = Finding::fails("outside")
    .means("This container is in a user namespace and has only some of the node's user ids. This user's ranges are not among them. Buildah's own message blames newuidmap.")
    .remedy(RANGES);
const OWN_ID: Finding = Finding::fails("own-id")
    .means("The ranges contain this user's own id, which becomes root of the build. The kernel refuses an id map that has an id twice.")
    .remedy(RANGES);
const TOO_FEW: Finding = Finding::warns("too-few")
    .means("Most images need the ids up to 65535. A build fails at the first file with a higher id: \"potentially insufficient UIDs or GIDs available in user namespace\".")
    .remedy(RANGES);

/// What is wrong with a file, and the evidence.
type Problem = (Finding, String);

pub(super) fn run(_: &Context) -> Observation {
    let mut totals = Vec::new();
    for kind in [IdType::User, IdType::Group] {
        match granted(kind) {
            Ok(Some(total)) => totals.push((kind.subordinate_file(), total)),
            Ok(None) => {}
            Err((finding, found)) => return problem(finding, found),
        }
    }
    if totals.is_empty() {
        return Observation::skipped("root maps all ids of this container");
    }
    if let Some((file, total)) = totals.iter().find(|(_, total)| *total < 65534) {
        let with_own = total + 1;
        let found = format!("{file} grants {total} ids, {with_own} with this user's own id");
        return problem(TOO_FEW, found);
    }
    let texts = totals
        .iter()
        .map(|(file, total)| format!("{total} in {file}"));
    Observation::ok(texts.collect::<Vec<_>>().join(", "))
}

/// The remedy has a text for each file, because the uid and the gid can differ.
fn problem(finding: Finding, found: String) -> Observation {
    let name = user();
    Observation::problem(finding, found)
        .fill("subuids", suggested_ranges(&name, own(IdType::User)))
        .fill("subgids", suggested_ranges(&name, own(IdType::Group)))
}

/// Returns the id that becomes root of the build.
fn own(kind: IdType) -> u32 {
    match kind {
        IdType::User => getuid().as_raw(),
        IdType::Group => getgid().as_raw(),
    }
}

/// Returns two ranges around `own` that exist in a pod with 65536 ids.
fn suggested_ranges(user: &str, own: u32) -> String {
    if own == 0 || own > 65535 {
        return format!("{user}:1:65535\\n");
    }
    let range = |first: u32, count: u32| match count {
        0 => String::new(),
        _ => format!("{user}:{first}:{count}\\n"),
    };
    range(1, own - 1) + &range(own + 1, 65535 - own)
}

/// Counts the ids that a file grants to this user. Returns `None` if this is root and needs no line.
fn granted(kind: IdType) -> Result<Option<u64>, Problem> {
    let file = kind.subordinate_file();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if getuid().is_root() && error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err((NO_FILE, format!("{file}: {error}"))),
    };
    if getuid().is_root() && subordinate_ranges(&text, Some(&user()), 0).is_empty() {
        return Ok(None);
    }
    let map = std::fs::read_to_string(kind.map_file("self")).unwrap_or_default();
    let inside: Vec<IdRange> = parse_map(&map)
        .into_iter()
        .map(|line| IdRange {
            start: line.inside,
            count: line.count,
        })
        .collect();
    count(&text, &user(), getuid().as_raw(), own(kind), &inside)
        .map(Some)
        .map_err(|(finding, found)| (finding, format!("{file}: {found}")))
}

/// Counts the ids that `text` grants to `name` or `uid`. They must be `inside` this container and must not contain `own`.
fn count(text: &str, name: &str, uid: u32, own: u32, inside: &[IdRange]) -> Result<u64, Problem> {
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
        let malformed = lines - ranges.len();
        let found = format!("{malformed} of {lines} lines for {name} are malformed");
        return Err((MALFORMED, found));
    }
    for (index, range) in ranges.iter().enumerate() {
        check_range(*range, &ranges[..index], name, own, inside)?;
    }
    Ok(ranges.iter().map(|range| u64::from(range.count)).sum())
}

fn check_range(
    range: IdRange,
    earlier: &[IdRange],
    name: &str,
    own: u32,
    inside: &[IdRange],
) -> Result<(), Problem> {
    let shown = |range: &IdRange| format!("{}:{}", range.start, range.count);
    let this = shown(&range);
    if earlier.iter().any(|other| overlap(range, *other)) {
        return Err((OVERLAP, format!("{this} overlaps another range of {name}")));
    }
    let own_range = IdRange {
        start: own,
        count: 1,
    };
    if overlap(range, own_range) {
        return Err((OWN_ID, format!("{this} contains {own}, the id of {name}")));
    }
    if !is_covered(range, inside) {
        let ids: Vec<String> = inside.iter().map(shown).collect();
        let ids = ids.join(", ");
        let found = format!("{this} is not within the ids of this container ({ids})");
        return Err((OUTSIDE, found));
    }
    Ok(())
}

fn overlap(one: IdRange, other: IdRange) -> bool {
    let end = |range: IdRange| u64::from(range.start) + u64::from(range.count);
    u64::from(one.start) < end(other) && u64::from(other.start) < end(one)
}

/// Whether one extent of this container contains the whole range. The kernel requires that of each line of a map.
fn is_covered(range: IdRange, inside: &[IdRange]) -> bool {
    inside.is_empty() || inside.iter().any(|extent| range.within(*extent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Check;

    const POD: [IdRange; 1] = [IdRange {
        start: 0,
        count: 65536,
    }];

    fn finding(text: &str) -> &'static str {
        count(text, "runner", 1000, 1000, &POD).map_or_else(|(finding, _)| finding.name, |_| "ok")
    }

    #[test]
    fn each_fault_of_the_file_has_its_own_finding() {
        assert_eq!(finding("runner:1:999\nrunner:1001:64535\n"), "ok");
        assert_eq!(finding("1000:1:999\n"), "ok");
        assert_eq!(finding("root:1:999\n"), "no-entry");
        assert_eq!(finding(""), "no-entry");
        assert_eq!(finding("runner:1\n"), "malformed");
        assert_eq!(finding("runner:1:999\nrunner:x:1\n"), "malformed");
        assert_eq!(finding("runner:1:999\nrunner:500:10\n"), "overlap");
        assert_eq!(finding("runner:1:65535\n"), "own-id");
        assert_eq!(finding("runner:100000:65536\n"), "outside");
        assert_eq!(finding("runner:60000:6000\n"), "outside");
    }

    #[test]
    fn suggested_ranges_are_accepted_for_every_id() {
        for own in [0, 1, 2, 1000, 2000, 65534, 65535, 100_000] {
            let text = suggested_ranges("runner", own).replace("\\n", "\n");
            let total = count(&text, "runner", 1000, own, &POD);
            assert!(total.is_ok_and(|total| total >= 65534), "{own}: {text}");
        }
    }

    #[test]
    fn remedy_has_a_line_each_for_user_and_group() {
        let observation = Observation::problem(OWN_ID, "")
            .fill("subuids", suggested_ranges("runner", 1000))
            .fill("subgids", suggested_ranges("runner", 2000));
        let context = Context::of(&crate::config::Config::default());
        let remedy = observation
            .into_result(&Check::DEFAULT, &context)
            .remedy
            .unwrap();
        let line = "RUN printf 'runner:1:999\\nrunner:1001:64535\\n' >/etc/subuid && printf 'runner:1:1999\\nrunner:2001:63535\\n' >/etc/subgid";
        assert!(remedy.contains(line), "{remedy}");
    }
}
