//! Operators of expressions.

use hcl_edit::expr::{BinaryOperator, UnaryOperator};
use serde_json::Value;

use crate::error::{BakeError, Result};
use crate::value::{boolean, equal, from_number, number, text};

pub(crate) fn unary(operator: UnaryOperator, value: &Value) -> Result<Value> {
    match operator {
        UnaryOperator::Not => boolean(value).map(|on| Value::Bool(!on)),
        UnaryOperator::Neg => from_number(-number(value)?),
    }
}

pub(crate) fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Result<Value> {
    use BinaryOperator as Op;
    let numbers = || Ok::<_, BakeError>((number(left)?, number(right)?));
    let compare = |holds: fn(&f64, &f64) -> bool| {
        let (left, right) = numbers()?;
        Ok(Value::Bool(holds(&left, &right)))
    };
    match operator {
        Op::Eq => Ok(Value::Bool(equal(left, right))),
        Op::NotEq => Ok(Value::Bool(!equal(left, right))),
        Op::And => Ok(Value::Bool(boolean(left)? & boolean(right)?)),
        Op::Or => Ok(Value::Bool(boolean(left)? | boolean(right)?)),
        Op::LessEq => compare(f64::le),
        Op::GreaterEq => compare(f64::ge),
        Op::Less => compare(f64::lt),
        Op::Greater => compare(f64::gt),
        Op::Plus => numbers().and_then(|(left, right)| from_number(left + right)),
        Op::Minus => numbers().and_then(|(left, right)| from_number(left - right)),
        Op::Mul => numbers().and_then(|(left, right)| from_number(left * right)),
        Op::Div => numbers().and_then(|(left, right)| from_number(left / right)),
        Op::Mod => numbers().and_then(|(left, right)| from_number(left % right)),
    }
}

/// Returns the result of `&&` and `||` if the left side alone decides it.
pub(crate) fn decided(operator: BinaryOperator, left: &Value) -> Option<Value> {
    let decides = match operator {
        BinaryOperator::And => false,
        BinaryOperator::Or => true,
        _ => return None,
    };
    let left = boolean(left).ok()?;
    (left == decides).then_some(Value::Bool(decides))
}

/// Returns the chosen branch of a condition in the type that both have: a string, if one is a string.
pub(crate) fn unified(chosen: Value, other: &Value) -> Value {
    let converts = matches!(chosen, Value::Number(_) | Value::Bool(_));
    if converts && other.is_string() {
        return text(&chosen).map_or(chosen, Value::String);
    }
    chosen
}
