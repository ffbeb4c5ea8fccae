//! The table of `docker images`, from Buildah's list of images.

use serde_json::{Value, json};

use super::digests::Digests;
use super::output::{ImageTable, OutputError};
use super::reference::{self, familiar};
use super::size;
use super::template::Template;

/// Returns one row for each name, with Docker's fields.
pub(super) fn rows(
    images: &str,
    table: &ImageTable,
    known: &Digests,
) -> Result<Vec<Value>, OutputError> {
    let images: Vec<Value> = serde_json::from_str(images)?;
    let mut rows = Vec::new();
    for image in &images {
        let names = image["names"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = names
            .iter()
            .filter_map(Value::as_str)
            .map(familiar)
            .collect();
        let included = names.iter().filter(|name| table.includes(name));
        let mut included_rows: Vec<_> = included
            .map(|name| row(image, Some(name), table, known))
            .collect();
        // Docker prints `localhost/app` and `docker.io/library/app` as one name.
        included_rows.dedup();
        if names.is_empty() && table.filter.is_none() {
            included_rows.push(row(image, None, table, known));
        }
        rows.extend(included_rows);
    }
    Ok(rows)
}

fn row(image: &Value, name: Option<&str>, table: &ImageTable, known: &Digests) -> Value {
    let id = image["id"].as_str().unwrap_or("");
    let short = id.strip_prefix("sha256:").unwrap_or(id);
    let id = if table.no_trunc {
        id
    } else {
        &short[..short.len().min(12)]
    };
    let (repository, tag) = match name {
        Some(name) => (reference::repository(name), reference::tag(name)),
        None => ("<none>", "<none>"),
    };
    let whole = image["id"].as_str().unwrap_or("");
    let digest = known.in_repository(whole, repository);
    let created = image["createdatraw"].as_str().unwrap_or_default();
    json!({
        "ID": id,
        "Repository": repository,
        "Tag": tag,
        "Digest": digest.unwrap_or("<none>"),
        "CreatedSince": image["createdat"],
        "CreatedAt": go_time(created),
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "Size": size::from_buildah(image["size"].as_str().unwrap_or_default()),
    })
}

/// Returns a time of RFC 3339 in UTC as Go prints it: `2026-11-24 08:53:16 +0000 UTC`.
fn go_time(time: &str) -> String {
    match (time.split_once('T'), time.ends_with('Z')) {
        (Some((date, clock)), true) => {
            let seconds = clock.trim_end_matches('Z').split('.').next();
            format!("{date} {} +0000 UTC", seconds.unwrap_or_default())
        }
        _ => time.to_owned(),
    }
}

impl ImageTable {
    /// Buildah returns all names of an image. Only the requested ones are printed.
    fn includes(&self, name: &str) -> bool {
        let Some(filter) = self.filter.as_deref() else {
            return true;
        };
        let filter = familiar(filter);
        filter.contains('*') || filter == name || filter == reference::repository(name)
    }

    pub(super) fn render(&self, rows: &[Value]) -> Result<String, OutputError> {
        let id = if self.quiet { Some("{{.ID}}") } else { None };
        let columns = match id.or(self.format.as_deref()) {
            None | Some("" | "table") => {
                let digest = if self.digests { "{{.Digest}}\t" } else { "" };
                format!(
                    "table {{{{.Repository}}}}\t{{{{.Tag}}}}\t{digest}{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}"
                )
            }
            Some("json") => "{{json .}}".to_owned(),
            Some(format) => unescape(format),
        };
        let (table, template) = match columns.strip_prefix("table") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, columns.as_str()),
        };
        let template = Template::parse(template)?;
        let mut lines = Vec::new();
        if table {
            lines.push(template.render(&json!({
                "ID": "IMAGE ID", "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST",
                "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "Size": "SIZE",
                "Containers": "CONTAINERS", "SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE",
            }))?);
        }
        for row in rows {
            lines.push(template.render(row)?);
        }
        Ok(if table {
            align_columns(&lines)
        } else {
            lines.iter().map(|line| format!("{line}\n")).collect()
        })
    }
}

/// Replaces `\t` and `\n` of a shell's argument, as Docker does.
pub(super) fn unescape(format: &str) -> String {
    format.replace("\\t", "\t").replace("\\n", "\n")
}

/// Aligns the columns of lines with tabs. A column has three blanks at its end and at least ten letters, as Docker's.
pub(super) fn align_columns(lines: &[String]) -> String {
    let cells: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split('\t').collect())
        .collect();
    let widest = |column: usize| {
        let cells = cells.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let mut text = String::new();
    for line in &cells {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:0$}", (width + 3).max(10)));
        text += padded.collect::<String>().trim_end();
        text.push('\n');
    }
    text
}

/// Aligns columns with tabs, as buildx does: each column ends at a multiple of eight.
pub(super) fn align_tabs<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 == N {
                continue;
            }
            let cells = rows.iter().map(|row| row[column].chars().count());
            let width = (cells.max().unwrap_or(0) + 1).div_ceil(8) * 8;
            let missing = width - cell.chars().count();
            text.push_str(&"\t".repeat(missing.div_ceil(8)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: &str = r#"[
        {"id":"sha256:0123456789abcdef","names":["localhost/user/app:latest","localhost/app:v1"],"digest":"sha256:d5",
         "createdat":"2 days ago","size":"3.89 KB","createdatraw":"2026-11-24T08:53:16Z"},
        {"id":"sha256:fedcba9876543210","names":null,"digest":"sha256:d6","createdat":"now","size":"1 KB","createdatraw":""}]"#;

    fn list(format: Option<&str>, filter: Option<&str>, quiet: bool) -> String {
        let table = ImageTable {
            format: format.map(str::to_owned),
            filter: filter.map(str::to_owned),
            quiet,
            no_trunc: false,
            digests: false,
        };
        let known = Digests::default();
        table
            .render(&rows(IMAGES, &table, &known).unwrap())
            .unwrap()
    }

    #[test]
    fn images_are_printed_in_dockers_form() {
        assert_eq!(
            list(None, None, false),
            "REPOSITORY   TAG       IMAGE ID       CREATED      SIZE\n\
             user/app     latest    0123456789ab   2 days ago   3.89kB\n\
             app          v1        0123456789ab   2 days ago   3.89kB\n\
             <none>       <none>    fedcba987654   now          1kB\n"
        );
        assert_eq!(list(None, Some("app"), true), "0123456789ab\n");
        assert_eq!(list(None, Some("app:v2"), true), "");
        assert_eq!(
            list(
                Some("{{.Repository}}:{{.Tag}}"),
                Some("localhost/app:v1"),
                false
            ),
            "app:v1\n"
        );
        assert_eq!(
            list(Some(r"table {{.ID}}\t{{.Tag}}"), Some("app"), false),
            "IMAGE ID       TAG\n0123456789ab   v1\n"
        );
        // Buildah's digest of an image that it built is no registry's.
        let digests = list(Some("{{.Digest}} {{.CreatedAt}}"), Some("app"), false);
        assert_eq!(digests, "<none> 2026-11-24 08:53:16 +0000 UTC\n");
        assert!(list(Some("json"), None, false).starts_with(r#"{"Containers":"N/A""#));
    }
}
