//! Values that no log, error or debugger may show.

pub use ::secret::Secret;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_line_shows_nothing() {
        let secret = Secret::new("ghp_x".to_owned());
        assert!(!format!("{secret:?} {secret:#?}").contains("ghp"));
    }
}
