//! YAML streams: reading manifests and patches, writing objects.

use std::fmt::Write as _;

use serde_json::Value;

use super::error::{RenderError, TemplateError};

/// Reads the documents of a YAML stream. Empty documents are dropped. `from` names the source in errors.
///
/// # Errors
/// If the text is not YAML.
pub(super) fn documents(yaml: &str, from: &str) -> Result<Vec<Value>, TemplateError> {
    // The core schema of YAML 1.2: `yes` and `0755` are strings. The API server rejects them if it expects another type.
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(yaml, options);
    let documents = documents.map_err(|error| TemplateError::Yaml {
        from: from.to_owned(),
        error: Box::new(error),
    })?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// Reads patches from a YAML or JSON text. `from` names the source in errors.
///
/// # Errors
/// If the text is not YAML, is empty, or has a document that is not a map.
pub fn parse_patch(text: &str, from: &str) -> Result<Vec<Value>, RenderError> {
    let patches = documents(text, from)?;
    if patches.is_empty() || patches.iter().any(|patch| !patch.is_object()) {
        let from = from.to_owned();
        return Err(RenderError::NotAMap { from });
    }
    Ok(patches)
}

/// Writes objects as a YAML stream.
#[must_use]
pub fn to_yaml<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    let mut stream = String::new();
    for object in objects {
        // Every JSON value is a YAML value, so this cannot fail.
        let text = serde_saphyr::to_string(object).unwrap_or_default();
        let _ = write!(stream, "---\n{text}");
    }
    stream
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let read = documents(
            "{a: yes, b: 0755, c: 1_000, d: 12:30, e: 0x1f, f: 'true', g: ~}",
            "x",
        );
        let expected = json!({
            "a": "yes", "b": "0755", "c": "1_000", "d": "12:30", "e": 31, "f": "true", "g": null
        });
        assert_eq!(read.unwrap(), [expected]);
    }

    #[test]
    fn ambiguous_strings_are_quoted() {
        let texts = [
            "yes", "n", "null", "0755", "1e3", "1:30", ".inf", "a: b", "#a", "a\n",
        ];
        let written = to_yaml([&json!(texts)]);
        // kubectl reads YAML 1.1, which has more booleans, nulls and number forms.
        for text in &texts[..7] {
            assert!(written.contains(&format!("\"{text}\"")), "{written}");
        }
        assert_eq!(documents(&written, "x").unwrap(), [json!(texts)]);
    }
}
