//! `docker save` and `load`, and those of podman.

use super::arguments::Parsed;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::images::ONE_PLATFORM;
use super::plan::{Command, Load, SavedImage, Stdout, Step};
use super::planner::{Planner, text};
use super::reference;
use super::verbs::{Program, Translation, Verb};

const SAVE_EFFECT: &str = "`buildah push` of each image to a docker-archive; the client puts them into one archive, with Docker's names";

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["save", "image save"],
        flags: &[SAVE],
        effect: SAVE_EFFECT,
        translation: Translation::Steps(save),
    },
    LOAD_VERB,
];

pub(super) const PODMAN_VERBS: &[Verb] = &[
    Verb {
        names: &["save", "image save"],
        flags: &[SAVE, PODMAN_SAVE],
        effect: SAVE_EFFECT,
        translation: Translation::Steps(save),
    },
    LOAD_VERB,
];

const LOAD_VERB: Verb = Verb {
    names: &["load", "image load"],
    flags: &[LOAD],
    effect: "`buildah pull` of each image in a docker-archive, or of an oci-archive; the archive may be compressed and anywhere in the job",
    translation: Translation::Steps(load),
};

const SAVE: &[Flag] = &[
    value(
        "output",
        Some('o'),
        FlagPolicy::Handled("the archive; the default is standard output"),
    ),
    value("platform", None, ONE_PLATFORM),
];

const PODMAN_SAVE: &[Flag] = &[
    value(
        "format",
        None,
        FlagPolicy::Handled(
            "`docker-archive`; any other value is not available, because the client writes that archive; use buildah push NAME oci-archive:FILE",
        ),
    ),
    switch(
        "multi-image-archive",
        Some('m'),
        FlagPolicy::Implied("an archive may have several images"),
    ),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Implied("nothing is printed"),
    ),
    switch(
        "uncompressed",
        None,
        FlagPolicy::Implied("the layers are not compressed"),
    ),
];

const LOAD: &[Flag] = &[
    value(
        "input",
        Some('i'),
        FlagPolicy::Handled("the archive; the default is standard input"),
    ),
    value("platform", None, ONE_PLATFORM),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Implied("only the names are printed"),
    ),
];

fn program(planner: &Planner<'_>) -> Program {
    if planner.command.starts_with("podman") {
        Program::Podman
    } else {
        Program::Docker
    }
}

/// Returns the name in an archive. An ID gives the image no name.
fn saved_name(image: &str, program: Program) -> Option<String> {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    let is_id =
        matches!(digits.len(), 12 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!is_id).then(|| match program {
        Program::Docker => reference::familiar(&reference::full(image)).to_owned(),
        Program::Podman => reference::local(image),
    })
}

/// Writes each archive in the scratch directory first, because the builder may not see the requested path.
fn save(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    if parsed.positional.is_empty() {
        return Err(planner.usage("expected at least one image"));
    }
    if let Some(format) = parsed
        .last("format")
        .filter(|format| *format != "docker-archive")
    {
        return Err(planner.not_available(
            &format!("--format={format}"),
            "the client writes Docker's archive",
            "buildah push NAME oci-archive:FILE",
        ));
    }
    let mut images = Vec::new();
    for image in &parsed.positional {
        let archive = planner.scratch("image.tar");
        let target = format!("docker-archive:{}", text(&archive));
        let line = ["push", "--quiet", image, &target];
        planner.step(Step::Run(Command::new(line, Stdout::Captured)));
        let name = saved_name(image, program(planner));
        images.push(SavedImage {
            archive,
            names: name.into_iter().collect(),
        });
    }
    planner.step(Step::Save {
        images,
        to: parsed.last("output").map(Into::into),
    });
    Ok(())
}

fn load(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    if !parsed.positional.is_empty() {
        return Err(planner.usage("expected no argument"));
    }
    let archive = planner.scratch("image.tar");
    let to = archive.clone();
    planner.step(match parsed.last("input") {
        Some(path) if path != "-" => Step::CopyIn {
            from: path.into(),
            to,
            what: format!("{} --input", planner.command),
        },
        _ => Step::SaveStdin { path: to },
    });
    planner.step(Step::Load(Load {
        archive,
        complete_names: program(planner) == Program::Podman,
    }));
    Ok(())
}
