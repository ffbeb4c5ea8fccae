//! All of an examination: the selected checks, run and reported.

use std::os::fd::AsFd;

use super::engine;
use super::report::Report;
use super::scene::Scene;
use super::selection::Selection;

/// Runs the selected checks; `None` where `interrupt` became readable before they were done.
#[must_use]
pub fn examine(
    scene: &Scene,
    selection: &Selection,
    interrupt: Option<&dyn AsFd>,
) -> Option<Report> {
    let began = std::time::Instant::now();
    let outcomes = engine::examine(scene.clone(), selection.with_needed(), interrupt)?;
    let shown = selection.shown(outcomes);
    Some(Report::new(scene, shown, began.elapsed()))
}
