//! Programs: present, made for this machine, and new enough.

use std::path::{Path, PathBuf};

use crate::config::FlavorName;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use crate::sys::program::{self, Version};
use crate::sys::scratch::{Guard, Scratch};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "tools.runner",
        title: "The runner's program is there",
        how: "Looks for the flavor's program in PATH and reads which machine it is made for.",
        duty: Duty::Job,
        preflight: true,
        look: runner,
        cases: &[NO_RUNNER, FOREIGN],
        ..Check::NEW
    },
    Check {
        id: "tools.buildah",
        title: "buildah is there and runs",
        how: "Looks for it in PATH, reads which machine it is made for, and asks for its version.",
        duty: Duty::Builds,
        after: &["filesystem.runtime"],
        look: buildah,
        cases: &[NO_BUILDAH, FOREIGN, BROKEN, OLD_BUILDAH],
        ..Check::NEW
    },
    Check {
        id: "tools.runtime",
        title: "The OCI runtime is known",
        how: "Asks crun, else runc, for its version. Chroot isolation, which this image uses, needs neither.",
        duty: Duty::Builds,
        after: &["filesystem.runtime"],
        look: runtime,
        cases: &[BROKEN_RUNTIME],
        ..Check::NEW
    },
    Check {
        id: "tools.git",
        title: "git is there and runs",
        how: "Asks it for its version.",
        duty: Duty::Job,
        after: &["filesystem.runtime"],
        look: git,
        cases: &[NO_GIT],
        ..Check::NEW
    },
];

const NO_RUNNER: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "The flavor {flavor} starts the program {program} as the job's runner, and it is not in this image.",
    cure: "Take the image that brings it, or name another flavor:\n  SUPERVISOR_FLAVOR=exec",
};
const FOREIGN: Case = Case {
    name: "foreign",
    status: Status::Fail,
    means: "This program is made for another kind of machine than this node, and so is the image, most likely.",
    cure: "Build the image for this node's architecture, or let the pod choose nodes that fit:\n  nodeSelector: {kubernetes.io/arch: amd64}",
};
const NO_BUILDAH: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "Buildah builds the job's images, and it is not in this image.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes buildah\nOr, where another container of the pod builds:\n  supervisor doctor --shape split",
};
const BROKEN: Case = Case {
    name: "broken",
    status: Status::Fail,
    means: "The program is there, but it does not even tell its version: a library is missing, or a file of it is damaged.",
    cure: "In the image's Containerfile, anew:\n  RUN apt-get update && apt-get install --yes --reinstall buildah",
};
const OLD_BUILDAH: Case = Case {
    name: "old",
    status: Status::Warn,
    means: "Before 1.37.6 a build could reach files of its surroundings (CVE-2024-1753, CVE-2024-9407, CVE-2024-9675, CVE-2024-11218). Distributions mend older versions too, which the number does not show: Debian's security tracker and Ubuntu's notices tell.",
    cure: "In the image's Containerfile, on a newer base (Debian 13 or later, Ubuntu 25.04 or later):\n  RUN apt-get update && apt-get install --yes buildah",
};
const BROKEN_RUNTIME: Case = Case {
    name: "broken",
    status: Status::Warn,
    means: "Builds with isolation oci would fail; with chroot isolation, which this image uses, they do not.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --reinstall crun",
};
const NO_GIT: Case = Case {
    name: "missing",
    status: Status::Warn,
    means: "Nearly every job begins with a checkout, and git is not in this image or does not run.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes git",
};

fn runner(scene: &Scene) -> Finding {
    let flavor = scene.config.flavor;
    let name = match flavor {
        FlavorName::Local => "act",
        FlavorName::Exec => match scene.config.exec.command.first() {
            Some(name) => name,
            None => return Finding::skipped("the flavor exec has no command yet"),
        },
    };
    if name.contains('/') && !Path::new(name).is_absolute() {
        return Finding::skipped("its path is relative to the job's directory");
    }
    let missing = |found: String| {
        let case = Finding::case(NO_RUNNER, found).fill("flavor", flavor.name());
        case.fill("program", name)
    };
    match program::find(name) {
        None => missing(format!("{name} is not in PATH")),
        Some(path) => foreign(&path).unwrap_or_else(|| Finding::ok(path.display().to_string())),
    }
}

fn foreign(path: &Path) -> Option<Finding> {
    let machine = program::foreign_machine(path)?;
    Some(Finding::case(
        FOREIGN,
        format!("{} is made for {machine}", path.display()),
    ))
}

/// The version that a program tells.
fn version(scene: &Scene, path: &Path) -> Result<Version, String> {
    let place = &scene.config.runtime_directory;
    let _guard = Guard::of(place);
    let home = Scratch::beneath(place).map_err(|error| format!("{}: {error}", place.display()))?;
    program::version(path, home.path()).map_err(|error| format!("{}: {error}", path.display()))
}

fn buildah(scene: &Scene) -> Finding {
    let Some(path) = program::find("buildah") else {
        return Finding::case(NO_BUILDAH, "buildah is not in PATH");
    };
    if let Some(finding) = foreign(&path) {
        return finding;
    }
    match version(scene, &path) {
        Err(found) => Finding::case(BROKEN, found),
        Ok(Version { numbers, text }) if numbers < [1, 37, 6] => Finding::case(OLD_BUILDAH, text),
        Ok(Version { text, .. }) => Finding::ok(text.clone()).value(text),
    }
}

fn runtime(scene: &Scene) -> Finding {
    let found: Option<PathBuf> = ["crun", "runc"].into_iter().find_map(program::find);
    let Some(path) = found else {
        return Finding::ok("neither crun nor runc; chroot isolation needs none");
    };
    match version(scene, &path) {
        Ok(Version { text, .. }) => Finding::ok(text.clone()).value(text),
        Err(found) => Finding::case(BROKEN_RUNTIME, found),
    }
}

fn git(scene: &Scene) -> Finding {
    let Some(path) = program::find("git") else {
        return Finding::case(NO_GIT, "git is not in PATH");
    };
    match version(scene, &path) {
        Ok(Version { text, .. }) => Finding::ok(text.clone()).value(text),
        Err(found) => Finding::case(NO_GIT, found),
    }
}
