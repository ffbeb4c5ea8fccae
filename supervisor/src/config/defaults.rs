//! The defaults, as docs/configuration.md lists them. Those of the vendors' runners are in `runners`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Builder, Circleci, Config, Driver, Exec, FlavorName, Github, Local, Log, LogFormat, LogLevel,
    Memory, MemoryGuard, Preflight, Push, Report, RunnerSettings, Secrets, Storage, Wipe,
    Workspace,
};

impl Default for Config {
    fn default() -> Self {
        Self {
            flavor: FlavorName::Exec,
            grace: Duration::from_secs(10),
            termination_grace_period: Duration::from_secs(30),
            deadline: None,
            die_with_parent: false,
            runtime_directory: PathBuf::from("/run/supervisor"),
            workspace: Workspace::default(),
            preflight: Preflight::default(),
            storage: Storage::default(),
            secrets: Secrets::default(),
            runner: RunnerSettings::default(),
            github: Github::default(),
            circleci: Circleci::default(),
            local: Local::default(),
            exec: Exec::default(),
            builder: Builder::default(),
            memory: Memory::default(),
            wipe: Wipe::default(),
            report: Report::default(),
            log: Log::default(),
        }
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/workspace"),
            also_wipe: Vec::new(),
        }
    }
}

impl Default for Preflight {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            driver: Driver::Auto,
            graph_root: None,
            insecure_registries: Vec::new(),
        }
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/run/secrets/supervisor"),
            required: Vec::new(),
            environment: BTreeMap::new(),
        }
    }
}

/// Labels of GitHub's hosted Linux runners, and `self-hosted`.
const LABELS: &[&str] = &[
    "ubuntu-latest",
    "ubuntu-24.04",
    "ubuntu-22.04",
    "ubuntu-24.04-arm",
    "ubuntu-22.04-arm",
    "self-hosted",
    "linux",
];

impl Default for Local {
    fn default() -> Self {
        Self {
            repository: PathBuf::from("/repository"),
            event: "push".to_owned(),
            job: None,
            labels: LABELS.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
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
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            guard: MemoryGuard::Auto,
            headroom: None,
        }
    }
}

impl Default for Wipe {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(600),
            reserve: Duration::from_secs(10),
        }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self {
            file: PathBuf::from(report::DEFAULT_FILE),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: LogLevel::Info,
        }
    }
}
