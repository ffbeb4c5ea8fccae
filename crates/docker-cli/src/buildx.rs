//! `docker buildx create`, `use`, `inspect`, `ls` and the like: there is one builder, and we speak for it.

use super::arguments::Parsed;
use super::flag_specs::{Translation, Verb};
use super::plan::Planner;
use super::system;
use super::types::Unavailable;
use super::types::{Flag, FlagPolicy, switch, value};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["buildx create"],
        flags: &[CREATE],
        becomes: "the name: it stands for the pod's builder",
        by: Translation::Steps(create),
    },
    Verb {
        names: &["buildx inspect"],
        flags: &[INSPECT],
        becomes: "the builder's name, driver `remote` and platform, without a BuildKit version",
        by: Translation::Steps(inspect),
    },
    Verb {
        names: &["buildx ls"],
        flags: &[LIST],
        becomes: "the one builder",
        by: Translation::Steps(list),
    },
    Verb {
        names: &["buildx use"],
        flags: &[USE],
        becomes: "nothing: the pod's builder is always used",
        by: Translation::Steps(nothing),
    },
    Verb {
        names: &["buildx rm", "buildx stop"],
        flags: &[REMOVE],
        becomes: "a line that the builder lives as long as the pod",
        by: Translation::Steps(remove),
    },
    Verb {
        names: &["buildx install", "buildx uninstall"],
        flags: &[],
        becomes: "nothing: `docker build` and `docker buildx build` are the same",
        by: Translation::Steps(nothing),
    },
    Verb {
        names: &["buildx version"],
        flags: &[VERSION],
        becomes: "the version of buildx whose command lines are understood",
        by: Translation::Steps(version),
    },
];

const NO_RESULT: FlagPolicy = FlagPolicy::Given("it changes no result");
const NO_BUILDKIT: FlagPolicy =
    FlagPolicy::Ignored("the pod's builder is Buildah, which its own container configures");
const ONE_NODE: FlagPolicy = FlagPolicy::Unavailable(
    "a pod has one builder of one platform",
    "a job for each platform on nodes of its own, and docker buildx imagetools create",
);

const CREATE: &[Flag] = &[
    switch("append", None, ONE_NODE),
    switch("bootstrap", None, FlagPolicy::Given("the builder runs")),
    value("buildkitd-config", None, NO_BUILDKIT),
    value("buildkitd-flags", None, NO_BUILDKIT),
    value("config", None, NO_BUILDKIT),
    switch("debug", Some('D'), NO_RESULT),
    value("driver", None, FlagPolicy::Given(super::types::ONE_BUILDER)),
    value("driver-opt", None, NO_BUILDKIT),
    switch("leave", None, ONE_NODE),
    value("name", None, FlagPolicy::Ours("printed")),
    value("node", None, FlagPolicy::Given(super::types::ONE_BUILDER)),
    value(
        "platform",
        None,
        FlagPolicy::Ignored("the builder has the platform of its node"),
    ),
    value("timeout", None, NO_RESULT),
    switch(
        "use",
        None,
        FlagPolicy::Given("the pod's builder is always used"),
    ),
];

const INSPECT: &[Flag] = &[
    switch("bootstrap", None, FlagPolicy::Given("the builder runs")),
    value("builder", None, FlagPolicy::Ours("the name")),
    switch("debug", Some('D'), NO_RESULT),
    value("timeout", None, NO_RESULT),
];

const LIST: &[Flag] = &[
    switch("debug", Some('D'), NO_RESULT),
    value(
        "format",
        None,
        FlagPolicy::Ours(
            "`table` and `json`; Go's template over Name, DriverEndpoint, Status, Buildkit and Platforms",
        ),
    ),
    switch("no-trunc", None, FlagPolicy::Given("nothing is cut")),
    value("timeout", None, NO_RESULT),
];

const USE: &[Flag] = &[
    value(
        "builder",
        None,
        FlagPolicy::Given(super::types::ONE_BUILDER),
    ),
    switch("debug", Some('D'), NO_RESULT),
    switch(
        "default",
        None,
        FlagPolicy::Given(super::types::ONE_BUILDER),
    ),
    switch("global", None, FlagPolicy::Given(super::types::ONE_BUILDER)),
];

const LIVES_ON: FlagPolicy = FlagPolicy::Given("the builder lives as long as the pod");

const REMOVE: &[Flag] = &[
    switch(
        "all-inactive",
        None,
        FlagPolicy::Given("the builder is active"),
    ),
    value(
        "builder",
        None,
        FlagPolicy::Given(super::types::ONE_BUILDER),
    ),
    switch("debug", Some('D'), NO_RESULT),
    switch("force", Some('f'), FlagPolicy::Given("nobody is asked")),
    switch("keep-daemon", None, LIVES_ON),
    switch("keep-state", None, LIVES_ON),
    value("timeout", None, NO_RESULT),
];

const VERSION: &[Flag] = &[switch("debug", Some('D'), NO_RESULT)];

/// Below 0.23, from which on docker/build-push-action asks for BuildKit's build records.
const BUILDX: &str = "v0.22.0";

fn create(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    if parsed.positional.len() > 1 {
        return Err(to.usage("one endpoint at most is expected"));
    }
    if let Some(endpoint) = parsed.positional.first().filter(|one| *one != "default") {
        to.note(&format!("the endpoint {endpoint} is left out: a pod has one builder, and this name stands for it"));
    }
    to.print(format!("{}\n", parsed.last("name").unwrap_or("default")));
    Ok(())
}

/// docker/setup-buildx-action and docker/build-push-action read these lines. Where a BuildKit version stood, the latter
/// would ask for attestations.
fn inspect(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let name = parsed.positional.first().map(String::as_str);
    let name = name.or(parsed.last("builder")).unwrap_or("default");
    to.print(format!(
        "Name:   {name}\nDriver: remote\n\nNodes:\nName:      {name}0\nEndpoint:  builder\nStatus:    running\nPlatforms: linux/{}\n",
        system::architecture()
    ));
    Ok(())
}

fn list(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let row = serde_json::json!({
        "Name": "default*", "DriverEndpoint": "remote", "Status": "running", "Buildkit": "",
        "Platforms": format!("linux/{}", system::architecture()),
    });
    let text = match parsed.last("format") {
        None | Some("" | "table") => super::listing::aligned(&[
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
            let text = super::answer::present(format, &[row]);
            text.map_err(|error| to.usage(&error.to_string()))?
        }
    };
    to.print(text);
    Ok(())
}

fn nothing(_: &Parsed, _: &mut Planner<'_>) -> Result<(), Unavailable> {
    Ok(())
}

fn remove(_: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    to.note("nothing to do: the builder lives as long as the pod");
    Ok(())
}

fn version(_: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let ours = env!("CARGO_PKG_VERSION");
    to.print(format!("ci-cd-agents {BUILDX} {ours}\n"));
    Ok(())
}
