//! `podman`: Buildah has most of its verbs, with the same flags.

use super::arguments::{Parsed, passed};
use super::credentials::{Entries, Entry};
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::images;
use super::plan::{Command, Plan, Stdout, Step};
use super::planner::Planner;
use super::verbs::{Translation, Verb};
use super::{reference, registry, system};

const SAME: &str = "the equal command of Buildah, with all its flags";

macro_rules! verbatim {
    ($($names:expr => $words:expr),* $(,)?) => {
        &[$(Verb { names: $names, flags: &[], effect: SAME, translation: Translation::Verbatim($words) }),*]
    };
}

/// Verbs that Buildah has with the same flags.
pub(super) const SAME_VERBS: &[Verb] = verbatim![
    &["build", "image build", "buildx build"] => &["build"],
    &["pull", "image pull"] => &["pull"],
    &["tag", "image tag"] => &["tag"],
    &["images", "image ls", "image list"] => &["images"],
    &["rmi", "image rm"] => &["rmi"],
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
        effect: "`buildah push`",
        translation: Translation::Steps(push),
    },
    Verb {
        names: &["manifest push"],
        flags: &[PUSH],
        effect: "`buildah manifest push`",
        translation: Translation::Steps(push),
    },
    Verb {
        names: &["login"],
        flags: &[registry::LOGIN, LOGIN],
        effect: registry::LOGIN_EFFECT,
        translation: Translation::Steps(registry::login),
    },
    Verb {
        names: &["logout"],
        flags: &[LOGOUT],
        effect: "`buildah logout`, and the removal from the job's own file or helper; without a login, a line on stderr",
        translation: Translation::Steps(registry::logout),
    },
    Verb {
        names: &["inspect", "image inspect"],
        flags: &[images::INSPECT],
        effect: "as `docker inspect`",
        translation: Translation::Steps(images::inspect),
    },
    Verb {
        names: &["image exists"],
        flags: &[],
        effect: "`buildah inspect --type image`; the exit code is 1 if there is no such image",
        translation: Translation::Steps(exists),
    },
    Verb {
        names: &["version"],
        flags: &[],
        effect: "`buildah version`",
        translation: Translation::Steps(version),
    },
    Verb {
        names: &["info", "system info"],
        flags: &[system::FORMAT],
        effect: "as `docker info`; Host and Store are Buildah's",
        translation: Translation::Steps(system::info),
    },
];

const PUSH: &[Flag] = &[
    value("add-compression", None, FlagPolicy::Passed),
    switch(
        "all",
        None,
        FlagPolicy::Handled("--all; a list is always pushed completely"),
    ),
    value("authfile", None, FlagPolicy::Passed),
    value("cert-dir", None, FlagPolicy::Passed),
    value("compression-format", None, FlagPolicy::Passed),
    value("compression-level", None, FlagPolicy::Passed),
    value(
        "creds",
        None,
        FlagPolicy::Handled(
            "credentials for this push alone; no command line of the builder contains them",
        ),
    ),
    value("digestfile", None, FlagPolicy::Handled("--digestfile")),
    switch(
        "disable-content-trust",
        None,
        FlagPolicy::Implied("there is no content trust"),
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
        FlagPolicy::NotAvailable(
            "the builder does not have the job's keys",
            "cosign on the pushed digest",
        ),
    ),
    value(
        "sign-by-sigstore-private-key",
        None,
        FlagPolicy::NotAvailable(
            "the builder does not have the job's keys",
            "cosign on the pushed digest",
        ),
    ),
    value(
        "sign-passphrase-file",
        None,
        FlagPolicy::NotAvailable(
            "the builder does not have the job's keys",
            "cosign on the pushed digest",
        ),
    ),
    switch("tls-verify", None, FlagPolicy::Passed),
];

const LOGOUT: &[Flag] = &[switch(
    "all",
    Some('a'),
    FlagPolicy::Handled("all logins of the job, and all entries of its file"),
)];

const LOGIN: &[Flag] = &[
    value("authfile", None, FlagPolicy::Passed),
    value("cert-dir", None, FlagPolicy::Passed),
    switch("get-login", None, FlagPolicy::Passed),
    switch("tls-verify", None, FlagPolicy::Passed),
    switch("verbose", Some('v'), FlagPolicy::Passed),
];

fn push(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let (source, target) = match parsed.positional.as_slice() {
        [source] => (source, source),
        [source, target] => (source, target),
        _ => return Err(planner.usage("expected an image and a target")),
    };
    let creds = parsed.last("creds").map(|creds| {
        let (user, password) = creds.split_once(':').unwrap_or((creds, ""));
        let full = reference::full(target.trim_start_matches("docker://"));
        let repository = reference::repository(&full).to_owned();
        (repository, Entry::new(user, password))
    });
    let creds: Entries = creds.into_iter().collect();
    let (flags, target) = (passed(parsed), destination(target));
    // Podman pushes a whole list. `buildah push` would push only this machine's platform.
    let digest = match parsed.last("digestfile") {
        Some(digest) => digest.into(),
        None => planner.scratch("digest"),
    };
    let list = Step::push_list(&flags, source, &target, &digest, Stdout::Inherited)
        .with_credentials(&creds);
    if planner.command.ends_with("manifest push") {
        planner.step(list);
        return Ok(());
    }
    let line = ["push".to_owned()].into_iter().chain(flags);
    let line = Command {
        credentials: creds,
        ..Command::new(line.chain([source.clone(), target]), Stdout::Inherited)
    };
    planner.step(Step::If {
        test: Command::new(["manifest", "exists", source], Stdout::Dropped),
        then: vec![list],
        otherwise: vec![Step::Run(line.with_digest(&digest))],
    });
    Ok(())
}

/// Completes a name. A target with a transport stays as it is.
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

fn exists(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [name] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one image"));
    };
    planner.step(Step::If {
        test: Command::new(["inspect", "--type=image", name], Stdout::Dropped),
        then: Vec::new(),
        otherwise: vec![Step::Exit(1)],
    });
    Ok(())
}

fn version(_: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.run(["version"]);
    Ok(())
}

/// Translates `podman --root DIRECTORY`. redhat-actions/push-to-registry fills this storage from a Docker daemon. There is no
/// daemon, so the storage is empty.
pub(super) fn separate_storage(
    root: &str,
    rest: &[String],
    mut planner: Planner<'_>,
) -> Result<Plan, TranslateError> {
    match rest.first().map(String::as_str) {
        Some("rmi" | "images") => {
            planner.notice(&format!(
                "the storage in {root} is empty: there is no Docker daemon to fill it from"
            ));
            Ok(planner.plan)
        }
        _ => Err(planner.not_available(
            &format!("--root {root}"),
            "the builder has one storage, and there is no Docker daemon",
            "the command without --root",
        )),
    }
}
