//! The functions of the standard library.

mod collections;
pub(crate) mod encoding;
mod numbers;
mod patterns;
mod printf;
mod sets;
mod text;
mod times;

use hcl_edit::expr::Expression;
use serde_json::Value;

use crate::error::{BakeError, Result};
use crate::evaluator::{Evaluator, Scope};
use crate::types::Type;

type Body = fn(&[Value], &mut Evaluator<'_>) -> Result<Value>;

/// One function.
pub(crate) struct Function {
    name: &'static str,
    /// The smallest and the largest number of arguments.
    arity: (usize, usize),
    body: Body,
}

/// Any number of arguments.
const MANY: usize = usize::MAX;

const fn function(name: &'static str, arity: (usize, usize), body: Body) -> Function {
    Function { name, arity, body }
}

const TABLES: [&[Function]; 7] = [
    collections::FUNCTIONS,
    encoding::FUNCTIONS,
    numbers::FUNCTIONS,
    patterns::FUNCTIONS,
    sets::FUNCTIONS,
    text::FUNCTIONS,
    times::FUNCTIONS,
];

/// Functions of buildx that this client does not have: they need cryptography, random numbers or addresses.
const MISSING: [&str; 16] = [
    "bcrypt",
    "byteslen",
    "bytesslice",
    "cidrhost",
    "cidrnetmask",
    "cidrsubnet",
    "cidrsubnets",
    "csvdecode",
    "homedir",
    "md5",
    "rsadecrypt",
    "semvercmp",
    "sha1",
    "sha256",
    "sha512",
    "unixtimestampparse",
];
const MISSING_RANDOM: [&str; 2] = ["uuidv4", "uuidv5"];

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    let mut all = TABLES.iter().copied().flatten();
    all.find(|function| function.name == name)
}

/// Returns the error of a function that does not exist.
pub(crate) fn unknown(name: &str) -> BakeError {
    if MISSING.contains(&name) || MISSING_RANDOM.contains(&name) {
        return BakeError::new(format!(
            "function {name} is not available here; compute the value in a step before, and give it as a variable"
        ));
    }
    BakeError::new(format!(
        "unknown function {name}; declare it with function {name:?} {{…}}"
    ))
}

impl Function {
    pub(crate) fn call(&self, arguments: &[Value], evaluator: &mut Evaluator<'_>) -> Result<Value> {
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
        (self.body)(arguments, evaluator).map_err(|error| {
            // The place of an error is known to the caller.
            BakeError::new(format!("{}: {error}", self.name))
        })
    }
}

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

/// Returns an argument that may be missing.
fn optional(arguments: &[Value], index: usize) -> Option<&Value> {
    arguments.get(index).filter(|value| !value.is_null())
}
