//! One line of the log, for people or as JSON.

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use linux::output::escape_unprintable;

/// The content of an event.
#[derive(Debug)]
pub(super) struct Line {
    level: Level,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Line {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut line = Self {
            level: *event.metadata().level(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        line
    }

    /// Formats `supervisor: message (field=value, …)`. Errors and warnings are marked.
    pub(super) fn human(&self) -> String {
        let mark = match self.level {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        // A message with a remedy may have several lines. Values of fields, which a job may choose, get one.
        let message = escape_unprintable(&self.message, &['\n']);
        let fields: Vec<String> = self.fields.iter().map(human_field).collect();
        if fields.is_empty() {
            return format!("supervisor: {mark}{message}\n");
        }
        let fields = fields.join(", ");
        format!(
            "supervisor: {mark}{message} ({})\n",
            escape_unprintable(&fields, &[])
        )
    }

    /// Formats one object: timestamp (RFC 3339, UTC), level, message, and the fields.
    pub(super) fn json(&self, now: SystemTime) -> String {
        let timestamp = humantime::format_rfc3339_micros(now);
        let mut text = format!(r#"{{"timestamp":"{timestamp}","level":"{}""#, self.level);
        let message = Value::from(self.message.as_str());
        let fields = self.fields.iter().map(|(name, value)| (*name, value));
        for (name, value) in std::iter::once(("message", &message)).chain(fields) {
            text.push_str(&format!(",{}:{value}", Value::from(name)));
        }
        text.push_str("}\n");
        text
    }

    fn add(&mut self, field: &Field, value: Value) {
        match value {
            Value::String(text) if field.name() == "message" => self.message = text,
            value => self.fields.push((field.name(), value)),
        }
    }
}

fn human_field((name, value): &(&'static str, Value)) -> String {
    match value {
        Value::String(text) => format!("{name}={text}"),
        value => format!("{name}={value}"),
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, message: &str, fields: &[(&'static str, Value)]) -> Line {
        Line {
            level,
            message: message.into(),
            fields: fields.to_vec(),
        }
    }

    #[test]
    fn human_line_is_marked_and_its_fields_are_on_one_line() {
        let fields = [("found", "a\nb".into()), ("files", 7.into())];
        let text = line(Level::WARN, "look\nhere", &fields).human();
        assert_eq!(
            text,
            "supervisor: warning: look\nhere (found=a\\nb, files=7)\n"
        );
        assert_eq!(line(Level::INFO, "done", &[]).human(), "supervisor: done\n");
    }

    #[test]
    fn json_line_is_one_object_with_typed_fields() {
        let fields = [
            ("found", "a\"\nb".into()),
            ("files", 7.into()),
            ("is", true.into()),
        ];
        let text = line(Level::INFO, "look\nhere", &fields).json(SystemTime::UNIX_EPOCH);
        assert_eq!(
            text,
            concat!(
                r#"{"timestamp":"1970-01-01T00:00:00.000000Z","level":"INFO","message":"look\nhere","#,
                r#""found":"a\"\nb","files":7,"is":true}"#,
                "\n"
            )
        );
    }
}
