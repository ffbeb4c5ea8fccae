//! `--secret`, as buildx reads it.

use secret::Secret;

use super::super::error::TranslateError;
use super::super::plan::Step;
use super::super::planner::{Planner, text};
use pflag::csv::CsvFields;

const KEYS: [&str; 5] = ["type", "id", "src", "source", "env"];

/// Returns the value of `--secret` for Buildah. Each secret becomes a file in the scratch directory, because the builder has
/// neither the job's variables nor all of its files. A variable that is not set is an empty secret.
pub(super) fn value(record: &str, planner: &mut Planner<'_>) -> Result<String, TranslateError> {
    let fields = CsvFields::parse(record);
    let wrong = |what: &str| Err(planner.usage(&format!("--secret {record}: {what}")));
    if let Some((key, _)) = fields
        .0
        .iter()
        .find(|(key, _)| !KEYS.contains(&key.as_str()))
    {
        return wrong(&format!("unexpected key {key}"));
    }
    let Some(id) = fields.get("id").filter(|id| !id.is_empty()) else {
        return wrong("id= is missing");
    };
    let source = fields
        .any(&["src", "source"])
        .filter(|source| !source.is_empty());
    let (variable, path) = match (fields.get("type"), fields.get("env"), source) {
        (Some(kind), ..) if !matches!(kind, "file" | "env") => {
            return wrong("expected file or env as type=");
        }
        (_, Some(name), _) if !name.is_empty() => (Some(name), None),
        (Some("env"), _, Some(name)) => (Some(name), None),
        (_, _, Some(path)) => (None, Some(path)),
        _ => match (planner.job.variable)(id) {
            Some(_) => (Some(id), None),
            None => (None, Some(id)),
        },
    };
    let file = planner.scratch("secret");
    let step = match (variable, path) {
        (Some(name), _) => Step::WriteSecret {
            path: file.clone(),
            content: Secret::new((planner.job.variable)(name).unwrap_or_default()),
        },
        (None, path) => Step::CopyIn {
            from: path.unwrap_or(id).into(),
            to: file.clone(),
            what: format!("{} --secret {record}", planner.command),
        },
    };
    planner.step(step);
    Ok(format!("id={id},src={}", text(&file)))
}
