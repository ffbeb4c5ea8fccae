//! TEMPORARY
use crate::config::Config;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Fatal;
impl Fatal {
    /// x
    pub fn example() -> Self {
        Fatal
    }
}
/// x
pub fn preflight(_c: &Config) -> Result<(), Fatal> {
    Ok(())
}
