//! Programs: present, and made for this machine.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::FlavorName;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use crate::sys::program;
use crate::sys::scratch::Scratch;

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
        title: "buildah is there, runs, and has no known hole",
        how: "Looks for it in PATH, reads which machine it is made for, and asks it for its version.",
        duty: Duty::Builds,
        look: buildah,
        cases: &[NO_BUILDAH, FOREIGN, BROKEN, HOLES],
        ..Check::NEW
    },
    Check {
        id: "tools.git",
        title: "git is there",
        how: "Looks for it in PATH and asks it for its version.",
        duty: Duty::Job,
        look: git,
        cases: &[NO_GIT, FOREIGN, BROKEN],
        ..Check::NEW
    },
    Check {
        id: "tools.runtime",
        title: "A container runtime is known",
        how: "Looks for crun and runc in PATH and asks for their version. Builds under chroot isolation need neither.",
        duty: Duty::Builds,
        look: runtime,
        cases: &[],
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
    means: "This image is made for another kind of machine than this node.",
    cure: "Build the image for this node's architecture, or let the pod choose nodes that fit:\n  nodeSelector: {kubernetes.io/arch: amd64}",
};

const NO_BUILDAH: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "This container has to build images, and buildah is not in this image.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --no-install-recommends buildah uidmap",
};
const BROKEN: Case = Case {
    name: "broken",
    status: Status::Fail,
    means: "The program is there and does not run: a library is missing, or the file system that holds it is mounted noexec.",
    cure: "ldd {path}; findmnt --target {path}    # tells which",
};
const HOLES: Case = Case {
    name: "old",
    status: Status::Warn,
    means: "Releases of buildah before 1.37.6 (or 1.35.5, 1.33.12, 1.38.1 of their series) let a hostile Containerfile reach files outside the build: CVE-2024-9407, CVE-2024-9675, CVE-2024-11218. Distributions mend older ones without another number: look there.",
    cure: "https://security-tracker.debian.org/tracker/source-package/golang-github-containers-buildah\nIn the image's Containerfile, a distribution with a newer one:\n  FROM docker.io/library/debian:trixie",
};
const NO_GIT: Case = Case {
    name: "missing",
    status: Status::Warn,
    means: "Jobs fetch their sources with git, and git is not in this image.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --no-install-recommends git",
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
    let Some(path) = program::find(name) else {
        let found = format!("{name} is not in PATH");
        return Finding::case(NO_RUNNER, found)
            .fill("flavor", flavor.name())
            .fill("program", name);
    };
    foreign(&path).unwrap_or_else(|| Finding::ok(path.display().to_string()))
}

fn foreign(path: &Path) -> Option<Finding> {
    let machine = program::foreign_machine(path)?;
    let found = format!("{} is made for {machine}", path.display());
    Some(Finding::case(FOREIGN, found))
}

/// A program's first line on --version, or what is wrong with it.
fn version(scene: &Scene, name: &str, missing: Case) -> Result<String, Box<Finding>> {
    let Some(path) = program::find(name) else {
        return Err(Finding::case(missing, format!("{name} is not in PATH")).into());
    };
    if let Some(finding) = foreign(&path) {
        return Err(finding.into());
    }
    let shown = path.display().to_string();
    let broken = |why: String| {
        let found = format!("{shown} --version: {why}");
        Box::new(Finding::case(BROKEN, found).fill("path", &shown))
    };
    // Even for that, buildah writes into HOME and its runtime directory, and crun wants one.
    let places = [&scene.config.runtime_directory, &std::env::temp_dir()];
    let scratch = places.iter().find_map(|place| Scratch::beneath(place).ok());
    let home = scratch.as_ref().map_or(Path::new("/"), Scratch::path);
    let output = Command::new(&path)
        .arg("--version")
        .envs(["HOME", "TMPDIR", "XDG_RUNTIME_DIR"].map(|name| (name, home)))
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| broken(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(broken(format!("{}: {last}", output.status)));
    }
    let line = text.lines().next().unwrap_or_default();
    Ok(line.trim().to_owned())
}

fn buildah(scene: &Scene) -> Finding {
    let text = match version(scene, "buildah", NO_BUILDAH) {
        Ok(text) => text,
        Err(finding) => return *finding,
    };
    let number = text.split(' ').nth(2).unwrap_or_default().to_owned();
    match numbers(&number) {
        Some(found) if !is_mended(found) => Finding::case(HOLES, text),
        _ => Finding::ok(text).value(number),
    }
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

/// Releases upstream that mended CVE-2024-11218, the last of the list, a series each.
const MENDED: [[u32; 3]; 4] = [[1, 33, 12], [1, 35, 5], [1, 37, 6], [1, 38, 1]];

fn is_mended(found: [u32; 3]) -> bool {
    let newest = MENDED[MENDED.len() - 1];
    let series = |mended: &[u32; 3]| mended[..2] == found[..2] && found[2] >= mended[2];
    found >= newest || MENDED.iter().any(series)
}

fn git(scene: &Scene) -> Finding {
    version(scene, "git", NO_GIT).map_or_else(|finding| *finding, Finding::ok)
}

fn runtime(scene: &Scene) -> Finding {
    let found: Vec<String> = ["crun", "runc"]
        .into_iter()
        .filter_map(|name| version(scene, name, NO_BUILDAH).ok())
        .collect();
    if found.is_empty() {
        return Finding::ok("none: isolation chroot only");
    }
    Finding::ok(found.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_mended_by_its_own_release() {
        let mended = |text| is_mended(numbers(text).unwrap());
        assert!(mended("1.39.3") && mended("1.37.6") && mended("1.33.12") && mended("1.38.1"));
        assert!(!mended("1.28.2") && !mended("1.36.9") && !mended("1.38.0") && !mended("1.37.5"));
        assert_eq!(numbers("1.40.0-dev"), Some([1, 40, 0]));
    }
}
