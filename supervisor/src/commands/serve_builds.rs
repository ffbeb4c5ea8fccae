//! `supervisor serve-builds`: the builder's container, from start to end.

use supervisor::build::server;
use supervisor::config::Config;
use supervisor::{lifecycle, log};

use crate::cli::Settings;

pub(crate) fn main(settings: Settings) -> u8 {
    let loaded = settings.layers().load();
    let default = Config::default().log;
    log::start(
        loaded
            .as_ref()
            .map_or(&default, |loaded| &loaded.config.log),
    );
    match loaded {
        Ok(loaded) => server::serve(&loaded.config),
        Err(error) => lifecycle::refuse(&error),
    }
}
