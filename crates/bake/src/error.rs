//! The error of a definition, with the file and the line.

use std::ops::Range;

/// Why a definition has no targets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{message}")]
pub struct BakeError {
    /// `FILE:LINE: `, or nothing.
    place: String,
    message: String,
    /// The file and the bytes, until [`BakeError::located`] turns them into a line.
    span: Option<(usize, Range<usize>)>,
}

impl BakeError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            message: message.into(),
            span: None,
        }
    }

    /// Returns the error of a text whose line is known.
    pub(crate) fn in_line(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            place: format!("{file}:{line}: "),
            ..Self::new(message)
        }
    }

    /// Adds the place, unless an inner expression has one.
    pub(crate) fn at(mut self, file: usize, span: Option<Range<usize>>) -> Self {
        if self.span.is_none() && self.place.is_empty() {
            self.span = span.map(|span| (file, span));
        }
        self
    }

    /// Names the part of the definition that is wrong.
    pub(crate) fn in_part(mut self, part: &str) -> Self {
        if !self.message.starts_with("target ") {
            self.message = format!("{part}: {}", self.message);
        }
        self
    }

    /// Turns the place into a file and a line.
    pub(crate) fn located(mut self, files: &[(String, String)]) -> Self {
        if let Some((file, span)) = self.span.take()
            && let Some((name, text)) = files.get(file)
        {
            let before = text.as_bytes().get(..span.start).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            self.place = format!("{name}:{line}: ");
        }
        self
    }
}

pub(crate) type Result<T> = std::result::Result<T, BakeError>;
