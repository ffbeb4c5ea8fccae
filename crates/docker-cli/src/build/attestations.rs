//! `--attest`, `--provenance` and `--sbom`. Buildah makes no attestations, and a line on standard error says so.

use pflag::parse_bool;

use super::super::arguments::Parsed;
use super::super::error::TranslateError;
use super::super::planner::Planner;
use pflag::csv::CsvFields;

/// Adds a notice for each attestation that is requested. BuildKit adds attestations by itself, so a job that requests some
/// builds without them too, and its log says what is missing.
///
/// # Errors
/// [`TranslateError`] if `--attest` has no type that BuildKit knows.
pub(super) fn notices(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    for flag in ["attest", "provenance", "sbom"] {
        for record in parsed.values(flag) {
            let fields = CsvFields::parse(record);
            let kind = match flag {
                "attest" => fields.get("type").unwrap_or_default(),
                flag => flag,
            };
            if !matches!(kind, "provenance" | "sbom") {
                return Err(planner.usage(&format!(
                    "--{flag} {record}: expected type=provenance or type=sbom"
                )));
            }
            if is_off(&fields) {
                continue;
            }
            planner.notice(&format!(
                "--{flag} {record}: no {kind} attestation is made, because Buildah writes none; use {} or cosign on the pushed digest",
                match kind {
                    "sbom" => "anchore/sbom-action",
                    _ => "actions/attest-build-provenance",
                }
            ));
        }
    }
    Ok(())
}

/// Returns whether a record requests nothing: `false`, or `disabled=true`.
fn is_off(fields: &CsvFields) -> bool {
    let mut keys = fields.0.iter().map(|(key, _)| key);
    let off = keys.any(|key| parse_bool(key) == Some(false));
    off || fields.get("disabled").and_then(parse_bool) == Some(true)
}
