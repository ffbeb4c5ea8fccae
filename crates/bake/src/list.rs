//! What `--list` prints: the targets or the variables.

use serde_json::{Value, json};

use crate::definitions::{Definitions, Variable};
use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::functions::encoding::{escaped, go_json};
use crate::types::Type;
use crate::value::text;
use crate::variables::type_of;

/// Returns all variables, sorted.
pub(crate) fn variables(evaluator: &mut Evaluator<'_>) -> Result<Vec<Variable>> {
    let definition = evaluator.definition;
    let mut all = Vec::new();
    for (name, block) in &definition.variables {
        let value = evaluator.global(name)?;
        let kind = type_of(block)?;
        let description = block.attributes.get("description");
        let description = description.and_then(|text| text.expression.as_str());
        let value = match (&kind, &value) {
            (_, Value::Null) => None,
            (Some(Type::String) | None, value) => {
                Some(text(value).unwrap_or_else(|_| go_json(value)))
            }
            (_, value) => Some(go_json(value)),
        };
        all.push(Variable {
            name: name.clone(),
            kind: kind.map(|kind| kind.name()).unwrap_or_default(),
            value,
            description: description.unwrap_or_default().to_owned(),
        });
    }
    Ok(all)
}

impl Definitions {
    /// Returns the rows of `--list=targets`: names and descriptions, with a head.
    #[must_use]
    pub fn target_rows(&self) -> Vec<[String; 2]> {
        let mut rows = vec![["TARGET".to_owned(), "DESCRIPTION".to_owned()]];
        let listed = self.listed().into_iter();
        rows.extend(listed.map(|(name, description, _)| [name, description]));
        rows
    }

    /// Returns `--list=type=targets,format=json`.
    #[must_use]
    pub fn target_json(&self) -> String {
        let listed = self.listed().into_iter().map(|(name, description, group)| {
            let mut fields = vec![("name", Value::from(name))];
            if !description.is_empty() {
                fields.push(("description", description.into()));
            }
            if group {
                fields.push(("group", group.into()));
            }
            fields
        });
        pretty(&listed.collect::<Vec<_>>())
    }

    /// Returns names, descriptions, and whether each is a group. A name with `_` at its start is private.
    fn listed(&self) -> Vec<(String, String, bool)> {
        let targets = self.targets.iter().map(|(name, target)| {
            let description = target.text("description").unwrap_or_default();
            (name.clone(), description.to_owned(), false)
        });
        let groups = self.groups.iter().map(|(name, group)| {
            let mut members = group.targets.clone();
            members.sort();
            let members = members.join(", ");
            let description = match (group.description.as_str(), members.as_str()) {
                (description, "") => description.to_owned(),
                ("", members) => members.to_owned(),
                (description, members) => format!("{description} ({members})"),
            };
            (name.clone(), description, true)
        });
        let mut all: Vec<_> = targets.chain(groups).collect();
        all.retain(|(name, ..)| !name.starts_with('_'));
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    }

    /// Returns the rows of `--list=variables`, with a head.
    #[must_use]
    pub fn variable_rows(&self) -> Vec<[String; 4]> {
        let mut rows = vec![["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"].map(str::to_owned)];
        rows.extend(self.variables.iter().map(|variable| {
            let value = variable.value.as_deref().unwrap_or("<null>");
            let columns = [&variable.name, &variable.kind, value, &variable.description];
            columns.map(str::to_owned)
        }));
        rows
    }

    /// Returns `--list=type=variables,format=json`.
    #[must_use]
    pub fn variable_json(&self) -> String {
        let listed = self.variables.iter().map(|variable| {
            let mut fields = vec![("name", json!(variable.name))];
            if !variable.description.is_empty() {
                fields.push(("description", json!(variable.description)));
            }
            if !variable.kind.is_empty() {
                fields.push(("type", json!(variable.kind)));
            }
            fields.extend(variable.value.as_ref().map(|value| ("value", json!(value))));
            fields
        });
        pretty(&listed.collect::<Vec<_>>())
    }
}

/// Writes a list of objects as Go does, with the fields in this order.
fn pretty(list: &[Vec<(&str, Value)>]) -> String {
    let objects = list.iter().map(|fields| {
        let fields = fields
            .iter()
            .map(|(key, value)| format!("    {key:?}: {value}"));
        format!("  {{\n{}\n  }}", fields.collect::<Vec<_>>().join(",\n"))
    });
    let objects: Vec<String> = objects.collect();
    escaped(&match objects.as_slice() {
        [] => "[]\n".to_owned(),
        objects => format!("[\n{}\n]\n", objects.join(",\n")),
    })
}
