//! The configuration where nobody says otherwise.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Builder, Circleci, Config, Driver, Exec, FlavorName, Github, Local, Log, LogFormat, LogLevel,
    Preflight, Push, Report, RunnerSettings, Secrets, Storage, Wipe, Workspace,
};

/// Labels of GitHub's hosted Linux runners, and `self-hosted`.
const DEFAULT_LABELS: &[&str] = &[
    "ubuntu-latest",
    "ubuntu-24.04",
    "ubuntu-22.04",
    "ubuntu-24.04-arm",
    "ubuntu-22.04-arm",
    "self-hosted",
    "linux",
];

impl Default for Config {
    fn default() -> Self {
        Self {
            flavor: FlavorName::Exec,
            grace: Duration::from_secs(10),
            termination_grace_period: Duration::from_secs(30),
            deadline: None,
            die_with_parent: false,
            runtime_directory: PathBuf::from("/run/supervisor"),
            workspace: Workspace {
                path: PathBuf::from("/workspace"),
                also_wipe: Vec::new(),
            },
            preflight: Preflight { enabled: true },
            storage: Storage {
                driver: Driver::Auto,
                graph_root: None,
                insecure_registries: Vec::new(),
            },
            secrets: Secrets {
                directory: PathBuf::from("/run/secrets/supervisor"),
                required: Vec::new(),
                environment: BTreeMap::new(),
            },
            runner: RunnerSettings::default(),
            github: Github::default(),
            circleci: Circleci::default(),
            local: Local {
                repository: PathBuf::from("/repository"),
                event: "push".to_owned(),
                job: None,
                labels: DEFAULT_LABELS.iter().map(ToString::to_string).collect(),
            },
            exec: Exec {
                command: Vec::new(),
            },
            builder: Builder {
                socket: PathBuf::from("/run/builder/socket"),
                volume: PathBuf::from("/var/lib/builder"),
                client_uid: 1000,
                parallel: 4,
                cache: None,
                cache_write: false,
                image_store: None,
                push: Push {
                    allow: vec!["*".to_owned()],
                },
            },
            wipe: Wipe {
                budget: Duration::from_secs(600),
                reserve: Duration::from_secs(10),
            },
            report: Report {
                file: PathBuf::from(report::DEFAULT_FILE),
            },
            log: Log {
                format: LogFormat::Auto,
                level: LogLevel::Info,
            },
        }
    }
}
