//! A defect on demand, in debug builds only: the tests prove with it that a panic skips neither wipe nor report.

use report::Step;

/// The step that panics, by its name in the report; none unless a test asks for it.
#[derive(Debug)]
pub(super) struct Defect(Option<String>);

impl Defect {
    /// As `TEST_PANIC_IN_STEP` says.
    pub(super) fn from_environment() -> Self {
        Self(std::env::var("TEST_PANIC_IN_STEP").ok())
    }

    /// Panics if it is this step's turn.
    #[allow(clippy::panic, reason = "it is what this is for")]
    pub(super) fn strike(&self, step: Step) {
        let name = serde_json::to_value(step).unwrap_or_default();
        if self.0.as_deref().is_some_and(|wanted| name == wanted) {
            panic!("a defect in step {name}, as asked for");
        }
    }
}
