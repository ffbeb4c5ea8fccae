//! `docker buildx create`, `use`, `inspect`, `ls` and other commands that manage builders. A pod has one builder.

use super::arguments::Parsed;
use super::verbs::{Translation, Verb};

use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, ONE_BUILDER, switch, value};
use super::planner::Planner;
use super::system;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["buildx create"],
        flags: &[CREATE],
        effect: "the name, which from then on means the pod's builder",
        translation: Translation::Steps(create),
    },
    Verb {
        names: &["buildx inspect"],
        flags: &[INSPECT],
        effect: "the builder's name, driver `remote` and platform, without a BuildKit version",
        translation: Translation::Steps(inspect),
    },
    Verb {
        names: &["buildx ls"],
        flags: &[LIST],
        effect: "the list of the pod's one builder",
        translation: Translation::Steps(list),
    },
    Verb {
        names: &["buildx use"],
        flags: &[USE],
        effect: "nothing: the pod's builder is always used",
        translation: Translation::Steps(no_steps),
    },
    Verb {
        names: &["buildx rm", "buildx stop"],
        flags: &[REMOVE],
        effect: "a line on stderr: the builder lives as long as the pod",
        translation: Translation::Steps(remove),
    },
    Verb {
        names: &["buildx install", "buildx uninstall"],
        flags: &[],
        effect: "nothing: `docker build` and `docker buildx build` are equal",
        translation: Translation::Steps(no_steps),
    },
    Verb {
        names: &["buildx version"],
        flags: &[VERSION],
        effect: "the version of buildx whose command lines are translated",
        translation: Translation::Steps(version),
    },
];

const NO_BUILDKIT: FlagPolicy =
    FlagPolicy::Ignored("the pod's builder is Buildah, and its own container configures it");
const ONE_NODE: FlagPolicy = FlagPolicy::NotAvailable(
    "a pod has one builder of one platform",
    "one job for each platform, on nodes of that platform, and docker buildx imagetools create",
);

const CREATE: &[Flag] = &[
    switch("append", None, ONE_NODE),
    switch("bootstrap", None, FlagPolicy::Implied("the builder runs")),
    value("buildkitd-config", None, NO_BUILDKIT),
    value("buildkitd-flags", None, NO_BUILDKIT),
    value("config", None, NO_BUILDKIT),
    switch("debug", Some('D'), NO_EFFECT),
    value("driver", None, ONE_BUILDER),
    value("driver-opt", None, NO_BUILDKIT),
    switch("leave", None, ONE_NODE),
    value("name", None, FlagPolicy::Handled("printed")),
    value("node", None, ONE_BUILDER),
    value(
        "platform",
        None,
        FlagPolicy::Ignored("the builder has the platform of its node"),
    ),
    value("timeout", None, NO_EFFECT),
    switch(
        "use",
        None,
        FlagPolicy::Implied("the pod's builder is always used"),
    ),
];

const INSPECT: &[Flag] = &[
    switch("bootstrap", None, FlagPolicy::Implied("the builder runs")),
    value("builder", None, FlagPolicy::Handled("the name")),
    switch("debug", Some('D'), NO_EFFECT),
    value("timeout", None, NO_EFFECT),
];

const LIST: &[Flag] = &[
    switch("debug", Some('D'), NO_EFFECT),
    value(
        "format",
        None,
        FlagPolicy::Handled(
            "`table` and `json`; Go's template over Name, DriverEndpoint, Status, Buildkit and Platforms",
        ),
    ),
    switch("no-trunc", None, FlagPolicy::Implied("nothing is cut")),
    value("timeout", None, NO_EFFECT),
];

const USE: &[Flag] = &[
    value("builder", None, ONE_BUILDER),
    switch("debug", Some('D'), NO_EFFECT),
    switch("default", None, ONE_BUILDER),
    switch("global", None, ONE_BUILDER),
];

const LIVES_ON: FlagPolicy = FlagPolicy::Implied("the builder lives as long as the pod");

const REMOVE: &[Flag] = &[
    switch(
        "all-inactive",
        None,
        FlagPolicy::Implied("the builder is active"),
    ),
    value("builder", None, ONE_BUILDER),
    switch("debug", Some('D'), NO_EFFECT),
    switch(
        "force",
        Some('f'),
        FlagPolicy::Implied("there is no prompt"),
    ),
    switch("keep-daemon", None, LIVES_ON),
    switch("keep-state", None, LIVES_ON),
    value("timeout", None, NO_EFFECT),
];

const VERSION: &[Flag] = &[switch("debug", Some('D'), NO_EFFECT)];

/// From 0.23 on, docker/build-push-action requests BuildKit's build records.
const BUILDX: &str = "v0.22.0";

fn create(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    if parsed.positional.len() > 1 {
        return Err(planner.usage("expected at most one endpoint"));
    }
    if let Some(endpoint) = parsed.positional.first().filter(|name| *name != "default") {
        planner.notice(&format!(
            "the endpoint {endpoint} is left out: a pod has one builder, and this name means it"
        ));
    }
    planner.print_text(format!("{}\n", parsed.last("name").unwrap_or("default")));
    Ok(())
}

/// docker/setup-buildx-action and docker/build-push-action read these lines. The latter would request attestations if there
/// were a BuildKit version.
fn inspect(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let name = parsed.positional.first().map(String::as_str);
    let name = name.or(parsed.last("builder")).unwrap_or("default");
    planner.print_text(format!(
        "Name:   {name}\nDriver: remote\n\nNodes:\nName:      {name}0\nEndpoint:  builder\nStatus:    running\nPlatforms: linux/{}\n",
        system::architecture()
    ));
    Ok(())
}

fn list(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let row = serde_json::json!({
        "Name": "default*", "DriverEndpoint": "remote", "Status": "running", "Buildkit": "",
        "Platforms": format!("linux/{}", system::architecture()),
    });
    let text = match parsed.last("format") {
        None | Some("" | "table") => super::image_table::align_columns(&[
            "NAME/NODE\tDRIVER/ENDPOINT\tSTATUS\tBUILDKIT\tPLATFORMS".to_owned(),
            "default*\tremote".to_owned(),
            format!(
                " \\_ default0\t \\_ builder\trunning\t\tlinux/{}",
                system::architecture()
            ),
        ]),
        format => {
            let format = if format == Some("json") {
                Some("{{json .}}")
            } else {
                format
            };
            let text = super::output::render_objects(format, &[row]);
            text.map_err(|error| planner.usage(&error.to_string()))?
        }
    };
    planner.print_text(text);
    Ok(())
}

fn no_steps(_: &Parsed, _: &mut Planner<'_>) -> Result<(), TranslateError> {
    Ok(())
}

fn remove(_: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.notice("nothing to do: the builder lives as long as the pod");
    Ok(())
}

fn version(_: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let version = env!("CARGO_PKG_VERSION");
    planner.print_text(format!("ci-cd-agents {BUILDX} {version}\n"));
    Ok(())
}
