//! A rejected request to the fake API server.

use serde_json::{Value, json};

/// A rejected request, as a `Status` has it.
#[derive(Debug)]
pub struct Rejection {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    /// The fields that another manager owns.
    pub conflicts: Vec<String>,
}

pub(crate) fn rejection(code: u16, reason: &'static str, message: String) -> Rejection {
    Rejection {
        code,
        reason,
        message,
        conflicts: Vec::new(),
    }
}

impl Rejection {
    pub fn status(&self) -> Value {
        let cause = |field: &String| json!({"reason": "FieldManagerConflict", "field": field});
        let causes: Vec<Value> = self.conflicts.iter().map(cause).collect();
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": self.code, "reason": self.reason, "message": self.message, "details": {"causes": causes},
        })
    }
}
