//! `docker history`, from the history in `buildah inspect`.

use serde_json::{Value, json};

use super::arguments::Parsed;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::image_table::{align_columns, unescape};
use super::images::ONE_PLATFORM;
use super::output::{HistoryTable, Output, OutputError};
use super::planner::Planner;
use super::size;
use super::template::Template;
use super::time;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[Verb {
    names: &["history", "image history"],
    flags: &[FLAGS],
    effect: "the history of `buildah inspect --type image`, in Docker's form; a layer has the size that Buildah's manifest names, which is the compressed one after a pull",
    translation: Translation::Steps(history),
}];

const FLAGS: &[Flag] = &[
    value(
        "format",
        None,
        FlagPolicy::Handled("`json`, or Go's template over Docker's fields"),
    ),
    switch(
        "human",
        Some('H'),
        FlagPolicy::Handled("`false` prints bytes and times"),
    ),
    switch(
        "no-trunc",
        None,
        FlagPolicy::Handled("prints whole IDs and commands"),
    ),
    value("platform", None, ONE_PLATFORM),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Handled("prints only the IDs"),
    ),
];

fn history(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [image] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one image"));
    };
    planner.capture(["inspect", "--type=image", image]);
    planner.print(Output::History(HistoryTable {
        format: parsed.last("format").map(str::to_owned),
        human: parsed.last("human").and_then(pflag::parse_bool) != Some(false),
        no_trunc: parsed.on("no-trunc"),
        quiet: parsed.on("quiet"),
    }));
    Ok(())
}

impl HistoryTable {
    /// Returns the rows of the image that `buildah inspect` describes, the newest first. `now` is in seconds since 1970.
    fn rows(&self, inspected: &Value, now: u64) -> Vec<Value> {
        let manifest = inspected["Manifest"].as_str().unwrap_or("{}");
        let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
        let mut layers = manifest["layers"].as_array().into_iter().flatten();
        let entries = inspected["OCIv1"]["history"]
            .as_array()
            .into_iter()
            .flatten();
        let mut rows: Vec<Value> = entries
            .map(|entry| {
                let empty = entry["empty_layer"].as_bool() == Some(true);
                let layer = if empty { None } else { layers.next() };
                let bytes = layer.and_then(|layer| layer["size"].as_u64()).unwrap_or(0);
                self.row(entry, bytes, now)
            })
            .collect();
        let id = inspected["FromImageID"].as_str().unwrap_or_default();
        if let Some(last) = rows.last_mut() {
            last["ID"] = if self.no_trunc {
                format!("sha256:{id}")
            } else {
                id.chars().take(12).collect()
            }
            .into();
        }
        rows.reverse();
        rows
    }

    fn row(&self, entry: &Value, bytes: u64, now: u64) -> Value {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let created = text("created");
        let seconds = time::seconds(created);
        let command = text("created_by").replace('\t', " ");
        let since = seconds.map(|seconds| time::since(now.saturating_sub(seconds)));
        json!({
            "ID": "<missing>",
            "CreatedAt": seconds.map_or_else(String::new, |_| time::without_fraction(created)),
            "CreatedSince": if self.human { since.map_or_else(|| "N/A".to_owned(), |since| format!("{since} ago")) } else { time::without_fraction(created) },
            "CreatedBy": if self.no_trunc || command.chars().count() <= 45 { command } else { command.chars().take(44).chain(['…']).collect() },
            "Size": if self.human { size::human_of_three(bytes) } else { bytes.to_string() },
            "Comment": text("comment"),
        })
    }

    pub(super) fn render(&self, inspected: &Value, now: u64) -> Result<String, OutputError> {
        let columns = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
        let format = self.format.as_deref().map(unescape);
        let (table, template) = match format.as_deref() {
            _ if self.quiet => (false, "{{.ID}}"),
            None | Some("" | "table") => (true, columns),
            Some("json") => (false, "{{json .}}"),
            Some(format) => match format.strip_prefix("table") {
                Some(rest) => (true, rest.trim_start()),
                None => (false, format),
            },
        };
        let template = Template::parse(template)?;
        let mut lines = Vec::new();
        if table {
            lines.push(template.render(&json!({
                "ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT",
                "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT",
            }))?);
        }
        for row in self.rows(inspected, now) {
            lines.push(template.render(&row)?);
        }
        Ok(if table {
            align_columns(&lines)
        } else {
            lines.iter().map(|line| format!("{line}\n")).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Option<&str>, quiet: bool, no_trunc: bool) -> String {
        let table = HistoryTable {
            format: format.map(str::to_owned),
            human: true,
            no_trunc,
            quiet,
        };
        let inspected = json!({
            "FromImageID": "0123456789abcdef",
            "Manifest": r#"{"layers":[{"size":2048}]}"#,
            "OCIv1": {"history": [
                {"created": "2026-11-30T16:25:18.846088428Z", "created_by": "/bin/sh -c #(nop) COPY file:1ef218fda334e0fb47bc in /file ", "comment": "c"},
                {"created": "2026-11-30T16:25:20Z", "created_by": "CMD [\"/file\"]", "empty_layer": true},
            ]},
        });
        table.render(&inspected, 1_796_055_980).unwrap()
    }

    #[test]
    fn the_newest_entry_is_the_first_and_layers_have_sizes() {
        assert_eq!(
            shown(None, false, false),
            "IMAGE          CREATED              CREATED BY                                      SIZE      COMMENT\n\
             0123456789ab   About a minute ago   CMD [\"/file\"]                                   0B\n\
             <missing>      About a minute ago   /bin/sh -c #(nop) COPY file:1ef218fda334e0fb…   2.05kB    c\n"
        );
        assert_eq!(shown(None, true, false), "0123456789ab\n<missing>\n");
        assert_eq!(
            shown(Some("{{.CreatedAt}} {{.ID}}"), false, true)
                .lines()
                .next(),
            Some("2026-11-30T16:25:20Z sha256:0123456789abcdef")
        );
        assert!(shown(Some("json"), false, true).contains(r#""Comment":"c""#));
    }
}
