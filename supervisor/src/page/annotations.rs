//! Annotations: lines on the console of GitHub's runner that appear at the top of the job's page.

use super::{markup, words};
use report::{Problem, ProblemKind};

/// Returns the annotation of a problem as GitHub's runner reads it.
pub(crate) fn annotation(problem: &Problem) -> String {
    let level = match problem.kind {
        // The job may have succeeded all the same.
        ProblemKind::StorageFull => "warning",
        _ => "error",
    };
    let title = words::title(problem.kind);
    format!(
        "::{level} title={title}::{}",
        markup::message(&problem.message)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_becomes_one_annotation() {
        let problem = |kind, message: &str| Problem {
            kind,
            message: message.to_owned(),
        };
        let memory = problem(ProblemKind::OutOfMemory, "100% of it\n::warning::no");
        let expected = "::error title=Out of memory::100%25 of it%0A::warning::no";
        assert_eq!(annotation(&memory), expected);
        let full = problem(ProblemKind::StorageFull, "/tmp is full");
        assert_eq!(
            annotation(&full),
            "::warning title=Storage full::/tmp is full"
        );
    }
}
