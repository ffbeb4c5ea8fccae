//! Each state, the check that finds it, its finding and its remedy. One file for each subject.

mod ids;
mod places;
mod programs;
mod rights;
mod surroundings;
