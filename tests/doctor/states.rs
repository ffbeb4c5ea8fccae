//! Each state, the check that finds it, how it calls it, and what cures it. One file a subject.

mod ids;
mod places;
mod programs;
mod rights;
mod surroundings;
