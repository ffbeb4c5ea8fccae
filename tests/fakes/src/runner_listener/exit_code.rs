//! Exit codes of the listener: Constants.cs, ReturnCode.

pub(super) const SUCCESS: i32 = 0;
pub(super) const TERMINATED: i32 = 1;
pub(super) const RETRYABLE: i32 = 2;
