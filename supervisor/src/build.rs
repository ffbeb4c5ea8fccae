//! Image builds: what a job asks for, and how the builder answers.

pub mod docker;
