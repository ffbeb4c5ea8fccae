//! Lists and removals of containers, volumes and networks. There are none, so a clean-up has nothing to do and succeeds.

use serde_json::Value;

use super::arguments::Parsed;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, switch, value};
use super::image_table::{align_columns, unescape};
use super::plan::Step;
use super::planner::Planner;
use super::template::Template;
use super::verbs::{Translation, Verb};

const NONE: &str = "a job's pod builds images and runs no containers";

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["ps", "container ls", "container list", "container ps"],
        flags: &[LIST, &[switch("size", Some('s'), NO_EFFECT)]],
        effect: "Docker's header alone, because there are no containers",
        translation: Translation::Steps(list_containers),
    },
    Verb {
        names: &["volume ls", "volume list"],
        flags: &[LIST],
        effect: "Docker's header alone, because there are no volumes",
        translation: Translation::Steps(list_volumes),
    },
    Verb {
        names: &["network ls", "network list"],
        flags: &[LIST],
        effect: "Docker's header alone, because there are no networks",
        translation: Translation::Steps(list_networks),
    },
    Verb {
        names: &["container prune", "volume prune", "network prune"],
        flags: &[PRUNE],
        effect: "`Total reclaimed space: 0B`, and nothing for networks",
        translation: Translation::Steps(prune),
    },
    Verb {
        names: &["stop", "kill", "container stop", "container kill"],
        flags: &[STOP],
        effect: "a line on stderr, and exit code 0: the container does not run",
        translation: Translation::Steps(stop),
    },
    Verb {
        names: &[
            "rm",
            "container rm",
            "container remove",
            "volume rm",
            "volume remove",
            "network rm",
            "network remove",
        ],
        flags: &[REMOVE],
        effect: "the end of a container of `docker create`; for any other name a line on stderr, with exit code 0 with --force and 1 without it, as with Docker",
        translation: Translation::Steps(remove),
    },
];

const LIST: &[Flag] = &[
    switch("all", Some('a'), NO_EFFECT),
    value("filter", Some('f'), NO_EFFECT),
    value(
        "format",
        None,
        FlagPolicy::Handled("the header of `table …`, and nothing for any other template"),
    ),
    value("last", Some('n'), NO_EFFECT),
    switch("latest", Some('l'), NO_EFFECT),
    switch("no-trunc", None, NO_EFFECT),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Handled("prints nothing at all"),
    ),
];

const PRUNE: &[Flag] = &[
    switch("all", Some('a'), NO_EFFECT),
    value("filter", None, NO_EFFECT),
    switch("force", Some('f'), NO_EFFECT),
];

const STOP: &[Flag] = &[
    value("signal", Some('s'), NO_EFFECT),
    value("time", Some('t'), NO_EFFECT),
    value("timeout", None, NO_EFFECT),
];

const REMOVE: &[Flag] = &[
    switch(
        "force",
        Some('f'),
        FlagPolicy::Handled("what does not exist is no error"),
    ),
    switch("link", Some('l'), NO_EFFECT),
    switch("volumes", Some('v'), NO_EFFECT),
];

/// The columns of a list: the field and its header.
type Columns = [(&'static str, &'static str)];

/// Source: <https://github.com/docker/cli/blob/master/cli/command/formatter/container.go>.
const CONTAINERS: &Columns = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("CreatedAt", "CREATED AT"),
    ("State", "STATE"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
];

const VOLUMES: &Columns = &[
    ("Driver", "DRIVER"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Size", "SIZE"),
];

const NETWORKS: &Columns = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

fn list_containers(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.notice(&format!("the list is empty: {NONE}"));
    header(parsed, CONTAINERS, 7, planner)
}

fn list_volumes(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.notice("the list is empty: a job's pod has no volumes of Docker's");
    header(parsed, VOLUMES, 2, planner)
}

fn list_networks(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.notice("the list is empty: a job's pod has one network, its own");
    header(parsed, NETWORKS, 4, planner)
}

/// Prints the header of a list without rows. The first `default` columns are those of the list without a format.
fn header(
    parsed: &Parsed,
    columns: &Columns,
    default: usize,
    planner: &mut Planner<'_>,
) -> Result<(), TranslateError> {
    let format = parsed.last("format").map(unescape);
    let line = match format.as_deref() {
        _ if parsed.on("quiet") => return Ok(()),
        None | Some("" | "table") => {
            let names: Vec<&str> = columns[..default].iter().map(|(_, name)| *name).collect();
            names.join("\t")
        }
        Some("json") => return Ok(()),
        Some(format) => {
            let (table, template) = match format.strip_prefix("table") {
                Some(rest) => (true, rest.trim_start()),
                None => (false, format),
            };
            let fields = columns
                .iter()
                .map(|(field, name)| ((*field).to_owned(), Value::from(*name)));
            let fields = Value::Object(fields.collect());
            let line = Template::parse(template).and_then(|template| template.render(&fields));
            let line = line.map_err(|error| planner.usage(&format!("--format: {error}")))?;
            if !table {
                return Ok(());
            }
            line
        }
    };
    planner.print_text(align_columns(&[line]));
    Ok(())
}

fn prune(_: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.notice(&format!("nothing to remove: {NONE}"));
    if !planner.command.ends_with("network prune") {
        planner.print_text("Total reclaimed space: 0B\n");
    }
    Ok(())
}

fn stop(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let names = match parsed.positional.join(", ") {
        names if names.is_empty() => "no container".to_owned(),
        names => names,
    };
    planner.notice(&format!("nothing to do for {names}: {NONE}"));
    Ok(())
}

fn remove(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let kind = match planner.command.split(' ').nth(1) {
        Some("volume") => "volume",
        Some("network") => "network",
        _ => "container",
    };
    if parsed.positional.is_empty() && !parsed.on("force") {
        return Err(planner.usage(&format!("expected at least one {kind}")));
    }
    if parsed.positional.is_empty() {
        planner.notice("nothing to remove");
    } else if kind == "container" {
        planner.step(Step::RemoveContainers {
            names: parsed.positional.clone(),
            force: parsed.on("force"),
        });
        return Ok(());
    }
    for name in &parsed.positional {
        planner.notice(&format!("no such {kind}: {name}; {NONE}"));
    }
    if !parsed.on("force") {
        planner.step(Step::Exit(1));
    }
    Ok(())
}
