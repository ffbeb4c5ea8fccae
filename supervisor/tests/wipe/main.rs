//! The wipe against trees that want to stay, as root and as uid 1000, on real file systems. Needs root, and
//! of Debian's packages e2fsprogs, uidmap and util-linux.

// Helpers outside of the test functions may fail loudly too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod closed;
mod command;
mod deep;
mod hidden;
mod hostile;
mod leftovers;
mod memory;
mod mounts;
mod names;
mod order;
mod place;
mod property;
mod races;
mod refusals;
mod run;
mod special;
mod state;
mod subordinate;
mod wide;
mod writer;
