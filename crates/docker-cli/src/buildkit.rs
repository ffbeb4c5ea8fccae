//! Variables and build arguments that BuildKit and buildx read.

use pflag::csv::CsvFields;

use super::arguments::Parsed;
use super::error::TranslateError;
use super::planner::Planner;

/// Build arguments that change a build of BuildKit's, and why they change nothing here.
/// Source: <https://docs.docker.com/reference/dockerfile/#buildkit-built-in-build-args>.
const ARGUMENTS: &[(&str, &str)] = &[
    (
        "BUILDKIT_CACHE_MOUNT_NS",
        "Buildah names a cache mount by its id alone",
    ),
    (
        "BUILDKIT_DOCKERFILE_CHECK",
        "Buildah builds and does not lint; use hadolint",
    ),
    (
        "BUILDKIT_INLINE_CACHE",
        "Buildah writes no cache into an image; use builder.cache",
    ),
    (
        "BUILDKIT_MULTI_PLATFORM",
        "several --platform become a list, and one becomes an image",
    ),
    (
        "BUILDKIT_SANDBOX_HOSTNAME",
        "Buildah gives each RUN step a name of its own",
    ),
    (
        "BUILDKIT_SBOM_SCAN_CONTEXT",
        "no attestation is made; scan the pushed image",
    ),
    (
        "BUILDKIT_SBOM_SCAN_STAGE",
        "no attestation is made; scan the pushed image",
    ),
    (
        "BUILDKIT_SYNTAX",
        "Buildah reads the file itself, and runs no frontend's image",
    ),
];

/// Variables of the job that change a build of buildx's, and why they change nothing here.
/// Source: <https://docs.docker.com/build/building/variables/#build-tool-configuration-variables>.
const VARIABLES: &[(&str, &str)] = &[
    ("BUILDKIT_HOST", "the pod has one builder"),
    ("BUILDX_METADATA_PROVENANCE", "no attestation is made"),
    ("BUILDX_METADATA_WARNINGS", "Buildah does not lint"),
    (
        "BUILDX_NO_DEFAULT_LOAD",
        "every build ends in Buildah's storage",
    ),
    (
        "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
        "Buildah has no policies for a build's sources; the builder's own policy.json applies",
    ),
];

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Adds a notice for each of these variables and arguments that is set.
pub(super) fn notices(parsed: &Parsed, planner: &mut Planner<'_>) {
    for (name, why) in ARGUMENTS {
        if argument(parsed, name, planner).is_some_and(|value| !value.is_empty()) {
            planner.notice(&format!("the build argument {name} has no effect: {why}"));
        }
    }
    for (name, why) in VARIABLES {
        if (planner.job.variable)(name).is_some_and(|value| !value.is_empty()) {
            planner.notice(&format!("the variable {name} has no effect: {why}"));
        }
    }
}

/// Returns the value of a build argument. An argument without a value gets the job's variable.
fn argument(parsed: &Parsed, name: &str, planner: &Planner<'_>) -> Option<String> {
    let found = parsed
        .values("build-arg")
        .filter_map(|argument| match argument.split_once('=') {
            Some((key, value)) => (key == name).then(|| value.to_owned()),
            None if argument == name => (planner.job.variable)(name),
            None => None,
        });
    found.last()
}

/// Returns whether the context keeps its `.git`, which a build argument requests.
pub(super) fn keeps_git(parsed: &Parsed, planner: &Planner<'_>) -> bool {
    let value = argument(parsed, "BUILDKIT_CONTEXT_KEEP_GIT_DIR", planner);
    value.as_deref().and_then(pflag::parse_bool) == Some(true)
}

/// Returns the time of all that the build creates, in seconds: the build argument SOURCE_DATE_EPOCH, or the job's variable.
///
/// # Errors
/// [`TranslateError`] if it is no number.
pub(super) fn epoch(
    parsed: &Parsed,
    planner: &Planner<'_>,
) -> Result<Option<String>, TranslateError> {
    let value = argument(parsed, EPOCH, planner).or_else(|| (planner.job.variable)(EPOCH));
    match value.filter(|value| !value.is_empty()) {
        Some(value) if value.parse::<u32>().is_err() => {
            Err(planner.usage(&format!("{EPOCH}={value}: expected seconds since 1970")))
        }
        value => Ok(value),
    }
}

/// Returns the flags for the time. With `rewrite-timestamp` in an output, no file of the layers has a later one.
pub(super) fn epoch_flags(
    parsed: &Parsed,
    planner: &Planner<'_>,
) -> Result<Vec<String>, TranslateError> {
    let Some(epoch) = epoch(parsed, planner)? else {
        return Ok(Vec::new());
    };
    let mut flags = vec![format!("--source-date-epoch={epoch}")];
    let rewrites = |record: &str| {
        let fields = CsvFields::parse(record);
        let value = fields.get("rewrite-timestamp");
        value.is_some_and(|value| pflag::parse_bool(value) != Some(false))
    };
    if parsed.values("output").any(rewrites) {
        flags.push("--rewrite-timestamp".to_owned());
    }
    if argument(parsed, EPOCH, planner).is_none() {
        flags.push(format!("--build-arg={EPOCH}={epoch}"));
    }
    Ok(flags)
}
