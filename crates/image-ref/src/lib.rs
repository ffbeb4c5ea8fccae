//! Reads names of images.
//!
//! [`Name`] takes a name apart and completes it by Docker's rules. It accepts every text, for a program that hands the name on.
//! [`Reference`] is a checked name: it fits the grammar of the distribution project, and the builder accepts nothing else.
//! Both are pure: they take text, and open no file and no connection.

mod name;
mod reference;
mod wildcard;

pub use name::{Name, hub};
pub use reference::{InvalidReference, Reference, is_registry};
