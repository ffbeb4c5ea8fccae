//! Builds that one container asks for and another does.
#![allow(clippy::unwrap_used, missing_docs)]

fn main() {}
