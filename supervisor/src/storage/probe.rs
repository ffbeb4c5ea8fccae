//! TEMPORARY
use crate::sys::trial::{TrialError, Verdict};
use std::path::Path;
/// x
pub fn overlay(_p: &Path) -> Result<Verdict, TrialError> {
    Ok(Verdict::Works)
}
/// x
pub fn fuse_overlayfs(_p: &Path) -> Result<Verdict, TrialError> {
    Ok(Verdict::Works)
}
