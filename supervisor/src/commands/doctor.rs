//! `supervisor doctor`: every check, and the cure where one fails.

use clap::Args;

#[derive(Args)]
pub(crate) struct Arguments {}

pub(crate) fn main(_arguments: Arguments) -> u8 {
    0
}
