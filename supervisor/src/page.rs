//! The job's page at its CI service: sentences for people, and their forms as annotation, group of log lines and summary.
//!
//! All of it is text made from facts. Some facts come from a hostile job, such as names of processes and images: each form escapes
//! what has a meaning in it.

pub(crate) mod annotations;
pub(crate) mod group;
pub(crate) mod markup;
pub(crate) mod sizes;
pub(crate) mod summary;
pub(crate) mod words;
