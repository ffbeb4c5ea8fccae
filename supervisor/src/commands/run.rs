//! `supervisor run`: one job from start to end.

use crate::cli::Settings;

pub(crate) fn main(_settings: Settings) -> u8 {
    0
}
