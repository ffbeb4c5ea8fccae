//! Settings as flags: the strongest layer of the configuration.

use std::path::PathBuf;

use clap::Args;
use figment::value::Value;
use supervisor::config::load::{Flag, Layers};

/// The flags of every subcommand that reads the configuration.
#[derive(Args, Default)]
pub(crate) struct Settings {
    /// Configuration file [default: /etc/supervisor/config.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which runner to start: github, circleci, local, exec
    #[arg(long, value_name = "NAME")]
    flavor: Option<String>,
    /// Time between the graceful signal and SIGTERM
    #[arg(long, value_name = "DURATION")]
    grace: Option<String>,
    /// The longest time that the job may take
    #[arg(long, value_name = "DURATION")]
    deadline: Option<String>,
    /// The ephemeral volume
    #[arg(long, value_name = "DIR")]
    workspace: Option<String>,
    /// auto, overlay, fuse-overlayfs, vfs, none
    #[arg(long, value_name = "NAME")]
    storage_driver: Option<String>,
    /// Directory with one file for each secret
    #[arg(long, value_name = "DIR")]
    secrets: Option<String>,
    /// The file for the kubelet's copy of the report
    #[arg(long, value_name = "FILE")]
    report_file: Option<String>,
    /// auto, human, json
    #[arg(long, value_name = "NAME")]
    log_format: Option<String>,
    /// error, warn, info, debug
    #[arg(long, value_name = "NAME")]
    log_level: Option<String>,
    /// Start the job without checks
    #[arg(long)]
    no_preflight: bool,
    /// End when the parent process ends
    #[arg(long, short = 'p')]
    die_with_parent: bool,
    /// Program and arguments of the flavor exec
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Settings {
    /// Returns the flags that were given as layers of the configuration.
    pub(crate) fn layers(self) -> Layers {
        let texts = [
            ("--flavor", "flavor", self.flavor),
            ("--grace", "grace", self.grace),
            ("--deadline", "deadline", self.deadline),
            ("--workspace", "workspace.path", self.workspace),
            ("--storage-driver", "storage.driver", self.storage_driver),
            ("--secrets", "secrets.directory", self.secrets),
            ("--report-file", "report.file", self.report_file),
            ("--log-format", "log.format", self.log_format),
            ("--log-level", "log.level", self.log_level),
        ];
        let mut flags: Vec<Flag> = texts
            .into_iter()
            .filter_map(|(name, key, text)| {
                let value = Value::from(text?);
                Some(Flag { name, key, value })
            })
            .collect();
        let mut set = |name, key, value: Value| flags.push(Flag { name, key, value });
        if self.no_preflight {
            set("--no-preflight", "preflight.enabled", Value::from(false));
        }
        if self.die_with_parent {
            set("--die-with-parent", "die_with_parent", Value::from(true));
        }
        if !self.command.is_empty() {
            set("--", "exec.command", Value::from(self.command));
        }
        Layers {
            file: self.config,
            flags,
        }
    }
}
