//! What `--print` prints: JSON in buildx's order.

use serde_json::Value;

use crate::functions::encoding::escaped;
use crate::resolve::Resolved;
use crate::target::{ATTRIBUTES, Form, Target};

/// JSON with the order of its keys.
enum Json {
    Value(Value),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Resolved {
    /// Returns the definition as JSON, with a newline at the end.
    #[must_use]
    pub fn print(&self) -> String {
        let groups = self.groups.iter().map(|(name, group)| {
            let mut fields = Vec::new();
            if !group.description.is_empty() {
                let description = Json::Value(group.description.as_str().into());
                fields.push(("description".to_owned(), description));
            }
            let targets = Json::Value(group.targets.clone().into());
            fields.push(("targets".to_owned(), targets));
            (name.clone(), Json::Object(fields))
        });
        let groups: Vec<(String, Json)> = groups.collect();
        let targets = self.targets.iter();
        let targets = targets.map(|(name, target)| (name.clone(), Json::Object(fields(target))));
        let mut fields = Vec::new();
        if !groups.is_empty() {
            fields.push(("group".to_owned(), Json::Object(groups)));
        }
        fields.push(("target".to_owned(), Json::Object(targets.collect())));
        let mut written = String::new();
        Json::Object(fields).write(0, &mut written);
        written.push('\n');
        escaped(&written)
    }
}

/// Returns the fields of a target that are set.
fn fields(target: &Target) -> Vec<(String, Json)> {
    let mut fields = Vec::new();
    for (name, form) in ATTRIBUTES {
        // These may contain what a definition would take for templates.
        let literal = |text: &str| match *name {
            "annotations" | "dockerfile-inline" | "labels" | "args" | "extra-hosts" => {
                text.replace("${", "$${").replace("%{", "%%{")
            }
            _ => text.to_owned(),
        };
        let json = match form {
            Form::Text => target
                .text(name)
                .map(|text| Json::Value(literal(text).into())),
            Form::Bool => target.bool_of(name).map(|on| Json::Value(on.into())),
            Form::Appended | Form::Replaced => {
                let list: Vec<String> =
                    target.list(name).iter().map(|text| literal(text)).collect();
                (!list.is_empty()).then(|| Json::Value(list.into()))
            }
            Form::Map => {
                let pairs = target.map(name);
                let pairs =
                    pairs.map(|(key, value)| (key.to_owned(), Json::Value(literal(value).into())));
                let pairs: Vec<(String, Json)> = pairs.collect();
                (!pairs.is_empty()).then_some(Json::Object(pairs))
            }
            Form::Records(_) => {
                let records = target.of_records(name).iter();
                let records: Vec<Json> = records
                    .map(|record| {
                        // buildx prints the fields of a secret in this order, and others sorted.
                        let order = |key: &&String| match key.as_str() {
                            "id" => 0,
                            "src" if *name == "secret" => 1,
                            _ => 2,
                        };
                        let mut keys: Vec<&String> = record.keys().collect();
                        if matches!(*name, "secret" | "ssh") {
                            keys.sort_by_key(order);
                        }
                        let pairs = keys
                            .into_iter()
                            .map(|key| (key.clone(), Json::Value(record[key].clone())));
                        Json::Object(pairs.collect())
                    })
                    .collect();
                (!records.is_empty()).then_some(Json::List(records))
            }
        };
        fields.extend(json.map(|json| ((*name).to_owned(), json)));
    }
    fields
}

impl Json {
    fn write(&self, depth: usize, written: &mut String) {
        let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
        let mut items: Vec<(String, &Json)> = Vec::new();
        let (open, close) = match self {
            Self::Value(value) => {
                let pretty = format!("{value:#}");
                written.push_str(&pretty.replace('\n', &line(depth)));
                return;
            }
            Self::List(list) => {
                items.extend(list.iter().map(|item| (String::new(), item)));
                ('[', ']')
            }
            Self::Object(pairs) => {
                let pairs = pairs.iter();
                items.extend(
                    pairs.map(|(key, item)| (format!("{}: ", Value::from(key.as_str())), item)),
                );
                ('{', '}')
            }
        };
        written.push(open);
        for (index, (key, item)) in items.iter().enumerate() {
            if index > 0 {
                written.push(',');
            }
            written.push_str(&line(depth + 1));
            written.push_str(key);
            item.write(depth + 1, written);
        }
        if !items.is_empty() {
            written.push_str(&line(depth));
        }
        written.push(close);
    }
}
