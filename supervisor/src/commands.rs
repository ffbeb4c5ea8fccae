//! One module for each subcommand. The two that run a container from start to end are here.

pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod hook;
pub(crate) mod probe;
pub(crate) mod settings;
pub(crate) mod stage_secrets;
pub(crate) mod wipe;

use init::signals::Signals;
use supervisor::config::Config;
use supervisor::{lifecycle, log, serve_builds};

use settings::Settings;

/// `supervisor run`: one job from start to end.
pub(crate) fn run(settings: Settings) -> u8 {
    let signals = Signals::block();
    with_config(settings, |config| lifecycle::run(config, signals))
}

/// `supervisor serve-builds`: the builder's container from start to end.
pub(crate) fn serve_builds(settings: Settings) -> u8 {
    with_config(settings, serve_builds::serve)
}

/// Loads the configuration, starts the log and calls `serve`. If the configuration is invalid, reports that.
fn with_config(settings: Settings, serve: impl FnOnce(&Config) -> u8) -> u8 {
    let layers = settings.layers();
    match layers.load() {
        Ok(loaded) => {
            log::start(&loaded.config.log);
            serve(&loaded.config)
        }
        Err(error) => {
            let (log, report) = layers.fallback_log_and_report();
            log::start(&log);
            lifecycle::refuse(&error, &report.file)
        }
    }
}
