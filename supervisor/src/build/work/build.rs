//! A build: its context, Containerfiles, secrets and outputs, and the pulls that have to come before it.

use std::path::{Component, Path, PathBuf};

use super::{Operation, Parsed, Planner, ReadInput, Reference};
use crate::build::containerfile::{self, Arguments};
use crate::build::credentials::Owner;
use crate::build::operation::{Input, Stdin};
use crate::build::variables::{AGENT, PROXIES, SETTINGS, Secret};

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
            self.cache(&mut operation)?;
        }
        let mut images = Vec::new();
        for text in &texts {
            images.extend(containerfile::images(text, &arguments, &contexts)?);
        }
        images.extend(parsed.last("from").map(Reference::parse).transpose()?);
        self.pulls(parsed, &images, &mut operation);
        self.settings(parsed, &mut operation);
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
            return self.input(operation, relative.to_owned());
        }
        let place = self.places.workspace.join(relative);
        let text = place.display().to_string();
        let relative = relative.to_owned();
        operation.inputs.push(Input {
            relative,
            place,
            writable: false,
        });
        text
    }

    /// `--build-arg` and `--env`; a name alone means the job's variable.
    fn variables(&self, parsed: &Parsed, operation: &mut Operation) -> Result<Arguments, String> {
        let mut arguments = Arguments::new();
        for path in parsed.values("build-arg-file") {
            let relative = self.relative(path)?;
            let place = self.copy(operation, "arguments", &relative)?;
            let content = operation
                .files
                .last()
                .map(|file| file.content.to_vec())
                .unwrap_or_default();
            for line in String::from_utf8_lossy(&content).lines() {
                if let Some((name, value)) = line.split_once('=') {
                    arguments.insert(name.trim().to_owned(), value.to_owned());
                }
            }
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

    /// Copies of all Containerfiles and of the ignore file: what was looked at is what is built.
    fn containerfiles(
        &self,
        parsed: &Parsed,
        context: &Path,
        input: ReadInput<'_>,
        operation: &mut Operation,
    ) -> Result<Vec<String>, String> {
        let mut files: Vec<&str> = parsed
            .values("file")
            .flat_map(|list| list.split(','))
            .collect();
        let found = [context.join("Containerfile"), context.join("Dockerfile")];
        let default = found
            .iter()
            .find(|path| self.workspace.resolve(path).is_ok());
        let mut texts = Vec::new();
        let mut ignore = Vec::new();
        if files.is_empty() && default.is_none() {
            return Err(format!(
                "there is no Containerfile or Dockerfile in {}",
                context.display()
            ));
        }
        if files.is_empty() {
            files.push("");
        }
        for file in files {
            let content = match file {
                "-" | "/dev/stdin" => input()?,
                _ => {
                    let path = self.containerfile(file, context, default)?;
                    let beside =
                        |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
                    ignore.extend([beside(".containerignore"), beside(".dockerignore")]);
                    self.workspace
                        .read(&path)
                        .map_err(|error| crate::build::paths::problem(&path, &error))?
                }
            };
            texts.push(String::from_utf8_lossy(&content).into_owned());
            let place = self.keep(operation, "Containerfile", content);
            operation.arguments.push(format!("--file={place}"));
        }
        ignore.extend([
            context.join(".containerignore"),
            context.join(".dockerignore"),
        ]);
        if let Some(path) = parsed.last("ignorefile") {
            ignore = vec![self.relative(path)?];
        }
        let chosen = ignore
            .iter()
            .find(|path| self.workspace.resolve(path).is_ok());
        let place = match (chosen, parsed.last("ignorefile")) {
            (Some(path), _) => self.copy(operation, "ignore", path)?,
            (None, Some(path)) => return Err(format!("there is no {path}")),
            (None, None) => self.keep(operation, "ignore", Vec::new()),
        };
        operation.arguments.push(format!("--ignorefile={place}"));
        Ok(texts)
    }

    /// A Containerfile's path: from the working directory, else from the context.
    fn containerfile(
        &self,
        file: &str,
        context: &Path,
        default: Option<&PathBuf>,
    ) -> Result<PathBuf, String> {
        if let ("", Some(default)) = (file, default) {
            return Ok(default.clone());
        }
        if file.contains("://") {
            return Err(format!(
                "--file {file}: the builder fetches no Containerfiles; fetch it beforehand"
            ));
        }
        if file.ends_with(".in") {
            return Err(format!(
                "--file {file}: the C preprocessor would read any file that the builder sees; run it beforehand"
            ));
        }
        let path = self.relative(file)?;
        let in_context = context.join(file);
        let elsewhere = !Path::new(file).is_absolute() && self.workspace.resolve(&path).is_err();
        Ok(
            if elsewhere && self.workspace.resolve(&in_context).is_ok() {
                in_context
            } else {
                path
            },
        )
    }

    /// `--build-context NAME=…`: the names.
    fn contexts(&self, parsed: &Parsed, operation: &mut Operation) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
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
                        let pull = self.pull_before(parsed, &reference);
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
                    self.input(operation, relative)
                }
            };
            operation
                .arguments
                .push(format!("--build-context={name}={source}"));
            names.push(name.to_owned());
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

    fn secrets(&self, parsed: &Parsed, operation: &mut Operation) -> Result<(), String> {
        for given in parsed.values("secret") {
            let secret = Secret::of(given);
            let id = secret
                .id
                .ok_or_else(|| "--secret needs an id=…".to_owned())?;
            let (file, variable) = (secret.file, secret.variable());
            let value = variable.and_then(|name| self.hello.environment.get(name));
            let place = match (file, value) {
                (Some(path), _) => {
                    let relative = self.relative(path)?;
                    self.copy(operation, "secret", &relative)?
                }
                (None, Some(value)) => self.keep(operation, "secret", value.clone().into_bytes()),
                (None, None) => {
                    let relative = self.relative(id)?;
                    self.copy(operation, "secret", &relative).map_err(|_| {
                        format!(
                            "--secret id={id}: there is neither a file nor a variable of that name"
                        )
                    })?
                }
            };
            operation
                .arguments
                .push(format!("--secret=id={id},src={place}"));
        }
        for given in parsed.values("ssh") {
            let (id, paths) = given.split_once('=').unwrap_or((given, ""));
            let agent = self.hello.environment.get(AGENT).cloned();
            let paths = match (paths, agent) {
                ("", Some(agent)) => agent,
                ("", None) => {
                    return Err(format!(
                        "--ssh {id}: SSH_AUTH_SOCK is not set; start ssh-agent, or name a key"
                    ));
                }
                (paths, _) => paths.to_owned(),
            };
            let places: Result<Vec<String>, String> = paths
                .split(',')
                .map(|path| Ok(self.input(operation, self.relative(path)?)))
                .collect();
            operation
                .arguments
                .push(format!("--ssh={id}={}", places?.join(",")));
        }
        Ok(())
    }

    fn outputs(&self, parsed: &Parsed, operation: &mut Operation) -> Result<(), String> {
        for flag in ["iidfile", "logfile"] {
            if let Some(path) = parsed.last(flag) {
                let place = self.output(operation, self.relative(path)?, false);
                operation.arguments.push(format!("--{flag}={place}"));
            }
        }
        for given in parsed.values("output") {
            let part = |wanted: &str| {
                let mut parts = given.split(',').filter_map(|part| part.split_once('='));
                parts
                    .find(|(name, _)| *name == wanted)
                    .map(|(_, value)| value)
            };
            let bare = !given.contains('=');
            let destination = if bare { Some(given) } else { part("dest") };
            let destination =
                destination.ok_or_else(|| format!("--output {given}: expected dest=PATH"))?;
            let kind = if bare {
                "local"
            } else {
                part("type").unwrap_or("local")
            };
            if destination == "-" {
                operation
                    .arguments
                    .push("--output=type=tar,dest=-".to_owned());
                operation.raw = true;
                continue;
            }
            let place = self.output(operation, self.relative(destination)?, true);
            match (kind, operation.outputs.last_mut()) {
                ("tar", _) => {}
                ("local", Some(output)) => output.unpack = true,
                _ => {
                    return Err(format!(
                        "--output type={kind} is not available; use type=tar or type=local"
                    ));
                }
            }
            operation
                .arguments
                .push(format!("--output=type=tar,dest={place}"));
        }
        Ok(())
    }

    /// The cache of `builder.cache`, with the builder's credentials for that repository alone.
    fn cache(&self, operation: &mut Operation) -> Result<(), String> {
        let Some(cache) = &self.config.builder.cache else {
            return Ok(());
        };
        let reference = Reference::parse(cache)?;
        operation.arguments.push("--layers=true".to_owned());
        operation.arguments.push(format!("--cache-from={cache}"));
        operation.arguments.push(format!("--cache-to={cache}"));
        operation.authfile = self.credentials.for_build(&[reference]);
        Ok(())
    }

    /// Images that only the builder's credentials open are there before the build begins.
    fn pulls(&self, parsed: &Parsed, images: &[Reference], operation: &mut Operation) {
        let policy = parsed.last("pull");
        let own = images
            .iter()
            .any(|image| self.credentials.owner(image) == Some(Owner::Builder));
        let fresh = matches!(policy, Some("true" | "always" | "newer" | "ifnewer"));
        if !own || matches!(policy, Some("false" | "never")) {
            operation
                .arguments
                .extend(policy.map(|policy| format!("--pull={policy}")));
            return;
        }
        for image in images {
            if fresh || self.credentials.owner(image) == Some(Owner::Builder) {
                let mut pull = self.pull_before(parsed, image);
                if fresh {
                    pull.arguments.insert(1, "--policy=always".to_owned());
                }
                operation.before.push(pull);
            }
        }
        operation.arguments.push("--pull=missing".to_owned());
    }

    fn pull_before(&self, parsed: &Parsed, image: &Reference) -> Operation {
        let mut pull = Operation {
            arguments: vec!["pull".to_owned(), "--quiet=true".to_owned()],
            authfile: self.credentials.for_references(std::slice::from_ref(image)),
            heavy: true,
            ..Operation::default()
        };
        for flag in ["platform", "os", "arch", "variant"] {
            pull.arguments
                .extend(parsed.last(flag).map(|value| format!("--{flag}={value}")));
        }
        pull.arguments.extend(["--".to_owned(), image.target()]);
        pull
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
        for name in PROXIES {
            if let Some(value) = self.hello.environment.get(*name) {
                operation
                    .environment
                    .push(((*name).to_owned(), value.clone()));
            }
        }
        operation.stdin = Stdin::Nothing;
    }
}
