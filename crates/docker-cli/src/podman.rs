//! `podman`: most verbs are Buildah's own, flags and all.

use super::arguments::{Parsed, passed};
use super::flag_specs::{Translation, Verb};
use super::images;
use super::plan::{Command, Hidden, Input, Output, Plan, Planner, Step, command, push_list};
use super::types::Unavailable;
use super::types::{Flag, FlagPolicy, switch, value};
use super::{reference, registry, system};

const SAME: &str = "the same of Buildah, with all its flags";

macro_rules! verbatim {
    ($($names:expr => $words:expr),* $(,)?) => {
        &[$(Verb { names: $names, flags: &[], becomes: SAME, by: Translation::Verbatim($words) }),*]
    };
}

/// Verbs whose flags are Buildah's own.
pub(super) const SAME_VERBS: &[Verb] = verbatim![
    &["build", "image build", "buildx build"] => &["build"],
    &["pull", "image pull"] => &["pull"],
    &["tag", "image tag"] => &["tag"],
    &["images", "image ls", "image list"] => &["images"],
    &["rmi", "image rm"] => &["rmi"],
    &["logout"] => &["logout"],
    &["image prune"] => &["rmi", "--prune"],
    &["manifest create"] => &["manifest", "create"],
    &["manifest add"] => &["manifest", "add"],
    &["manifest annotate"] => &["manifest", "annotate"],
    &["manifest inspect"] => &["manifest", "inspect"],
    &["manifest exists"] => &["manifest", "exists"],
    &["manifest remove"] => &["manifest", "remove"],
    &["manifest rm"] => &["manifest", "rm"],
];

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["push", "image push"],
        flags: &[PUSH],
        becomes: "`buildah push`; --creds becomes `buildah login`",
        by: Translation::Steps(push),
    },
    Verb {
        names: &["manifest push"],
        flags: &[PUSH],
        becomes: "`buildah manifest push`; --creds becomes `buildah login`",
        by: Translation::Steps(push),
    },
    Verb {
        names: &["login"],
        flags: &[registry::LOGIN, LOGIN],
        becomes: "`buildah login`, for this job alone; a password never stands on a command line",
        by: Translation::Steps(registry::login),
    },
    Verb {
        names: &["inspect", "image inspect"],
        flags: &[images::INSPECT],
        becomes: "as `docker inspect`",
        by: Translation::Steps(images::inspect),
    },
    Verb {
        names: &["image exists"],
        flags: &[],
        becomes: "`buildah inspect --type image`; exit code 1 where there is none",
        by: Translation::Steps(exists),
    },
    Verb {
        names: &["version"],
        flags: &[],
        becomes: "`buildah version`",
        by: Translation::Steps(version),
    },
    Verb {
        names: &["info", "system info"],
        flags: &[system::FORMAT],
        becomes: "as `docker info`; Host and Store are Buildah's",
        by: Translation::Steps(system::info),
    },
];

const PUSH: &[Flag] = &[
    value("add-compression", None, FlagPolicy::Passed),
    switch(
        "all",
        None,
        FlagPolicy::Ours("--all; a list is always pushed whole"),
    ),
    value("authfile", None, FlagPolicy::Passed),
    value("cert-dir", None, FlagPolicy::Passed),
    value("compression-format", None, FlagPolicy::Passed),
    value("compression-level", None, FlagPolicy::Passed),
    value(
        "creds",
        None,
        FlagPolicy::Ours("`buildah login --password-stdin` before the push"),
    ),
    value("digestfile", None, FlagPolicy::Ours("--digestfile")),
    switch(
        "disable-content-trust",
        None,
        FlagPolicy::Given("there is no content trust"),
    ),
    switch("force-compression", None, FlagPolicy::Passed),
    value("format", Some('f'), FlagPolicy::Passed),
    switch("quiet", Some('q'), FlagPolicy::Passed),
    switch("remove-signatures", None, FlagPolicy::Passed),
    value("retry", None, FlagPolicy::Passed),
    value("retry-delay", None, FlagPolicy::Passed),
    switch("rm", None, FlagPolicy::Passed),
    value(
        "sign-by-sigstore",
        None,
        FlagPolicy::Unavailable(
            "the builder has no keys of the job",
            "cosign on the pushed digest",
        ),
    ),
    value(
        "sign-by-sigstore-private-key",
        None,
        FlagPolicy::Unavailable(
            "the builder has no keys of the job",
            "cosign on the pushed digest",
        ),
    ),
    value(
        "sign-passphrase-file",
        None,
        FlagPolicy::Unavailable(
            "the builder has no keys of the job",
            "cosign on the pushed digest",
        ),
    ),
    switch("tls-verify", None, FlagPolicy::Passed),
];

const LOGIN: &[Flag] = &[
    value("authfile", None, FlagPolicy::Passed),
    value("cert-dir", None, FlagPolicy::Passed),
    switch("get-login", None, FlagPolicy::Passed),
    switch("tls-verify", None, FlagPolicy::Passed),
    switch("verbose", Some('v'), FlagPolicy::Passed),
];

fn push(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let (source, target) = match parsed.positional.as_slice() {
        [source] => (source, source),
        [source, target] => (source, target),
        _ => return Err(to.usage("an image and where it goes are expected")),
    };
    if let Some((user, password)) = parsed.last("creds").and_then(|creds| creds.split_once(':')) {
        let registry = reference::registry_of(target.trim_start_matches("docker://"));
        let user = format!("--username={user}");
        let line = ["login", &user, "--password-stdin", registry].map(str::to_owned);
        to.step(Step::Run(Command {
            arguments: line.into(),
            input: Input::Hidden(Hidden::new(password)),
            output: Output::Captured,
        }));
    }
    let (flags, target) = (passed(parsed), destination(target));
    // A list goes whole, as Podman has it; `buildah push` would send this machine's platform alone.
    let digest = match parsed.last("digestfile") {
        Some(digest) => digest.into(),
        None => to.scratch("digest"),
    };
    let whole = push_list(&flags, source, &target, &digest, Output::Job);
    if to.command.ends_with("manifest push") {
        to.step(whole);
        return Ok(());
    }
    let line = ["push".to_owned()].into_iter().chain(flags);
    let line = command(line.chain([source.clone(), target]), Output::Job);
    to.step(Step::Either {
        test: command(["manifest", "exists", source], Output::Dropped),
        yes: vec![whole],
        no: vec![Step::Run(line.with_digest(&digest))],
    });
    Ok(())
}

/// `TRANSPORT:…` stays as it is.
fn destination(target: &str) -> String {
    const TRANSPORTS: [&str; 7] = [
        "containers-storage:",
        "dir:",
        "docker://",
        "docker-archive:",
        "docker-daemon:",
        "oci:",
        "oci-archive:",
    ];
    if TRANSPORTS
        .iter()
        .any(|transport| target.starts_with(transport))
    {
        return target.to_owned();
    }
    reference::remote(target)
}

fn exists(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [name] = parsed.positional.as_slice() else {
        return Err(to.usage("one image is expected"));
    };
    to.step(Step::Either {
        test: command(["inspect", "--type=image", name], Output::Dropped),
        yes: Vec::new(),
        no: vec![Step::End(1)],
    });
    Ok(())
}

fn version(_: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    to.run(["version"]);
    Ok(())
}

/// `podman --root DIRECTORY`: a storage of its own, which redhat-actions/push-to-registry fills from a Docker daemon. There
/// is none, so that storage stays empty.
pub(super) fn elsewhere(
    root: &str,
    rest: &[String],
    mut planner: Planner<'_>,
) -> Result<Plan, Unavailable> {
    match rest.first().map(String::as_str) {
        Some("rmi" | "images") => {
            planner.note(&format!(
                "the storage in {root} is empty: there is no Docker daemon to fill it from"
            ));
            Ok(planner.plan)
        }
        _ => Err(planner.refused(
            &format!("--root {root}"),
            "the builder has one storage, and there is no Docker daemon",
            "the command without --root",
        )),
    }
}
