//! One function of the standard library.

use serde_json::Value;

use crate::budget::Context;
use crate::error::{BakeError, Result};

type Body = fn(&[Value], &mut Context) -> Result<Value>;

/// One function.
pub(crate) struct Function {
    pub(super) name: &'static str,
    /// The smallest and the largest number of arguments.
    arity: (usize, usize),
    body: Body,
}

/// Any number of arguments.
pub(super) const MANY: usize = usize::MAX;

pub(super) const fn function(name: &'static str, arity: (usize, usize), body: Body) -> Function {
    Function { name, arity, body }
}

impl Function {
    pub(crate) fn call(&self, arguments: &[Value], context: &mut Context) -> Result<Value> {
        let (least, most) = self.arity;
        if arguments.len() < least || arguments.len() > most {
            let count = match most {
                most if most == least => least.to_string(),
                MANY => format!("at least {least}"),
                most => format!("{least} to {most}"),
            };
            return Err(BakeError::new(format!(
                "function {} takes {count} arguments, and gets {}",
                self.name,
                arguments.len()
            )));
        }
        (self.body)(arguments, context).map_err(|error| {
            // The place of an error is known to the caller.
            BakeError::new(format!("{}: {error}", self.name))
        })
    }
}

/// Returns an argument that may be missing.
pub(super) fn optional(arguments: &[Value], index: usize) -> Option<&Value> {
    arguments.get(index).filter(|value| !value.is_null())
}
