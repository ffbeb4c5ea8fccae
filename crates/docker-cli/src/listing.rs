//! `docker images`: Buildah's list of images, in Docker's form.

use serde_json::{Value, json};

use super::answer::{AnswerError, Listing};
use super::reference;
use super::template::Template;

/// The name as Docker shows it: Docker Hub and this machine are not mentioned.
pub(super) fn familiar(name: &str) -> &str {
    for prefix in ["localhost/", "docker.io/library/", "docker.io/"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return rest;
        }
    }
    name
}

/// One row a name, with Docker's fields.
pub(super) fn rows(said: &str, listing: &Listing) -> Result<Vec<Value>, AnswerError> {
    let images: Vec<Value> = serde_json::from_str(said)?;
    let mut rows = Vec::new();
    for image in &images {
        let names = image["names"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = names
            .iter()
            .filter_map(Value::as_str)
            .map(familiar)
            .collect();
        let fitting = names.iter().filter(|name| listing.wants(name));
        let mut shown: Vec<_> = fitting
            .map(|name| row(image, Some(name), listing))
            .collect();
        // `localhost/app` and `docker.io/library/app` are one to Docker.
        shown.dedup();
        if names.is_empty() && listing.wanted.is_none() {
            shown.push(row(image, None, listing));
        }
        rows.extend(shown);
    }
    Ok(rows)
}

fn row(image: &Value, name: Option<&str>, listing: &Listing) -> Value {
    let id = image["id"].as_str().unwrap_or("");
    let short = id.strip_prefix("sha256:").unwrap_or(id);
    let id = if listing.whole {
        id
    } else {
        &short[..short.len().min(12)]
    };
    let (repository, tag) = match name {
        Some(name) => (reference::repository(name), reference::tag(name)),
        None => ("<none>", "<none>"),
    };
    json!({
        "ID": id,
        "Repository": repository,
        "Tag": tag,
        "Digest": image["digest"],
        "CreatedSince": image["createdat"],
        "CreatedAt": image["createdatraw"],
        "Size": image["size"],
    })
}

impl Listing {
    /// Buildah finds images; of one that has other names too, only those that were asked for count.
    fn wants(&self, name: &str) -> bool {
        let Some(wanted) = self.wanted.as_deref() else {
            return true;
        };
        let wanted = familiar(wanted);
        wanted.contains('*') || wanted == name || wanted == reference::repository(name)
    }

    pub(super) fn show(&self, rows: &[Value]) -> Result<String, AnswerError> {
        let id = if self.quiet { Some("{{.ID}}") } else { None };
        let columns = match id.or(self.format.as_deref()) {
            None | Some("" | "table") => {
                let digest = if self.digests { "{{.Digest}}\t" } else { "" };
                format!(
                    "table {{{{.Repository}}}}\t{{{{.Tag}}}}\t{digest}{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}"
                )
            }
            Some("json") => "{{json .}}".to_owned(),
            Some(format) => format.replace("\\t", "\t").replace("\\n", "\n"),
        };
        let (table, template) = match columns.strip_prefix("table") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, columns.as_str()),
        };
        let template = Template::read(template)?;
        let mut lines = Vec::new();
        if table {
            lines.push(template.render(&json!({
                "ID": "IMAGE ID", "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST",
                "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "Size": "SIZE",
            }))?);
        }
        for row in rows {
            lines.push(template.render(row)?);
        }
        Ok(if table {
            aligned(&lines)
        } else {
            lines.iter().map(|line| format!("{line}\n")).collect()
        })
    }
}

/// Columns of equal width, three blanks between.
pub(super) fn aligned(lines: &[String]) -> String {
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
            .map(|(cell, width)| format!("{cell:width$}"));
        let line: Vec<_> = padded.collect();
        text += line.join("   ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"[
        {"id":"sha256:0123456789abcdef","names":["localhost/user/app:latest","localhost/app:v1"],"digest":"sha256:d5",
         "createdat":"2 days ago","size":"3.89 KB","createdatraw":"2026-11-24T08:53:16Z"},
        {"id":"sha256:fedcba9876543210","names":null,"digest":"sha256:d6","createdat":"now","size":"1 KB","createdatraw":""}]"#;

    fn list(format: Option<&str>, wanted: Option<&str>, quiet: bool) -> String {
        let listing = Listing {
            format: format.map(str::to_owned),
            wanted: wanted.map(str::to_owned),
            quiet,
            whole: false,
            digests: false,
        };
        listing.show(&rows(SAID, &listing).unwrap()).unwrap()
    }

    #[test]
    fn images_are_listed_as_docker_does() {
        assert_eq!(
            list(None, None, false),
            "REPOSITORY   TAG      IMAGE ID       CREATED      SIZE\n\
             user/app     latest   0123456789ab   2 days ago   3.89 KB\n\
             app          v1       0123456789ab   2 days ago   3.89 KB\n\
             <none>       <none>   fedcba987654   now          1 KB\n"
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
        assert!(list(Some("json"), None, false).starts_with(r#"{"CreatedAt""#));
    }
}
