//! Programs: whether they exist, run, and are built for this machine.

use std::path::Path;

use crate::config::FlavorName;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use crate::flavor;
use linux::program::{self, Version};
use linux::scratch::Scratch;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "tools.runner",
        title: "The runner's program exists",
        method: "Looks for the flavor's program in PATH, and reads its machine type.",
        duty: Duty::Job,
        preflight: true,
        run: runner,
        findings: &[NO_RUNNER, FOREIGN],
        ..Check::DEFAULT
    },
    Check {
        id: "tools.needs",
        title: "The runner has everything that it needs",
        method: "Checks the flavor's program, the form and the expiry of its tokens, and its server. Starts nothing and removes nothing.",
        duty: Duty::Job,
        needs: &["tools.runner"],
        run: needs,
        findings: &[UNFIT],
        ..Check::DEFAULT
    },
    Check {
        id: "tools.buildah",
        title: "buildah exists, runs, and has no known vulnerability",
        method: "Looks for it in PATH, reads its machine type, and runs buildah --version.",
        duty: Duty::Builds,
        run: buildah,
        findings: &[NO_BUILDAH, FOREIGN, BROKEN, VULNERABLE],
        ..Check::DEFAULT
    },
    Check {
        id: "tools.git",
        title: "git exists",
        method: "Looks for it in PATH and runs git --version.",
        duty: Duty::Job,
        run: git,
        findings: &[NO_GIT, FOREIGN, BROKEN],
        ..Check::DEFAULT
    },
    Check {
        id: "tools.runtime",
        title: "A container runtime runs, if there is one",
        method: "Looks for crun and runc in PATH and runs them with --version. Builds under chroot isolation need neither.",
        duty: Duty::Builds,
        run: runtime,
        findings: &[BROKEN_RUNTIME],
        ..Check::DEFAULT
    },
];

const UNFIT: Finding = Finding::fails("unfit")
    .means("The runner would not start, or its server would refuse it.")
    .remedy("Change what the text found above names. docs/{flavor}.md lists everything that the flavor {flavor} needs.");

const NO_RUNNER: Finding = Finding::fails("missing")
    .means("The flavor {flavor} starts the program {program} as the job's runner. This program is not in this image.")
    .remedy("Use the image that has it, or another flavor:\n  SUPERVISOR_FLAVOR=exec");
const FOREIGN: Finding = Finding::fails("foreign")
    .means("The program {program} in this image is built for another machine type than this node and the supervisor.")
    .remedy("Use {program} for {arch}. If the image's Containerfile downloads or builds it, select the machine type of the image:\n  ARG TARGETARCH    # {arch} here");

const NO_BUILDAH: Finding = Finding::fails("missing")
    .means("This container must build images, but buildah is not in this image.")
    .remedy("In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --no-install-recommends buildah uidmap");
const BROKEN: Finding = Finding::fails("broken")
    .means("The program exists but does not run. A library is missing, or its file system is mounted noexec.")
    .remedy("ldd {path}; findmnt --target {path}    # shows which");
const VULNERABLE: Finding = Finding::warns("old")
    .means("With buildah before 1.37.6 (or 1.35.5, 1.33.12, 1.38.1 of their series), a hostile Containerfile can reach files outside the build: CVE-2024-9407, CVE-2024-9675, CVE-2024-11218. A distribution may have fixed an older version without a new number.")
    .remedy("See whether your version is fixed: https://security-tracker.debian.org/tracker/source-package/golang-github-containers-buildah\nIn the image's Containerfile, use a distribution with a newer version:\n  FROM docker.io/library/debian:trixie");
const BROKEN_RUNTIME: Finding = Finding::warns("broken")
    .means("Builds under the isolations oci and rootless would fail. Builds under the isolation chroot, which this image uses, work.")
    .remedy("In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --reinstall crun");
const NO_GIT: Finding = Finding::warns("missing")
    .means("Jobs fetch their sources with git, but git is not in this image.")
    .remedy("In the image's Containerfile:\n  RUN apt-get update && apt-get install --yes --no-install-recommends git");

fn runner(context: &Context) -> Observation {
    let flavor = context.config.flavor;
    let listener = context.config.github.directory.join("bin/Runner.Listener");
    let listener = listener.to_string_lossy();
    let circleci = context.config.circleci.program.to_string_lossy();
    let name = match flavor {
        FlavorName::Github => &*listener,
        FlavorName::Circleci => &*circleci,
        FlavorName::Local => "act",
        FlavorName::Exec => match context.config.exec.command.first() {
            Some(name) => name,
            None => return Observation::skipped("exec.command is not set"),
        },
    };
    if name.contains('/') && !Path::new(name).is_absolute() {
        return Observation::skipped("its path is relative to the job's directory");
    }
    let Some(path) = program::find(name) else {
        let place = if name.contains('/') {
            "does not exist or is not executable"
        } else {
            "is not in PATH"
        };
        return Observation::problem(NO_RUNNER, format!("{name} {place}"))
            .fill("flavor", flavor.name())
            .fill("program", name);
    };
    foreign(&path).unwrap_or_else(|| Observation::ok(path.display().to_string()))
}

fn needs(context: &Context) -> Observation {
    if let Some(reason) = context.secrets_taken() {
        return Observation::skipped(format!("its secrets are {reason}"));
    }
    let flavor = context.config.flavor.name();
    match flavor::look(&context.config) {
        Ok(()) => Observation::ok(format!("the flavor {flavor} has everything that it needs")),
        Err(error) => Observation::problem(UNFIT, error.to_string()).fill("flavor", flavor),
    }
}

fn foreign(path: &Path) -> Option<Observation> {
    let machine = program::foreign_machine(path)?;
    let found = format!("{} is built for {machine}", path.display());
    let name = path.file_name().unwrap_or(path.as_os_str());
    let finding = Observation::problem(FOREIGN, found)
        .fill("program", name.to_string_lossy())
        .fill("arch", platform(std::env::consts::ARCH));
    Some(finding)
}

/// Returns the name of a machine type in images and Kubernetes.
fn platform(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// Returns a program's version, or the problem with it.
fn version(context: &Context, name: &str, missing: Finding) -> Result<Version, Box<Observation>> {
    let Some(path) = program::find(name) else {
        return Err(Observation::problem(missing, format!("{name} is not in PATH")).into());
    };
    if let Some(finding) = foreign(&path) {
        return Err(finding.into());
    }
    // crun needs a writable runtime directory even for --version.
    let temporary = std::env::temp_dir();
    let places = [&context.config.runtime_directory, &temporary];
    let _guards = places.map(|place| context.guard(place));
    let scratch = places
        .iter()
        .find_map(|place| Scratch::create_in(place).ok());
    let home = scratch.as_ref().map_or(Path::new("/"), Scratch::path);
    program::version(&path, home).map_err(|error| {
        let shown = path.display().to_string();
        let found = format!("{shown} {error}");
        Observation::problem(BROKEN, found)
            .fill("path", shown)
            .into()
    })
}

fn buildah(context: &Context) -> Observation {
    match version(context, "buildah", NO_BUILDAH) {
        Ok(version) if !is_fixed(version.numbers) => Observation::problem(VULNERABLE, version.text),
        Ok(version) => Observation::ok(version.text),
        Err(finding) => *finding,
    }
}

/// The first release of each series that fixes CVE-2024-11218, the latest of the list.
const FIXED: [[u32; 3]; 4] = [[1, 33, 12], [1, 35, 5], [1, 37, 6], [1, 38, 1]];

fn is_fixed(found: [u32; 3]) -> bool {
    let newest = FIXED[FIXED.len() - 1];
    let series = |fixed: &[u32; 3]| fixed[..2] == found[..2] && found[2] >= fixed[2];
    found >= newest || FIXED.iter().any(series)
}

fn git(context: &Context) -> Observation {
    let found = version(context, "git", NO_GIT);
    found.map_or_else(|finding| *finding, |version| Observation::ok(version.text))
}

/// If both exist, one that works is enough.
fn runtime(context: &Context) -> Observation {
    let mut wrong = None;
    for path in ["crun", "runc"]
        .into_iter()
        .filter(|name| program::find(name).is_some())
    {
        match version(context, path, NO_BUILDAH) {
            Ok(version) => return Observation::ok(version.text),
            Err(finding) => wrong = Some(finding.found().to_owned()),
        }
    }
    match wrong {
        Some(found) => Observation::problem(BROKEN_RUNTIME, found),
        None => Observation::ok("neither exists: isolation chroot only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_program_remedy_names_the_machine_type() {
        // An ELF file of a machine type that does not exist.
        let mut elf = std::fs::read("/proc/self/exe").unwrap();
        elf.truncate(64);
        elf[18..20].copy_from_slice(&[0x16, 0x7f]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("buildah");
        std::fs::write(&path, elf).unwrap();
        let context = Context::of(&crate::config::Config::default());
        let result = foreign(&path).unwrap().into_result(&CHECKS[2], &context);
        assert!(result.means.unwrap().starts_with("The program buildah "));
        let remedy = result.remedy.unwrap();
        let arch = platform(std::env::consts::ARCH);
        assert!(
            remedy.starts_with(&format!("Use buildah for {arch}.")),
            "{remedy}"
        );
    }

    #[test]
    fn series_is_fixed_by_its_own_release() {
        for fixed in [[1, 39, 3], [1, 37, 6], [1, 33, 12], [1, 38, 1]] {
            assert!(is_fixed(fixed), "{fixed:?}");
        }
        for open in [[1, 28, 2], [1, 36, 9], [1, 38, 0], [1, 37, 5]] {
            assert!(!is_fixed(open), "{open:?}");
        }
    }
}
