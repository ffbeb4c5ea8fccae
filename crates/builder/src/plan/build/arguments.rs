//! Plans the values that a build gets: `--build-arg`, `--env`, and the proxies of the job.

use super::{FlagArgument, Parsed, Planner, Rejected, Resources};
use crate::paths::PathError;
use crate::variables::PROXIES;
use dockerfile::BuildArgs;

/// The proxies of a build.
pub(super) struct Proxies {
    /// `--http-proxy=false`. Otherwise Buildah would pass on the builder's own proxies.
    pub(super) off: FlagArgument,
    /// `--build-arg-file` with the job's proxies.
    pub(super) file: Option<FlagArgument>,
}

/// The values of a build.
pub(super) struct Arguments {
    /// The values of `--build-arg` and `--build-arg-file`, by name.
    pub(super) build_args: BuildArgs,
    pub(super) flags: Vec<FlagArgument>,
}

impl Planner<'_> {
    /// Reads `--build-arg-file`, `--build-arg` and `--env`. A name alone means the job's variable.
    pub(super) fn arguments(
        &self,
        parsed: &Parsed,
        resources: &mut Resources<'_>,
    ) -> Result<Arguments, Rejected> {
        let mut arguments = Arguments {
            build_args: BuildArgs::new(),
            flags: Vec::new(),
        };
        for path in parsed.values("build-arg-file") {
            let relative = self.relative(path)?;
            let content = self.workspace.read(&relative);
            let content = content.map_err(|error| PathError::new(&relative, error))?;
            read_file(path, &content, &mut arguments.build_args)?;
            let copy = resources.add_file("arguments", content)?;
            arguments
                .flags
                .push(FlagArgument::new("build-arg-file", copy));
        }
        for flag in ["build-arg", "env"] {
            for given in parsed.values(flag) {
                // Without a value anywhere, the flag has no effect, as in Buildah.
                let Some((name, value)) = self.pair(given) else {
                    continue;
                };
                arguments
                    .flags
                    .push(FlagArgument::new(flag, format!("{name}={value}")));
                if flag == "build-arg" {
                    arguments
                        .build_args
                        .insert(name.to_owned(), value.to_owned());
                }
            }
        }
        Ok(arguments)
    }

    fn pair<'a>(&'a self, given: &'a str) -> Option<(&'a str, &'a str)> {
        given.split_once('=').or_else(|| {
            let value = self.hello.environment.get(given)?;
            Some((given, value.as_str()))
        })
    }

    /// Gives the job's proxies to its RUN steps. Buildah itself never uses them, because it may hold credentials.
    pub(super) fn proxies(
        &self,
        parsed: &Parsed,
        resources: &mut Resources<'_>,
    ) -> Result<Proxies, Rejected> {
        let environment = &self.hello.environment;
        let lines: String = PROXIES
            .iter()
            .filter_map(|name| Some((name, environment.get(*name)?)))
            .filter(|(_, value)| !value.contains('\n'))
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        let wanted = !lines.is_empty() && parsed.last("http-proxy") != Some("false");
        // A file, because other processes can read a command line and a proxy's URL may have a password.
        let file = wanted.then(|| resources.add_file("proxies", lines.into_bytes()));
        let file = file.transpose()?;
        Ok(Proxies {
            off: FlagArgument::new("http-proxy", "false"),
            file: file.map(|path| FlagArgument::new("build-arg-file", path)),
        })
    }
}

fn read_file(path: &str, content: &[u8], build_args: &mut BuildArgs) -> Result<(), Rejected> {
    let text = String::from_utf8_lossy(content);
    for (index, line) in text.split('\n').enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        // Buildah would take a missing value from its own environment.
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| Rejected::ArgumentWithoutValue {
                path: path.to_owned(),
                line: index + 1,
            })?;
        build_args.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}
