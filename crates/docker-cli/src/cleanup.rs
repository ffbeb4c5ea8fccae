//! `prune` and `system df`. A clean-up at the end of a job never fails the job.

use serde_json::{Value, json};

use super::arguments::Parsed;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, ONE_BUILDER, switch, value};
use super::image_table::align_columns;
use super::output::{Output, OutputError, Pruned, render_objects};
use super::plan::{Command, Stdout, Step};
use super::planner::Planner;
use super::reference::familiar;
use super::size;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &[
            "image prune",
            "system prune",
            "builder prune",
            "buildx prune",
        ],
        flags: &[PRUNE],
        effect: "`buildah rmi --prune`, which keeps images with a name and removes the images of lists; `buildah rmi --all` with --all for images. The exit code is always 0",
        translation: Translation::Steps(prune),
    },
    Verb {
        names: &["system df", "buildx du"],
        flags: &[USAGE],
        effect: "the number and the sizes of `buildah images --json`; the layers that images share are counted for each",
        translation: Translation::Steps(usage),
    },
];

const KEEPS: FlagPolicy = FlagPolicy::Handled(
    "with it nothing is removed, and a line on stderr says so, because Buildah removes all unused images or no image",
);
/// The flags of [`KEEPS`].
const LIMITS: [&str; 5] = [
    "filter",
    "keep-storage",
    "max-used-space",
    "min-free-space",
    "reserved-space",
];

const PRUNE: &[Flag] = &[
    switch(
        "all",
        Some('a'),
        FlagPolicy::Handled("--all for images; a build cache is always removed completely"),
    ),
    value(
        "filter",
        None,
        FlagPolicy::Handled(
            "`dangling=true` is the default; with any other filter nothing is removed, and a line on stderr says so, because Buildah removes all unused images or no image",
        ),
    ),
    switch(
        "force",
        Some('f'),
        FlagPolicy::Implied("there is no prompt"),
    ),
    value("keep-storage", None, KEEPS),
    value("max-used-space", None, KEEPS),
    value("min-free-space", None, KEEPS),
    value("reserved-space", None, KEEPS),
    value("timeout", None, NO_EFFECT),
    switch(
        "verbose",
        None,
        FlagPolicy::Implied("removed images are always printed"),
    ),
    switch("volumes", None, FlagPolicy::Implied("there are no volumes")),
    switch(
        "build",
        None,
        FlagPolicy::Implied("the build cache is removed too"),
    ),
    value("builder", None, ONE_BUILDER),
];

const USAGE: &[Flag] = &[
    value("builder", None, ONE_BUILDER),
    value("filter", None, NO_EFFECT),
    value(
        "format",
        None,
        FlagPolicy::Handled(
            "`json`, or Go's template over Type, TotalCount, Active, Size and Reclaimable",
        ),
    ),
    value("timeout", None, NO_EFFECT),
    switch(
        "verbose",
        Some('v'),
        FlagPolicy::Ignored("`docker images` prints the size of each image"),
    ),
];

fn prune(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let form = if planner.command.ends_with("buildx prune") {
        Pruned::Cache
    } else {
        Pruned::Images
    };
    let limit = parsed.flags.iter().find(|flag| {
        LIMITS.contains(&flag.flag.long)
            && !matches!(flag.value.as_str(), "dangling=true" | "dangling=1")
    });
    if let Some(limit) = limit {
        let flag = format!("--{} {}", limit.flag.long, limit.value);
        planner.notice(&format!(
            "nothing is removed: Buildah removes all unused images or no image, and {flag} asks for some"
        ));
    } else {
        let images =
            planner.command.ends_with("image prune") || planner.command.ends_with("system prune");
        let which = if parsed.on("all") && images {
            "--all"
        } else {
            "--prune"
        };
        planner.capture(["images", "--json", "--no-trunc"]);
        planner.step(Step::Try(Command::new(["rmi", which], Stdout::Captured)));
    }
    planner.print(Output::Pruned(form));
    Ok(())
}

impl Pruned {
    /// Renders the report from the list of images before the removal and from the output of `buildah rmi`.
    pub(super) fn render(self, captured: &[String]) -> Result<String, OutputError> {
        let images: Value = match captured.first() {
            Some(text) => serde_json::from_str(text)?,
            None => Value::Null,
        };
        let removed = captured.get(1).map_or("", String::as_str);
        let (mut text, mut bytes) = (String::new(), 0.0);
        for line in removed.lines().filter(|line| !line.is_empty()) {
            text += &match line.strip_prefix("untagged: ") {
                Some(name) => format!("untagged: {}\n", familiar(name)),
                None => format!("deleted: sha256:{line}\n"),
            };
            let listed = images.as_array().into_iter().flatten();
            let mut sizes = listed
                .filter(|image| image["id"].as_str().is_some_and(|id| id.ends_with(line)))
                .filter_map(|image| image["size"].as_str());
            bytes += sizes.next().map_or(0.0, size::bytes);
        }
        let total = size::human(bytes);
        Ok(match (self, text.as_str()) {
            (Self::Cache, _) => format!("{text}Total:\t{total}\n"),
            (Self::Images, "") => format!("Total reclaimed space: {total}\n"),
            (Self::Images, _) => {
                format!("Deleted Images:\n{text}\nTotal reclaimed space: {total}\n")
            }
        })
    }
}

fn usage(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    planner.capture(["images", "--json", "--no-trunc"]);
    planner.print(Output::Usage {
        format: parsed.last("format").map(str::to_owned),
    });
    Ok(())
}

/// Renders `docker system df`. Nothing runs here, so all images can be removed.
pub(super) fn render_usage(images: &Value, format: Option<&str>) -> Result<String, OutputError> {
    let sizes = images.as_array().into_iter().flatten();
    let sizes: Vec<f64> = sizes
        .filter_map(|image| image["size"].as_str())
        .map(size::bytes)
        .collect();
    let total = size::human(sizes.iter().sum());
    let row = |kind: &str, count: usize, size: &str| {
        let percent = if count > 0 { " (100%)" } else { "" };
        json!({"Type": kind, "TotalCount": count.to_string(), "Active": "0", "Size": size,
            "Reclaimable": format!("{size}{percent}")})
    };
    let mut rows = vec![row("Images", sizes.len(), &total)];
    rows.extend(["Containers", "Local Volumes", "Build Cache"].map(|kind| row(kind, 0, "0B")));
    match format {
        None | Some("" | "table") => {
            let head = "TYPE\tTOTAL\tACTIVE\tSIZE\tRECLAIMABLE".to_owned();
            let columns = ["Type", "TotalCount", "Active", "Size", "Reclaimable"];
            let lines = rows.iter().map(|row| {
                let cells = columns.map(|column| row[column].as_str().unwrap_or_default());
                cells.join("\t")
            });
            Ok(align_columns(
                &[head].into_iter().chain(lines).collect::<Vec<_>>(),
            ))
        }
        Some("json") => render_objects(Some("{{json .}}"), &rows),
        format => render_objects(format, &rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: &str = r#"[{"id":"sha256:ab","names":["localhost/a:1"],"size":"1.5 KB"},
        {"id":"sha256:cd","names":null,"size":"2 MB"}]"#;

    #[test]
    fn a_prune_reports_as_docker_does() {
        let removed = "untagged: localhost/a:1\nab\n".to_owned();
        assert_eq!(
            Pruned::Images
                .render(&[IMAGES.to_owned(), removed])
                .unwrap(),
            "Deleted Images:\nuntagged: a:1\ndeleted: sha256:ab\n\nTotal reclaimed space: 1.5kB\n"
        );
        assert_eq!(
            Pruned::Images.render(&[IMAGES.to_owned()]).unwrap(),
            "Total reclaimed space: 0B\n"
        );
        assert_eq!(
            Pruned::Images.render(&[]).unwrap(),
            "Total reclaimed space: 0B\n"
        );
        assert_eq!(Pruned::Cache.render(&[]).unwrap(), "Total:\t0B\n");
    }

    #[test]
    fn the_usage_has_dockers_rows() {
        let images = serde_json::from_str(IMAGES).unwrap();
        assert_eq!(
            render_usage(&images, None).unwrap(),
            "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n\
             Images          2         0         2.002MB   2.002MB (100%)\n\
             Containers      0         0         0B        0B\n\
             Local Volumes   0         0         0B        0B\n\
             Build Cache     0         0         0B        0B\n"
        );
        assert_eq!(
            render_usage(&images, Some("{{.Type}}={{.TotalCount}}"))
                .unwrap()
                .lines()
                .next(),
            Some("Images=2")
        );
        assert!(
            render_usage(&images, Some("json"))
                .unwrap()
                .starts_with(r#"{"Active":"0""#)
        );
    }
}
