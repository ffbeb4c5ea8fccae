//! Evaluates expressions.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::expr::{Expression, FuncCall, ObjectKey, Traversal, TraversalOperator};
use hcl_edit::{Decorated, Span};
use serde_json::{Map, Value};

use crate::budget::Context;
use crate::definition::{Definition, keyword};
use crate::error::{BakeError, Result};
use crate::value::{attribute, boolean, element, expected, text};
use crate::{functions, operators};

/// The names that an expression sees beside the global ones.
#[derive(Default)]
pub(crate) struct Scope<'a> {
    pub(crate) file: usize,
    pub(crate) names: BTreeMap<String, Value>,
    pub(crate) parent: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn of_file(file: usize) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    pub(crate) fn child(&'a self) -> Self {
        Self {
            file: self.file,
            names: BTreeMap::new(),
            parent: Some(self),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let own = self.names.get(name);
        own.or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }
}

/// What is evaluated so far.
pub(crate) struct Evaluator<'a> {
    pub(crate) definition: &'a Definition,
    /// Returns the value that the environment or `--var` gives to a variable.
    pub(crate) lookup: &'a dyn Fn(&str) -> Option<String>,
    /// The variables that bake itself sets.
    pub(crate) builtins: &'a BTreeMap<String, String>,
    pub(crate) context: Context,
    pub(crate) variables: BTreeMap<String, Value>,
    /// What is being evaluated: `variable a`, `function f`, `target x.tags`.
    pub(crate) active: BTreeSet<String>,
    /// The names of each target block: more than one with a matrix.
    pub(crate) targets: Vec<Vec<(String, BTreeMap<String, Value>)>>,
}

impl Evaluator<'_> {
    /// Returns the value of an expression.
    pub(crate) fn value(&mut self, expression: &Expression, scope: &Scope<'_>) -> Result<Value> {
        self.context.budget.enter()?;
        let value = self.unplaced(expression, scope).and_then(|value| {
            self.context.budget.take_value(&value)?;
            Ok(value)
        });
        self.context.budget.leave();
        value.map_err(|error| error.at(scope.file, expression.span()))
    }

    fn unplaced(&mut self, expression: &Expression, scope: &Scope<'_>) -> Result<Value> {
        match expression {
            Expression::Null(_) => Ok(Value::Null),
            Expression::Bool(on) => Ok(Value::Bool(*on.value())),
            Expression::Number(number) => {
                let number = number.value();
                match (number.as_i64(), number.as_f64()) {
                    (Some(integer), _) => Ok(Value::from(integer)),
                    (None, float) => crate::value::from_number(float.unwrap_or(f64::NAN)),
                }
            }
            Expression::String(text) => Ok(Value::String(text.value().clone())),
            Expression::Array(list) => {
                let values: Result<Vec<Value>> =
                    list.iter().map(|item| self.value(item, scope)).collect();
                values.map(Value::Array)
            }
            Expression::Object(object) => {
                let mut map = Map::new();
                for (key, value) in object.iter() {
                    let key = self.object_key(key, scope)?;
                    map.insert(key, self.value(value.expr(), scope)?);
                }
                Ok(Value::Object(map))
            }
            Expression::StringTemplate(template) => self.template(template.iter(), true, scope),
            Expression::HeredocTemplate(heredoc) => {
                self.template(heredoc.template.iter(), false, scope)
            }
            Expression::Parenthesis(inner) => self.value(inner.inner(), scope),
            Expression::Variable(name) => self.variable(name.as_str(), scope),
            Expression::Conditional(condition) => {
                let chosen = self.value(&condition.cond_expr, scope)?;
                let chosen = boolean(&chosen)
                    .map_err(|error| error.at(scope.file, condition.cond_expr.span()))?;
                let (yes, no) = (&condition.true_expr, &condition.false_expr);
                let (chosen, other) = if chosen { (yes, no) } else { (no, yes) };
                let chosen = self.value(chosen, scope)?;
                // Only the type of the other branch counts.
                let other = self.value(other, scope).unwrap_or_default();
                Ok(operators::unified(chosen, &other))
            }
            Expression::FuncCall(call) => self.call(call, scope),
            Expression::Traversal(traversal) => self.traversal(traversal, scope),
            Expression::UnaryOp(unary) => {
                let value = self.value(&unary.expr, scope)?;
                operators::unary(*unary.operator.value(), &value)
            }
            Expression::BinaryOp(binary) => {
                let left = self.value(&binary.lhs_expr, scope)?;
                if let Some(result) = operators::decided(*binary.operator.value(), &left) {
                    return Ok(result);
                }
                let right = self.value(&binary.rhs_expr, scope)?;
                operators::binary(*binary.operator.value(), &left, &right)
            }
            Expression::ForExpr(for_expression) => self.for_expression(for_expression, scope),
        }
    }

    fn object_key(&mut self, key: &ObjectKey, scope: &Scope<'_>) -> Result<String> {
        match key {
            ObjectKey::Ident(name) => Ok(name.as_str().to_owned()),
            ObjectKey::Expression(Expression::Variable(name)) => Ok(name.as_str().to_owned()),
            ObjectKey::Expression(expression) => text(&self.value(expression, scope)?),
        }
    }

    pub(crate) fn variable(&mut self, name: &str, scope: &Scope<'_>) -> Result<Value> {
        match scope.get(name) {
            Some(value) => Ok(value.clone()),
            None => self.global(name),
        }
    }

    fn traversal(&mut self, traversal: &Traversal, scope: &Scope<'_>) -> Result<Value> {
        let operators: Vec<&TraversalOperator> =
            traversal.operators.iter().map(Decorated::value).collect();
        if let Expression::Variable(root) = &traversal.expr
            && root.as_str() == "target"
            && scope.get("target").is_none()
        {
            let [TraversalOperator::GetAttr(name), rest @ ..] = operators.as_slice() else {
                return Err(BakeError::new("expected target.NAME.ATTRIBUTE"));
            };
            let [TraversalOperator::GetAttr(attribute), rest @ ..] = rest else {
                return Err(BakeError::new("expected target.NAME.ATTRIBUTE"));
            };
            let value = self.target_attribute(name.as_str(), attribute.as_str())?;
            return self.traverse(value, rest, scope);
        }
        let value = self.value(&traversal.expr, scope)?;
        self.traverse(value, &operators, scope)
    }

    fn traverse(
        &mut self,
        mut value: Value,
        operators: &[&TraversalOperator],
        scope: &Scope<'_>,
    ) -> Result<Value> {
        for (index, operator) in operators.iter().enumerate() {
            value = match operator {
                TraversalOperator::GetAttr(name) => attribute(&value, name.as_str())?,
                TraversalOperator::Index(key) => {
                    let key = self.value(key, scope)?;
                    element(&value, &key)?
                }
                TraversalOperator::LegacyIndex(key) => element(&value, &Value::from(*key.value()))?,
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let items = match value {
                        Value::Array(items) => items,
                        Value::Null => Vec::new(),
                        other => vec![other],
                    };
                    let rest = &operators[index + 1..];
                    let mut found = Vec::new();
                    for item in items {
                        self.context.budget.take_value(&item)?;
                        found.push(self.traverse(item, rest, scope)?);
                    }
                    return Ok(Value::Array(found));
                }
            };
        }
        Ok(value)
    }

    fn call(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<Value> {
        let name = call.name.name.as_str();
        if call.name.is_namespaced() {
            return Err(BakeError::new(format!("function {name} has a namespace")));
        }
        let arguments: Vec<&Expression> = call.args.iter().collect();
        if let Some(value) = self.special_form(name, &arguments, scope) {
            return value;
        }
        let mut values = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let value = self.value(argument, scope)?;
            if call.args.expand_final() && index + 1 == arguments.len() {
                match value {
                    Value::Array(list) => values.extend(list),
                    other => return Err(expected("a list before ...", &other)),
                }
            } else {
                values.push(value);
            }
        }
        if let Some(function) = functions::find(name) {
            return function.call(&values, &mut self.context);
        }
        self.user_function(name, values)
    }

    /// Calls a function of the definition.
    fn user_function(&mut self, name: &str, values: Vec<Value>) -> Result<Value> {
        let definition = self.definition;
        let Some(block) = definition.functions.get(name) else {
            return Err(functions::unknown(name));
        };
        let parameters = block.attributes.get("params").map(|a| &a.expression);
        let Some(parameters) = parameters.and_then(Expression::as_array) else {
            return Err(BakeError::new(format!("function {name} has no params")));
        };
        let Some(result) = block.attributes.get("result") else {
            return Err(BakeError::new(format!("function {name} has no result")));
        };
        let mut scope = Scope::of_file(block.file);
        let mut values = values.into_iter();
        for parameter in parameters.iter() {
            let Some(value) = values.next() else {
                return Err(BakeError::new(format!(
                    "function {name} has {} parameters, and gets fewer arguments",
                    parameters.len()
                )));
            };
            scope.names.insert(keyword(parameter)?, value);
        }
        match block.attributes.get("variadic_params") {
            Some(rest) => {
                let rest = keyword(&rest.expression)?;
                scope.names.insert(rest, values.collect());
            }
            None if values.next().is_some() => {
                return Err(BakeError::new(format!(
                    "function {name} has {} parameters, and gets more arguments",
                    parameters.len()
                )));
            }
            None => {}
        }
        let active = format!("function {name}");
        if !self.active.insert(active.clone()) {
            return Err(BakeError::new(format!("function {name} calls itself")));
        }
        let value = self.value(&result.expression, &scope);
        self.active.remove(&active);
        value
    }
}
