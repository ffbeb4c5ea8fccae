//! `supervisor serve-builds`: the builder's container, from start to end.

use supervisor::build::server;
use supervisor::{lifecycle, log};

use crate::cli::Settings;

pub(crate) fn main(settings: Settings) -> u8 {
    let layers = settings.layers();
    match layers.load() {
        Ok(loaded) => {
            log::start(&loaded.config.log);
            server::serve(&loaded.config)
        }
        Err(error) => {
            let (voice, report) = layers.voice();
            log::start(&voice);
            lifecycle::refuse(&error, &report.file)
        }
    }
}
