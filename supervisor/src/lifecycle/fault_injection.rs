//! A panic on request, in debug builds only: tests prove with it that wipe and report follow even a panic.

use report::Step;

/// The step that panics, by its name in the report. `None` unless a test sets it.
#[derive(Debug)]
pub(super) struct FaultInjection(Option<String>);

impl FaultInjection {
    /// Reads the step from `TEST_PANIC_IN_STEP`.
    pub(super) fn from_environment() -> Self {
        Self(std::env::var("TEST_PANIC_IN_STEP").ok())
    }

    /// Panics if `step` is the chosen one.
    #[allow(clippy::panic, reason = "it is what this is for")]
    pub(super) fn panic_in(&self, step: Step) {
        let name = serde_json::to_value(step).unwrap_or_default();
        if self.0.as_deref().is_some_and(|wanted| name == wanted) {
            panic!("a defect in step {name}, as asked for");
        }
    }
}
