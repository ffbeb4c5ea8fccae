//! A build: its context, Containerfiles, secrets and outputs, and the pulls that have to come before it.

mod files;
mod images;
mod outputs;
mod platforms;
mod secrets;

use std::path::{Component, Path, PathBuf};

use super::{Operation, Parsed, Planner, ReadInput, Reference};
use std::collections::BTreeMap;

use serde_json::json;

use crate::credentials::Owner;
use crate::operation::{Input, Stdin};
use crate::paths::problem;
use crate::variables::{PROXIES, SETTINGS};
use dockerfile::{BuildArgs, BuildOptions};

/// Buildah 1.39 leaves steps that it finds in its cache out of what it exports, and says nothing.
const NO_LAYERS: &str = "--layers=false";
impl Planner<'_> {
    pub(super) fn build(&self, parsed: &Parsed, input: ReadInput<'_>) -> Result<Operation, String> {
        let context = match &parsed.positional[..] {
            [] => ".",
            [context] => context.as_str(),
            _ => return Err("build takes one context".to_owned()),
        };
        if context == "-" || context.contains("://") || context.starts_with("git@") {
            return Err(format!(
                "the context {context} is not available: the builder takes a directory beneath the workspace; check it out there first"
            ));
        }
        let relative = self.relative(context)?;
        let mut operation = self.operation(&["build"], parsed);
        operation.heavy = true;
        operation.builds = true;
        let arguments = self.variables(parsed, &mut operation)?;
        let texts = self.containerfiles(parsed, &relative, input, &mut operation)?;
        let contexts = self.contexts(parsed, &mut operation)?;
        self.references(parsed, &mut operation)?;
        self.secrets(parsed, &mut operation)?;
        self.outputs(parsed, &mut operation)?;
        let exported = parsed.values("output").next().is_some();
        if !exported {
            self.cache(parsed, &mut operation)?;
        }
        let mut images = platforms::images(parsed, &texts, BuildOptions::new(arguments, contexts))?;
        images.extend(parsed.last("from").map(Reference::parse).transpose()?);
        self.pulls(parsed, &images, &mut operation);
        platforms::one_where_pulled(parsed, &operation)?;
        self.given(parsed, &images, &mut operation)?;
        self.settings(parsed, &mut operation);
        self.proxies(parsed, &mut operation)?;
        self.policy(&mut operation)?;
        if exported {
            operation.arguments.push(NO_LAYERS.to_owned());
        }
        let place = self.context(&relative, &mut operation);
        operation.arguments.extend(["--".to_owned(), place]);
        Ok(operation)
    }

    /// The context keeps its own path, so that Buildah's messages name it as the job does.
    fn context(&self, relative: &Path, operation: &mut Operation) -> String {
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain {
            return self.tree(operation, relative.to_owned());
        }
        let place = self.places.workspace.join(relative);
        let text = place.display().to_string();
        let relative = relative.to_owned();
        operation.inputs.push(Input {
            relative,
            place,
            writable: false,
            executable: true,
        });
        text
    }

    /// A directory that RUN steps may mount, and run programs from.
    fn tree(&self, operation: &mut Operation, relative: PathBuf) -> String {
        let place = self.input(operation, relative);
        if let Some(input) = operation.inputs.last_mut() {
            input.executable = true;
        }
        place
    }

    /// `--build-arg` and `--env`; a name alone means the job's variable.
    fn variables(&self, parsed: &Parsed, operation: &mut Operation) -> Result<BuildArgs, String> {
        let mut arguments = BuildArgs::new();
        for path in parsed.values("build-arg-file") {
            let relative = self.relative(path)?;
            let content = self.workspace.read(&relative);
            let content = content.map_err(|error| problem(&relative, &error))?;
            let text = String::from_utf8_lossy(&content);
            for (index, line) in text.split('\n').enumerate() {
                if line.trim().is_empty() || line.starts_with('#') {
                    continue;
                }
                // Buildah would take the value from its own environment.
                let (name, value) = line.split_once('=').ok_or_else(|| {
                    format!(
                        "--build-arg-file {path}, line {}: there is no value; a variable of the job is taken by --build-arg NAME",
                        index + 1
                    )
                })?;
                arguments.insert(name.to_owned(), value.to_owned());
            }
            let place = self.keep(operation, "arguments", content)?;
            operation
                .arguments
                .push(format!("--build-arg-file={place}"));
        }
        for flag in ["build-arg", "env"] {
            for given in parsed.values(flag) {
                let pair = match given.split_once('=') {
                    Some(pair) => Some(pair),
                    None => self
                        .hello
                        .environment
                        .get(given)
                        .map(|value| (given, value.as_str())),
                };
                // Without a value anywhere it is as if it were not given, as in Buildah.
                let Some((name, value)) = pair else { continue };
                operation.arguments.push(format!("--{flag}={name}={value}"));
                if flag == "build-arg" {
                    arguments.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        Ok(arguments)
    }

    /// `--build-context NAME=…`: the names, and whether it is an image.
    fn contexts(
        &self,
        parsed: &Parsed,
        operation: &mut Operation,
    ) -> Result<BTreeMap<String, bool>, String> {
        let mut names = BTreeMap::new();
        for given in parsed.values("build-context") {
            let (name, source) = given
                .split_once('=')
                .ok_or_else(|| format!("--build-context {given}: expected NAME=SOURCE"))?;
            let image = ["docker-image://", "container-image://", "docker://"]
                .iter()
                .find_map(|prefix| source.strip_prefix(prefix));
            let source = match image {
                Some(image) => {
                    let reference = Reference::parse(image)?;
                    if self.credentials.owner(&reference) == Some(Owner::Builder) {
                        let pull = self.pull_before(parsed, &reference, false);
                        operation.before.push(pull);
                    }
                    format!("docker-image://{image}")
                }
                None if source.contains("://") || source.starts_with("git@") => {
                    return Err(format!(
                        "--build-context {given}: the builder fetches no contexts; fetch it beforehand"
                    ));
                }
                None => {
                    let relative = self.relative(source)?;
                    self.tree(operation, relative)
                }
            };
            operation
                .arguments
                .push(format!("--build-context={name}={source}"));
            names.insert(name.to_owned(), image.is_some());
        }
        Ok(names)
    }

    /// Flags whose value is an image's name, and the network.
    fn references(&self, parsed: &Parsed, operation: &mut Operation) -> Result<(), String> {
        for flag in ["tag", "manifest", "from", "cache-from", "cache-to"] {
            for value in parsed.values(flag) {
                let reference = Reference::parse(value)?;
                if flag == "cache-to" {
                    self.allowed(&reference)?;
                }
                operation.arguments.push(format!("--{flag}={value}"));
            }
        }
        match parsed.last("network") {
            None | Some("host" | "default") => Ok(()),
            Some(other) => Err(format!(
                "--network={other} is not available: RUN steps have the pod's network, and the builder has no right to make another one"
            )),
        }
    }

    fn settings(&self, parsed: &Parsed, operation: &mut Operation) {
        for (variable, flag) in SETTINGS {
            let value = self
                .hello
                .environment
                .get(*variable)
                .filter(|_| parsed.last(flag).is_none());
            if let Some(value) = value {
                operation.arguments.push(format!("--{flag}={value}"));
            }
        }
        operation.stdin = Stdin::Nothing;
    }

    /// The job's proxies are for its RUN steps. Buildah itself never asks them, since it may hold credentials.
    fn proxies(&self, parsed: &Parsed, operation: &mut Operation) -> Result<(), String> {
        let environment = &self.hello.environment;
        let lines: String = PROXIES
            .iter()
            .filter_map(|name| Some((name, environment.get(*name)?)))
            .filter(|(_, value)| !value.contains('\n'))
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        // Else it would hand on those of the builder.
        operation.arguments.push("--http-proxy=false".to_owned());
        if !lines.is_empty() && parsed.last("http-proxy") != Some("false") {
            let place = self.keep(operation, "proxies", lines.into_bytes())?;
            // Before the job's own arguments, which count more; and no password on a command line.
            let file = format!("--build-arg-file={place}");
            operation.arguments.insert(1, file);
        }
        Ok(())
    }

    /// Nothing becomes an image in a build but what a registry has and what is in the storage already: a name out of a
    /// base image, which nobody looks at, could be of a transport that reads files or runs a program.
    fn policy(&self, operation: &mut Operation) -> Result<(), String> {
        let accept = json!([{ "type": "insecureAcceptAnything" }]);
        let storage = &self.settings.storage;
        let storage = format!("[{}@{}]", storage.driver, storage.graph_root.display());
        let policy = json!({
            "default": [{ "type": "reject" }],
            "transports": {
                "docker": { "": accept },
                "containers-storage": { storage: accept },
            },
        });
        let place = self.keep(operation, "policy", policy.to_string().into_bytes())?;
        let flag = format!("--signature-policy={place}");
        operation.arguments.push(flag);
        Ok(())
    }
}
