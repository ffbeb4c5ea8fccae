//! The places with the job's credentials.

use std::path::{Path, PathBuf};

use super::config::Config;

/// The program whose own file is read first, and is changed by a login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum First {
    /// Docker.
    Docker,
    /// Podman and Buildah.
    #[default]
    Podman,
}

/// The files and the variable with the job's credentials.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The JSON of DOCKER_AUTH_CONFIG.
    variable: Option<String>,
    /// Docker's `config.json`.
    docker: Option<PathBuf>,
    /// Podman's `auth.json`.
    podman: Option<PathBuf>,
    /// Whose file comes first.
    first: First,
}

impl Places {
    /// Returns the places of a job with these variables. `config` is the directory of `docker --config`.
    pub(crate) fn new(
        first: First,
        config: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let path = |name: &str| variable(name).filter(|path| !path.is_empty());
        let home = path("HOME").filter(|home| home.starts_with('/'));
        let at_home = |name: &str| Some(Path::new(home.as_ref()?).join(name));
        let directory = config
            .map(Path::to_owned)
            .or_else(|| path("DOCKER_CONFIG").map(PathBuf::from))
            .or_else(|| at_home(".docker"));
        let runtime =
            path("XDG_RUNTIME_DIR").map(|runtime| PathBuf::from(runtime).join("containers"));
        let podman = runtime.or_else(|| at_home(".config/containers"));
        Self {
            variable: path("DOCKER_AUTH_CONFIG"),
            docker: directory.map(|directory| directory.join("config.json")),
            podman: path("REGISTRY_AUTH_FILE")
                .map(PathBuf::from)
                .or_else(|| podman.map(|directory| directory.join("auth.json"))),
            first,
        }
    }

    /// Returns the file that a login changes.
    pub(super) fn own(&self) -> Option<&Path> {
        let file = match self.first {
            First::Docker => &self.docker,
            First::Podman => &self.podman,
        };
        file.as_deref()
    }

    /// Reads all places, the first one first.
    pub(super) fn read(&self) -> Vec<Config> {
        let variable = self.variable.iter().map(|text| Config::parse(text));
        let mut files = vec![&self.docker, &self.podman];
        if self.first == First::Podman {
            files.reverse();
        }
        let texts = files.into_iter().flatten();
        let texts = texts.filter_map(|file| std::fs::read_to_string(file).ok());
        let files = texts.map(|text| Config::parse(&text));
        variable.chain(files).flatten().collect()
    }
}
