//! Functions of numbers and of truth.

use serde_json::Value;

use super::function::{Function, MANY, function};
use crate::budget::Context;
use crate::error::{BakeError, Result};
use crate::operators;
use crate::value::{boolean, equal, from_number, integer, number, text};

pub(super) const FUNCTIONS: &[Function] = &[
    function("absolute", (1, 1), |a, _| from_number(number(&a[0])?.abs())),
    function("add", (2, 2), |a, _| pair(a, |x, y| x + y)),
    function("subtract", (2, 2), |a, _| pair(a, |x, y| x - y)),
    function("multiply", (2, 2), |a, _| pair(a, |x, y| x * y)),
    function("divide", (2, 2), |a, _| pair(a, |x, y| x / y)),
    function("modulo", (2, 2), |a, _| pair(a, |x, y| x % y)),
    function("pow", (2, 2), |a, _| pair(a, f64::powf)),
    function("log", (2, 2), |a, _| pair(a, f64::log)),
    function("negate", (1, 1), |a, _| from_number(-number(&a[0])?)),
    function("ceil", (1, 1), |a, _| from_number(number(&a[0])?.ceil())),
    function("floor", (1, 1), |a, _| from_number(number(&a[0])?.floor())),
    function("int", (1, 1), |a, _| from_number(number(&a[0])?.trunc())),
    function("max", (1, MANY), |a, _| fold(a, f64::max)),
    function("min", (1, MANY), |a, _| fold(a, f64::min)),
    function("signum", (1, 1), |a, _| {
        let number = number(&a[0])?;
        let sign = if number == 0.0 { 0.0 } else { number.signum() };
        from_number(sign)
    }),
    function("parseint", (2, 2), parse_int),
    function("greaterthan", (2, 2), |a, _| compare(a, |x, y| x > y)),
    function("greaterthanorequalto", (2, 2), |a, _| {
        compare(a, |x, y| x >= y)
    }),
    function("lessthan", (2, 2), |a, _| compare(a, |x, y| x < y)),
    function("lessthanorequalto", (2, 2), |a, _| {
        compare(a, |x, y| x <= y)
    }),
    function("equal", (2, 2), |a, _| Ok(Value::Bool(equal(&a[0], &a[1])))),
    function("notequal", (2, 2), |a, _| {
        Ok(Value::Bool(!equal(&a[0], &a[1])))
    }),
    function("and", (2, 2), |a, _| {
        Ok(Value::Bool(boolean(&a[0])? & boolean(&a[1])?))
    }),
    function("or", (2, 2), |a, _| {
        Ok(Value::Bool(boolean(&a[0])? | boolean(&a[1])?))
    }),
    function("not", (1, 1), |a, _| {
        operators::unary(hcl_edit::expr::UnaryOperator::Not, &a[0])
    }),
];

fn pair(arguments: &[Value], with: fn(f64, f64) -> f64) -> Result<Value> {
    from_number(with(number(&arguments[0])?, number(&arguments[1])?))
}

fn compare(arguments: &[Value], holds: fn(f64, f64) -> bool) -> Result<Value> {
    let holds = holds(number(&arguments[0])?, number(&arguments[1])?);
    Ok(Value::Bool(holds))
}

fn fold(arguments: &[Value], with: fn(f64, f64) -> f64) -> Result<Value> {
    let mut found = number(&arguments[0])?;
    for argument in arguments {
        found = with(found, number(argument)?);
    }
    from_number(found)
}

fn parse_int(arguments: &[Value], _: &mut Context) -> Result<Value> {
    let (digits, base) = (text(&arguments[0])?, integer(&arguments[1])?);
    let wrong = || BakeError::new(format!("{digits:?} is no integer of base {base}"));
    let base = u32::try_from(base).map_err(|_| wrong())?;
    if !(2..=36).contains(&base) {
        return Err(wrong());
    }
    let parsed = i64::from_str_radix(&digits, base).map_err(|_| wrong())?;
    Ok(Value::from(parsed))
}
