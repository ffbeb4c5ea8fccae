//! A state by name with what the doctor finds in it, and the assertion that it does.

use crate::state::State;

/// A state by name, and what is found in it.
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
    /// Further arguments of the doctor.
    pub(crate) fn with(mut self, arguments: &[&'static str]) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// The check of this id ends with this status and case, and its cure says this.
    pub(crate) fn finds(
        mut self,
        id: &'static str,
        expected: &'static str,
        cure: &'static str,
    ) -> Self {
        self.expected.push((id, expected, cure));
        self
    }

    fn assert(&self) {
        let ids: Vec<_> = self.expected.iter().map(|(id, ..)| *id).collect();
        let ids = ids.join(",");
        let mut arguments = vec!["--only", &ids];
        arguments.extend(&self.arguments);
        let said = self.state.doctor(&arguments);
        for (id, expected, cure) in &self.expected {
            println!("{}: {id}", self.name);
            said.assert(id, expected, cure);
        }
    }
}

/// Every row is looked at, whatever became of those before it.
pub(crate) fn assert_all(rows: impl IntoIterator<Item = Row>) {
    let assert =
        |row: &Row| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| row.assert()));
    let wrong: Vec<&str> = (rows.into_iter())
        .filter(|row| assert(row).is_err())
        .map(|row| row.name)
        .collect();
    assert!(wrong.is_empty(), "wrong: {wrong:?}");
}
