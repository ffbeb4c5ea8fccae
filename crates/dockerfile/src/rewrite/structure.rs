//! Compares the instructions of a file before and after it is rewritten.

use super::super::error::Problem;
use super::super::lexer::{self, Fault, Instruction};

/// Checks that the new text has the same instructions with the same here-documents: a change is within one instruction.
///
/// # Errors
/// [`Problem::Structure`] for the first instruction that differs, at its line in the old text.
pub(super) fn check(before: &[Instruction], text: &str) -> Result<(), Fault> {
    let after = lexer::instructions(text).map_err(|(line, _)| (line, Problem::Structure))?;
    let differs = before
        .iter()
        .zip(&after)
        .position(|(before, after)| !alike(before, after));
    let shorter = before.len().min(after.len());
    let longer = before.len().max(after.len());
    match differs.or_else(|| (shorter < longer).then_some(shorter)) {
        // The instruction before the one that differs may be the cause.
        Some(at) => {
            let cause = before.get(at).or(before.last());
            Err((cause.map_or(1, |cause| cause.line), Problem::Structure))
        }
        None => Ok(()),
    }
}

/// Whether both are one instruction. A script changes the quotes of its here-document's name only.
fn alike(before: &Instruction, after: &Instruction) -> bool {
    let documents = before.documents.iter().zip(&after.documents);
    before.name == after.name
        && before.trigger == after.trigger
        && before.documents.len() == after.documents.len()
        && documents.into_iter().all(|(before, after)| {
            let (before, after) = (&before.document, &after.document);
            before.name == after.name && before.chomp == after.chomp
        })
}
