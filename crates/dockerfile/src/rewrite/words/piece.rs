//! A part of a text that is rewritten.

use super::super::super::error::MAX_WORD;

/// A part of a text: how it is written, and what it expands to.
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) value: Option<String>,
    /// Whether the text ends with `$NAME`, without braces.
    pub(super) named: bool,
}

impl Piece {
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            value: Some(String::new()),
            named: false,
        }
    }

    pub(super) fn push(&mut self, text: &str, value: Option<&str>) {
        self.text += text;
        self.named = false;
        self.value = match (self.value.take(), value) {
            (Some(whole), Some(value)) if whole.len() + value.len() <= MAX_WORD => {
                Some(whole + value)
            }
            _ => None,
        };
    }
}
