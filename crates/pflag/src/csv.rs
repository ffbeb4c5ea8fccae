//! One record of comma-separated fields, as in `--output`, `--cache-to` and `--secret`: `type=registry,ref=a,"name=b,c"`.

/// Splits a record. A field in double quotes may contain commas, and a doubled quote in it means one quote (RFC 4180).
#[must_use]
pub fn split(record: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = record.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = fields.len() - 1;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                fields[last].push('"');
            }
            '"' if quoted || fields[last].is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields[last].push(other),
        }
    }
    fields
}

/// A record with fields of the form `key=value`. A field without `=` has an empty value.
#[derive(Debug, Clone, Default)]
pub struct CsvFields(pub Vec<(String, String)>);

impl CsvFields {
    /// Splits a record into its fields. Keys are in lower case.
    #[must_use]
    pub fn parse(record: &str) -> Self {
        let pairs = split(record).into_iter().map(|field| {
            let (key, value) = field.split_once('=').unwrap_or((&field, ""));
            (key.trim().to_lowercase(), value.trim().to_owned())
        });
        Self(pairs.collect())
    }

    /// Returns the last value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the value of the first of these keys that the record has.
    #[must_use]
    pub fn any(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_field_may_have_commas() {
        let record = r#"type=image,"name=ghcr.io/a/b,ghcr.io/a/c",push=true"#;
        let fields = CsvFields::parse(record);
        assert_eq!(fields.get("name"), Some("ghcr.io/a/b,ghcr.io/a/c"));
        assert_eq!(fields.get("push"), Some("true"));
        assert_eq!(fields.any(&["dst", "type"]), Some("image"));
        assert_eq!(split(r#""a""b",c"#), [r#"a"b"#, "c"]);
    }
}
