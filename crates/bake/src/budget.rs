//! How much work one evaluation may do. A definition is the job's own, and must not hang it or take its memory.

use serde_json::Value;

use crate::error::{BakeError, Result};

/// About one for each expression, element and byte.
const WORK: usize = 32 << 20;
/// Expressions within expressions, through variables and functions too. Each needs stack.
const DEPTH: usize = 120;
/// What an element costs beside its own bytes.
const ELEMENT: usize = 32;

/// What functions may use of an evaluation.
pub(crate) struct Context {
    pub(crate) budget: Budget,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

pub(crate) struct Budget {
    left: usize,
    depth: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            left: WORK,
            depth: 0,
        }
    }

    /// Takes `work` off the budget.
    pub(crate) fn take(&mut self, work: usize) -> Result<()> {
        match self.left.checked_sub(work) {
            Some(left) => self.left = left,
            None => {
                return Err(BakeError::new(
                    "the evaluation needs too much time and memory; make its lists and texts smaller",
                ));
            }
        }
        Ok(())
    }

    /// Takes `count` elements off the budget.
    pub(crate) fn take_elements(&mut self, count: usize) -> Result<()> {
        self.take(count.saturating_mul(ELEMENT))
    }

    /// Takes the size of a value off the budget.
    pub(crate) fn take_value(&mut self, value: &Value) -> Result<()> {
        self.take(ELEMENT)?;
        match value {
            Value::String(text) => self.take(text.len()),
            Value::Array(list) => list.iter().try_for_each(|item| self.take_value(item)),
            Value::Object(map) => map.iter().try_for_each(|(key, item)| {
                self.take(key.len())?;
                self.take_value(item)
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(BakeError::new(format!(
                "expressions, variables and functions are nested more than {DEPTH} deep"
            )));
        }
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }
}
