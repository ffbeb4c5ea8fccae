//! newuidmap and newgidmap: whether they can write an id map.

use caps::{CapSet, Capability};
use nix::unistd::getuid;

use crate::doctor::check::{Finding, Observation};
use crate::doctor::context::Context;
use linux::idmap::IdType;
use linux::program;

pub(super) const FINDINGS: &[Finding] = &[MISSING, NO_RIGHT, NOSUID, POWERLESS, SETUID];

const REBUILD: &str = "In the image's Containerfile, in the last step that changes these files:\n  RUN apt-get update && apt-get install --yes uidmap libcap2-bin && \\\n      chmod u-s /usr/bin/newuidmap /usr/bin/newgidmap && \\\n      setcap cap_setuid+ep /usr/bin/newuidmap && setcap cap_setgid+ep /usr/bin/newgidmap";

const MISSING: Finding = Finding::fails("missing")
    .means("Files in an image belong to many users, so a build needs many user ids. These two programs map them.")
    .remedy(REBUILD);
const NO_RIGHT: Finding = Finding::fails("no-right")
    .means("Files in an image belong to many users, so a build needs many user ids. The programs that map them do not have their file capability. A copy of the image without extended attributes loses it.")
    .remedy(REBUILD);
const NOSUID: Finding = Finding::fails("nosuid")
    .means("The file system of newuidmap and newgidmap is mounted nosuid. So the kernel ignores the file capabilities of these programs.")
    .remedy("Remove the volume or mount over {directory} from the pod spec, or mount it without nosuid. On the node, as root:\n  findmnt -o TARGET,OPTIONS --target /var/lib/containerd");
const POWERLESS: Finding = Finding::fails("setuid-powerless")
    .means("These programs are setuid root. As root they need the capabilities DAC_OVERRIDE and SYS_ADMIN to write a map, and this container rightly has neither. With a file capability they need neither.")
    .remedy(REBUILD);
const SETUID: Finding = Finding::warns("setuid")
    .means("The programs work, but as setuid root. That is a way to root for every process of the job. One capability of one file is enough.")
    .remedy(REBUILD);

pub(super) fn run(_: &Context) -> Observation {
    if getuid().is_root() {
        return Observation::skipped("root writes the map itself");
    }
    let mut problems: Vec<Observation> = [IdType::User, IdType::Group]
        .into_iter()
        .filter_map(problem)
        .collect();
    problems.sort_by_key(|problem| !problem.is_fatal());
    let ok = || Observation::ok("newuidmap has cap_setuid=ep, newgidmap has cap_setgid=ep");
    problems.into_iter().next().unwrap_or_else(ok)
}

/// Returns the problem with one helper, if there is one.
fn problem(kind: IdType) -> Option<Observation> {
    let problem = |finding, found: String| Some(Observation::problem(finding, found));
    let name = kind.helper();
    let Some(path) = program::find(name) else {
        return problem(MISSING, format!("{name} is not in PATH"));
    };
    let shown = path.display();
    let rights = match program::file_privileges(&path) {
        Ok(rights) => rights,
        Err(error) => return problem(MISSING, format!("{shown}: {error}")),
    };
    let capability = match kind {
        IdType::User => Capability::CAP_SETUID,
        IdType::Group => Capability::CAP_SETGID,
    };
    if rights.nosuid {
        let directory = path.parent().unwrap_or(&path).display().to_string();
        let found = format!("{shown} is on a mount with nosuid");
        return Some(Observation::problem(NOSUID, found).fill("directory", directory));
    }
    if rights.setuid_root {
        let needed = [Capability::CAP_DAC_OVERRIDE, Capability::CAP_SYS_ADMIN];
        let has = |capability| caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false);
        return if needed.into_iter().all(has) {
            problem(SETUID, format!("{shown} is setuid root"))
        } else {
            let found = format!("{shown} is setuid root, without SYS_ADMIN and DAC_OVERRIDE");
            problem(POWERLESS, found)
        };
    }
    if rights.permitted & (1 << capability.index()) == 0 {
        let found = format!("{shown} is not setuid root and does not have {capability}");
        return problem(NO_RIGHT, found);
    }
    if !rights.effective {
        let found = format!("the capability of {shown} is permitted but not effective");
        return problem(NO_RIGHT, found);
    }
    None
}
