//! An impossible value of the configuration.

/// A key and the problem with its value.
pub(in crate::config) struct InvalidValue {
    pub(in crate::config) key: &'static str,
    pub(in crate::config) problem: String,
}

/// Returns an [`InvalidValue`], in the form that every check returns.
pub(super) fn invalid(key: &'static str, problem: impl Into<String>) -> Option<InvalidValue> {
    Some(InvalidValue {
        key,
        problem: problem.into(),
    })
}
