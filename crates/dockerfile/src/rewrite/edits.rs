//! Applies changes to a text.

use super::super::error::Problem;
use super::words::Edit;

/// Applies changes. `None` if they overlap, or begin within a character: Buildah ends flags at bytes, not at characters.
pub(super) fn applied(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in edits {
        result += text.get(at..span.start)?;
        result += &replacement;
        text.get(span.clone())?;
        at = span.end;
    }
    Some(result + text.get(at..)?)
}

/// Rejects changes of one instruction that overlap, or that begin or end within a character.
pub(super) fn require_whole(text: &str, edits: &[Edit]) -> Result<(), Problem> {
    let mut spans: Vec<_> = edits
        .iter()
        .map(|(span, _)| (span.start, span.end))
        .collect();
    spans.sort_unstable();
    let whole = |(start, end): &(usize, usize)| text.get(*start..*end).is_some();
    let apart = spans.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    if apart && spans.iter().all(whole) {
        return Ok(());
    }
    Err(Problem::FlagWithinCharacter)
}

/// Returns a part of the file.
pub(super) fn part<'a>(text: &'a str, span: &std::ops::Range<usize>) -> &'a str {
    text.get(span.clone()).unwrap_or_default()
}
