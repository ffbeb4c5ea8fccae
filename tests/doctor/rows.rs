//! Named states, the findings that the doctor must have in each, and the assertion.

use crate::state::State;

/// A named state and its expected findings.
pub(crate) struct Row {
    name: &'static str,
    state: State,
    arguments: Vec<&'static str>,
    expected: Vec<(&'static str, &'static str, &'static str)>,
}

pub(crate) fn row(name: &'static str, state: State) -> Row {
    Row {
        name,
        state,
        arguments: Vec::new(),
        expected: Vec::new(),
    }
}

impl Row {
    /// Adds arguments of the doctor.
    pub(crate) fn with(mut self, arguments: &[&'static str]) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// Expects this status and finding of a check, and this text in its remedy.
    pub(crate) fn finds(
        mut self,
        id: &'static str,
        expected: &'static str,
        remedy: &'static str,
    ) -> Self {
        self.expected.push((id, expected, remedy));
        self
    }

    fn assert(&self) {
        let ids: Vec<_> = self.expected.iter().map(|(id, ..)| *id).collect();
        let ids = ids.join(",");
        let mut arguments = vec!["--only", &ids];
        arguments.extend(&self.arguments);
        let result = self.state.doctor(&arguments);
        for (id, expected, remedy) in &self.expected {
            println!("{}: {id}", self.name);
            result.assert(id, expected, remedy);
        }
    }
}

/// Asserts every row, even if an earlier one failed.
pub(crate) fn assert_all(rows: impl IntoIterator<Item = Row>) {
    let assert =
        |row: &Row| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| row.assert()));
    let wrong: Vec<&str> = (rows.into_iter())
        .filter(|row| assert(row).is_err())
        .map(|row| row.name)
        .collect();
    assert!(wrong.is_empty(), "wrong: {wrong:?}");
}
