//! A whole examination: the selected checks, run and reported.

use std::os::fd::AsFd;

use super::context::Context;
use super::engine;
use super::report::Report;
use super::selection::Selection;

/// Runs the selected checks. Returns `None` if `interrupt` became readable before they were done.
#[must_use]
pub fn examine(
    context: &Context,
    selection: &Selection,
    interrupt: Option<&dyn AsFd>,
) -> Option<Report> {
    let started = std::time::Instant::now();
    let results = engine::examine(context.clone(), selection.with_needed(), interrupt)?;
    let shown = selection.shown(results);
    Some(Report::new(context, shown, started.elapsed()))
}
