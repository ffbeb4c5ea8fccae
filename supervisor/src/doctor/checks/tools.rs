//! Programs: present, and made for this machine.

use std::path::Path;

use crate::config::FlavorName;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use crate::flavor;
use crate::sys::program;

pub(super) const CHECKS: &[Check] = &[RUNNER, NEEDS];

const RUNNER: Check = Check {
    id: "tools.runner",
    title: "The runner's program is there",
    how: "Looks for the flavor's program in PATH and reads which machine it is made for.",
    duty: Duty::Job,
    preflight: true,
    look: runner,
    cases: &[NO_RUNNER, FOREIGN],
    ..Check::NEW
};
const NEEDS: Check = Check {
    id: "tools.needs",
    title: "The runner has what it needs",
    how: "Asks the flavor: its program, the form and the end of its tokens, where it registers. Nothing is started or taken.",
    duty: Duty::Job,
    after: &["tools.runner"],
    look: needs,
    cases: &[UNFIT],
    ..Check::NEW
};
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
    means: "This image is made for another kind of machine than this node.",
    cure: "Build the image for this node's architecture, or let the pod choose nodes that fit:\n  nodeSelector: {kubernetes.io/arch: amd64}",
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
    present(&path)
}

fn needs(scene: &Scene) -> Finding {
    let flavor = scene.config.flavor.name();
    match flavor::look(&scene.config) {
        Ok(()) => Finding::ok(format!("the flavor {flavor} finds all it needs")),
        Err(error) => Finding::case(UNFIT, error.to_string()).fill("flavor", flavor),
    }
}

fn present(path: &Path) -> Finding {
    let shown = path.display();
    match program::foreign_machine(path) {
        Some(machine) => Finding::case(FOREIGN, format!("{shown} is made for {machine}")),
        None => Finding::ok(shown.to_string()),
    }
}
