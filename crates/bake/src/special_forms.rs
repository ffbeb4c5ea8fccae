//! Functions that do not evaluate all of their arguments.

use hcl_edit::expr::Expression;
use serde_json::Value;

use crate::error::Result;
use crate::evaluator::{Evaluator, Scope};
use crate::types::Type;

impl Evaluator<'_> {
    /// Evaluates the functions that do not evaluate all of their arguments.
    pub(crate) fn special_form(
        &mut self,
        name: &str,
        arguments: &[&Expression],
        scope: &Scope<'_>,
    ) -> Option<Result<Value>> {
        match (name, arguments) {
            ("can", [expression]) => Some(Ok(Value::Bool(self.value(expression, scope).is_ok()))),
            ("try", [_, ..]) => {
                let mut last = Ok(Value::Null);
                for expression in arguments {
                    last = self.value(expression, scope);
                    if last.is_ok() {
                        break;
                    }
                }
                Some(last)
            }
            ("convert", [expression, kind]) => Some(
                self.value(expression, scope)
                    .and_then(|value| Type::parse(kind).and_then(|kind| kind.convert(value))),
            ),
            _ => None,
        }
    }
}
