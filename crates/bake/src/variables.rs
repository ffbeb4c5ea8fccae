//! Global names: variables, attributes outside of blocks, and what bake itself sets.

use hcl_edit::expr::Expression;
use serde_json::Value;

use crate::definition::Block;
use crate::error::{BakeError, Result};
use crate::evaluator::{Evaluator, Scope};
use crate::types::Type;
use crate::value::{boolean, text};

impl Evaluator<'_> {
    /// Returns the value of a global name.
    pub(crate) fn global(&mut self, name: &str) -> Result<Value> {
        if let Some(value) = self.variables.get(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.builtins.get(name) {
            return Ok(Value::from(value.as_str()));
        }
        let active = format!("variable {name}");
        if !self.active.insert(active.clone()) {
            return Err(BakeError::new(format!(
                "the value of variable {name} depends on itself"
            )));
        }
        let definition = self.definition;
        let value = match (
            definition.attributes.get(name),
            definition.variables.get(name),
        ) {
            (Some(attribute), _) => {
                self.value(&attribute.expression, &Scope::of_file(attribute.file))
            }
            (None, Some(block)) => self
                .of_block(name, block)
                .map_err(|error| error.at(block.file, block.span.clone())),
            (None, None) => Err(BakeError::new(format!(
                "unknown variable {name}; declare it with variable {name:?} {{}}"
            ))),
        };
        self.active.remove(&active);
        let value = value?;
        self.variables.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    fn of_block(&mut self, name: &str, block: &Block) -> Result<Value> {
        let constraint = type_of(block)?;
        let fixed = constraint.clone().unwrap_or(Type::Any);
        let default = match block.attributes.get("default") {
            Some(default) => {
                let scope = Scope::of_file(default.file);
                let value = self.value(&default.expression, &scope)?;
                let value = fixed.convert(value);
                Some(value.map_err(|error| {
                    BakeError::new(format!("the default of variable {name}: {error}"))
                })?)
            }
            None => None,
        };
        let Some((given, json)) = self.given(name, constraint.is_some()) else {
            let empty = if constraint.is_some() {
                Value::Null
            } else {
                Value::from("")
            };
            return Ok(default.unwrap_or(empty));
        };
        let value = if json && constraint.is_some() {
            serde_json::from_str(&given)
                .map_err(|error| BakeError::new(error.to_string()))
                .and_then(|value| fixed.convert(value))
        } else {
            let inferred = default.as_ref().map_or(Type::String, Type::of);
            constraint.unwrap_or(inferred).read(&given)
        };
        value.map_err(|error| {
            BakeError::new(format!(
                "the value of variable {name} in the environment: {error}"
            ))
        })
    }

    /// Returns the value of the environment, and whether it is JSON.
    fn given(&self, name: &str, typed: bool) -> Option<(String, bool)> {
        let plain = (self.lookup)(name);
        if plain.is_none() || typed {
            let json = format!("{name}_JSON");
            let declared = self.definition.variables.contains_key(&json);
            if let Some(value) = (self.lookup)(&json).filter(|_| !declared) {
                return Some((value, true));
            }
        }
        plain.map(|value| (value, false))
    }

    /// Evaluates all variables, and checks their blocks `validation`.
    pub(crate) fn check_variables(&mut self) -> Result<()> {
        let definition = self.definition;
        for name in definition.variables.keys() {
            self.global(name)?;
        }
        for (name, block) in &definition.variables {
            for rule in &block.inner {
                self.check_rule(name, rule)
                    .map_err(|error| error.at(rule.file, rule.span.clone()))?;
            }
        }
        for name in definition.attributes.keys() {
            self.global(name)?;
        }
        Ok(())
    }

    fn check_rule(&mut self, name: &str, rule: &Block) -> Result<()> {
        let scope = Scope::of_file(rule.file);
        let Some(condition) = rule.attributes.get("condition") else {
            return Err(BakeError::new("validation needs condition"));
        };
        let holds = self.value(&condition.expression, &scope)?;
        if boolean(&holds)? {
            return Ok(());
        }
        let message = match rule.attributes.get("error_message") {
            Some(message) => text(&self.value(&message.expression, &scope)?)?,
            None => "its validation failed".to_owned(),
        };
        Err(BakeError::new(format!("variable {name}: {message}")))
    }
}

/// Returns the type of a variable, if it has one.
pub(crate) fn type_of(block: &Block) -> Result<Option<Type>> {
    match block.attributes.get("type") {
        None => Ok(None),
        Some(attribute) if matches!(attribute.expression, Expression::Null(_)) => Ok(None),
        Some(attribute) => Type::parse(&attribute.expression).map(Some),
    }
}
