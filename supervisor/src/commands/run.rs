//! `supervisor run`: one job from start to end.

use init::signals::Signals;
use supervisor::{lifecycle, log};

use super::settings::Settings;

pub(crate) fn main(settings: Settings) -> u8 {
    let signals = Signals::block();
    let layers = settings.layers();
    match layers.load() {
        Ok(loaded) => {
            log::start(&loaded.config.log);
            lifecycle::run(&loaded.config, signals)
        }
        Err(error) => {
            let (voice, report) = layers.voice();
            log::start(&voice);
            lifecycle::refuse(&error, &report.file)
        }
    }
}
