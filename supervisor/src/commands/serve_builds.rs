//! `supervisor serve-builds`: the builder's container, from start to end.

use supervisor::{lifecycle, log, serve_builds};

use super::settings::Settings;

pub(crate) fn main(settings: Settings) -> u8 {
    let layers = settings.layers();
    match layers.load() {
        Ok(loaded) => {
            log::start(&loaded.config.log);
            serve_builds::serve(&loaded.config)
        }
        Err(error) => {
            let (voice, report) = layers.voice();
            log::start(&voice);
            lifecycle::refuse(&error, &report.file)
        }
    }
}
