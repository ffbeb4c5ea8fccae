//! Evaluates the blocks `group` and `target`, with their matrices.

use std::collections::BTreeMap;

use hcl_edit::expr::Expression;
use serde_json::Value;

use crate::definition::{Attribute, Block};
use crate::error::{BakeError, Result};
use crate::evaluator::{Evaluator, Scope};
use crate::target::{Target, converted};
use crate::value::{elements, text};

/// A group of targets and groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// The text for `--list` and `--print`.
    pub description: String,
    /// The members, in order.
    pub targets: Vec<String>,
}

/// More targets than this are an error. Each is a build.
const MATRIX: usize = 1000;

impl Evaluator<'_> {
    /// Finds the names of all targets. Returns the groups that matrices make.
    pub(crate) fn name_targets(&mut self) -> Result<Vec<(String, Group)>> {
        let definition = self.definition;
        let mut groups: Vec<(String, Group)> = Vec::new();
        for block in &definition.targets {
            let placed = |error: BakeError| error.at(block.file, block.span.clone());
            let named = self.names(block).map_err(placed)?;
            let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
            self.targets.push(named);
            if names.len() != 1 || names[0] != block.label {
                let known = groups.iter_mut().find(|(name, _)| *name == block.label);
                match known {
                    Some((_, group)) => group.targets.extend(names),
                    None => groups.push((
                        block.label.clone(),
                        Group {
                            targets: names,
                            ..Group::default()
                        },
                    )),
                }
            }
        }
        Ok(groups)
    }

    fn names(&mut self, block: &Block) -> Result<Vec<(String, BTreeMap<String, Value>)>> {
        check_name(&block.label)?;
        let mut rows: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new()];
        let matrix = block.attributes.get("matrix");
        if let Some(matrix) = matrix {
            let scope = Scope::of_file(matrix.file);
            let Value::Object(axes) = self.value(&matrix.expression, &scope)? else {
                return Err(BakeError::new("matrix is an object of lists"));
            };
            for (axis, values) in axes {
                let values = elements(&values)?;
                if rows.len().saturating_mul(values.len()) > MATRIX {
                    return Err(BakeError::new(format!(
                        "the matrix makes more than {MATRIX} targets"
                    )));
                }
                let longer = values.iter().flat_map(|value| {
                    rows.iter().map(|row| {
                        let mut row = row.clone();
                        row.insert(axis.clone(), value.clone());
                        row
                    })
                });
                rows = longer.collect();
            }
        }
        let mut named: Vec<(String, BTreeMap<String, Value>)> = Vec::new();
        for row in rows {
            let name = match (block.attributes.get("name"), matrix) {
                (Some(_), None) => return Err(BakeError::new("name needs a matrix")),
                (Some(name), Some(_)) => {
                    let mut scope = Scope::of_file(name.file);
                    scope.names.clone_from(&row);
                    text(&self.value(&name.expression, &scope)?)?
                }
                (None, _) => block.label.clone(),
            };
            check_name(&name)?;
            if named.iter().any(|(known, _)| *known == name) {
                return Err(BakeError::new(format!(
                    "the matrix makes two targets with the name {name}; set name = to a text with each value"
                )));
            }
            named.push((name, row));
        }
        Ok(named)
    }

    /// Returns all targets in the order of their first blocks.
    pub(crate) fn all_targets(&mut self) -> Result<Vec<(String, Target)>> {
        let definition = self.definition;
        let mut found: Vec<(String, Target)> = Vec::new();
        for (index, block) in definition.targets.iter().enumerate() {
            for (name, row) in self.targets[index].clone() {
                let mut target = Target::default();
                for (key, attribute) in &block.attributes {
                    if matches!(key.as_str(), "matrix" | "name") {
                        continue;
                    }
                    let place = (name.as_str(), key.as_str(), &row);
                    let value = self.attribute(place, attribute)?;
                    let set = target.set(key, value);
                    set.map_err(|error| in_attribute(error, place, attribute))?;
                }
                match found.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => known.merge(&target)?,
                    None => found.push((name, target)),
                }
            }
        }
        Ok(found)
    }

    /// Returns an attribute of a target, for `target.NAME.ATTRIBUTE`.
    pub(crate) fn target_attribute(&mut self, name: &str, key: &str) -> Result<Value> {
        let definition = self.definition;
        if crate::target::form(key).is_none() {
            return Err(BakeError::new(format!("a target has no attribute {key}")));
        }
        let (mut found, mut exists) = (Value::Null, false);
        for (index, block) in definition.targets.iter().enumerate() {
            let named = self.targets.get(index).cloned().unwrap_or_default();
            for (_, row) in named.iter().filter(|(known, _)| known == name) {
                exists = true;
                if let Some(attribute) = block.attributes.get(key) {
                    found = self.attribute((name, key, row), attribute)?;
                }
            }
        }
        if exists {
            return Ok(found);
        }
        Err(BakeError::new(format!("there is no target {name}")))
    }

    fn attribute(
        &mut self,
        place: (&str, &str, &BTreeMap<String, Value>),
        attribute: &Attribute,
    ) -> Result<Value> {
        let (name, key, row) = place;
        let active = format!("target {name}.{key}");
        if !self.active.insert(active.clone()) {
            return Err(BakeError::new(format!(
                "target.{name}.{key} depends on itself"
            )));
        }
        let mut scope = Scope::of_file(attribute.file);
        scope.names.clone_from(row);
        let value = self.value(&attribute.expression, &scope);
        self.active.remove(&active);
        let value = value.and_then(|value| converted(key, value));
        value.map_err(|error| in_attribute(error, place, attribute))
    }

    /// Returns all groups. A later block takes the place of an earlier one.
    pub(crate) fn all_groups(&mut self) -> Result<Vec<(String, Group)>> {
        let definition = self.definition;
        let mut groups: Vec<(String, Group)> = Vec::new();
        for block in &definition.groups {
            let placed = |error: BakeError| error.at(block.file, block.span.clone());
            check_name(&block.label).map_err(placed)?;
            let group = self.group(block).map_err(placed)?;
            match groups.iter_mut().find(|(name, _)| *name == block.label) {
                Some((_, known)) => *known = group,
                None => groups.push((block.label.clone(), group)),
            }
        }
        Ok(groups)
    }

    fn group(&mut self, block: &Block) -> Result<Group> {
        let mut group = Group::default();
        for (key, attribute) in &block.attributes {
            let value = self.value(&attribute.expression, &Scope::of_file(attribute.file))?;
            match key.as_str() {
                "description" => group.description = text(&value)?,
                "targets" => {
                    let names: Result<Vec<String>> = elements(&value)?.iter().map(text).collect();
                    for name in names? {
                        if !group.targets.contains(&name) {
                            group.targets.push(name);
                        }
                    }
                }
                "matrix" | "name" => {
                    return Err(BakeError::new(format!(
                        "a group has no {key}; give it to a target"
                    )));
                }
                other => {
                    return Err(BakeError::new(format!(
                        "a group has no attribute {other}; it has targets and description"
                    )));
                }
            }
        }
        if block.attributes.contains_key("targets") {
            return Ok(group);
        }
        Err(BakeError::new(format!(
            "group {} has no targets",
            block.label
        )))
    }
}

fn in_attribute(
    error: BakeError,
    (name, key, _): (&str, &str, &BTreeMap<String, Value>),
    attribute: &Attribute,
) -> BakeError {
    let span = hcl_edit::Span::span(&attribute.expression as &Expression);
    let placed = error.at(attribute.file, span);
    placed.in_part(&format!("target {name}, {key}"))
}

/// Checks the name of a target or group.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(valid) {
        return Ok(());
    }
    Err(BakeError::new(format!(
        "the name {name:?} is not allowed; use letters, digits, _ and -"
    )))
}

/// Returns the name of a service as the name of a target.
pub(crate) fn target_name(service: &str) -> Result<String> {
    let name = service.replace('.', "_");
    check_name(&name).map(|()| name)
}
