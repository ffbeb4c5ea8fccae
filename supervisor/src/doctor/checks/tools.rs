//! Programs: present, and made for this machine.

use std::path::Path;

use crate::config::FlavorName;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use crate::flavor;
use linux::program::{self, Version};
use linux::scratch::Scratch;

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
        id: "tools.needs",
        title: "The runner has what it needs",
        how: "Asks the flavor: its program, the form and the end of its tokens, where it registers. Nothing is started or taken.",
        duty: Duty::Job,
        after: &["tools.runner"],
        look: needs,
        cases: &[UNFIT],
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
        cases: &[BROKEN_RUNTIME],
        ..Check::NEW
    },
];

const UNFIT: Case = Case {
    name: "unfit",
    status: Status::Fail,
    means: "The runner would not start, or not be let in.",
    cure: "What was found says what to change; docs/{flavor}.md says what the flavor {flavor} needs.",
};

const NO_RUNNER: Case = Case {
    name: "missing",
    status: Status::Fail,
    means: "The flavor {flavor} starts the program {program} as the job's runner, and it is not in this image.",
    cure: "Take the image that brings it, or name another flavor:\n  SUPERVISOR_FLAVOR=exec",
};
const FOREIGN: Case = Case {
    name: "foreign",
    status: Status::Fail,
    means: "The program {program} in this image is made for another kind of machine than this node, and than the supervisor beside it.",
    cure: "Take {program} for {arch}. Where the image's Containerfile fetches or builds it, by the name of the machine that the image is for:\n  ARG TARGETARCH    # {arch} here",
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
const BROKEN_RUNTIME: Case = Case {
    name: "broken",
    status: Status::Warn,
    means: "Builds under the isolations oci and rootless would fail; under chroot isolation, which this image uses, they do not.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --reinstall crun",
};
const NO_GIT: Case = Case {
    name: "missing",
    status: Status::Warn,
    means: "Jobs fetch their sources with git, and git is not in this image.",
    cure: "In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --no-install-recommends git",
};

fn runner(scene: &Scene) -> Finding {
    let flavor = scene.config.flavor;
    let listener = scene.config.github.directory.join("bin/Runner.Listener");
    let listener = listener.to_string_lossy();
    let circleci = scene.config.circleci.program.to_string_lossy();
    let name = match flavor {
        FlavorName::Github => &*listener,
        FlavorName::Circleci => &*circleci,
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

fn needs(scene: &Scene) -> Finding {
    if let Some(reason) = scene.secrets_taken() {
        return Finding::skipped(format!("its secrets were {reason}"));
    }
    let flavor = scene.config.flavor.name();
    match flavor::look(&scene.config) {
        Ok(()) => Finding::ok(format!("the flavor {flavor} finds all it needs")),
        Err(error) => Finding::case(UNFIT, error.to_string()).fill("flavor", flavor),
    }
}

fn foreign(path: &Path) -> Option<Finding> {
    let machine = program::foreign_machine(path)?;
    let found = format!("{} is made for {machine}", path.display());
    let name = path.file_name().unwrap_or(path.as_os_str());
    let finding = Finding::case(FOREIGN, found)
        .fill("program", name.to_string_lossy())
        .fill("arch", platform(std::env::consts::ARCH));
    Some(finding)
}

/// A machine's name as images and nodes have it.
fn platform(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// What a program says of itself, or what is wrong with it.
fn version(scene: &Scene, name: &str, missing: Case) -> Result<Version, Box<Finding>> {
    let Some(path) = program::find(name) else {
        return Err(Finding::case(missing, format!("{name} is not in PATH")).into());
    };
    if let Some(finding) = foreign(&path) {
        return Err(finding.into());
    }
    // crun wants a runtime directory that it can write, too.
    let temporary = std::env::temp_dir();
    let places = [&scene.config.runtime_directory, &temporary];
    let _guards = places.map(|place| scene.guard(place));
    let scratch = places
        .iter()
        .find_map(|place| Scratch::create_in(place).ok());
    let home = scratch.as_ref().map_or(Path::new("/"), Scratch::path);
    program::version(&path, home).map_err(|error| {
        let shown = path.display().to_string();
        let found = format!("{shown} {error}");
        Finding::case(BROKEN, found).fill("path", shown).into()
    })
}

fn buildah(scene: &Scene) -> Finding {
    match version(scene, "buildah", NO_BUILDAH) {
        Ok(version) if !is_mended(version.numbers) => Finding::case(HOLES, version.text),
        Ok(version) => Finding::ok(version.text),
        Err(finding) => *finding,
    }
}

/// Releases upstream that mended CVE-2024-11218, the last of the list, a series each.
const MENDED: [[u32; 3]; 4] = [[1, 33, 12], [1, 35, 5], [1, 37, 6], [1, 38, 1]];

fn is_mended(found: [u32; 3]) -> bool {
    let newest = MENDED[MENDED.len() - 1];
    let series = |mended: &[u32; 3]| mended[..2] == found[..2] && found[2] >= mended[2];
    found >= newest || MENDED.iter().any(series)
}

fn git(scene: &Scene) -> Finding {
    let found = version(scene, "git", NO_GIT);
    found.map_or_else(|finding| *finding, |version| Finding::ok(version.text))
}

/// Of two that are there, the one that works counts.
fn runtime(scene: &Scene) -> Finding {
    let mut wrong = None;
    for path in ["crun", "runc"]
        .into_iter()
        .filter(|name| program::find(name).is_some())
    {
        match version(scene, path, NO_BUILDAH) {
            Ok(version) => return Finding::ok(version.text),
            Err(finding) => wrong = Some(finding.found().to_owned()),
        }
    }
    match wrong {
        Some(found) => Finding::case(BROKEN_RUNTIME, found),
        None => Finding::ok("none: isolation chroot only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_program_is_named_with_the_machine_it_is_to_be_for() {
        // An ELF file of no machine that there is.
        let mut elf = std::fs::read("/proc/self/exe").unwrap();
        elf.truncate(64);
        elf[18..20].copy_from_slice(&[0x16, 0x7f]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("buildah");
        std::fs::write(&path, elf).unwrap();
        let scene = Scene::of(&crate::config::Config::default());
        let outcome = foreign(&path).unwrap().outcome(&CHECKS[2], &scene);
        assert!(outcome.means.unwrap().starts_with("The program buildah "));
        let cure = outcome.cure.unwrap();
        let arch = platform(std::env::consts::ARCH);
        assert!(
            cure.starts_with(&format!("Take buildah for {arch}.")),
            "{cure}"
        );
    }

    #[test]
    fn a_series_is_mended_by_its_own_release() {
        for mended in [[1, 39, 3], [1, 37, 6], [1, 33, 12], [1, 38, 1]] {
            assert!(is_mended(mended), "{mended:?}");
        }
        for open in [[1, 28, 2], [1, 36, 9], [1, 38, 0], [1, 37, 5]] {
            assert!(!is_mended(open), "{open:?}");
        }
    }
}
