//! Plans a build: its context, Containerfiles, secrets and outputs, and the pulls that come before it.

mod arguments;
mod contexts;
mod files;
mod ignore;
mod images;
mod outputs;
mod platforms;
mod rewrite;
mod secrets;
mod views;

use std::path::{Component, Path};

use serde_json::json;

use super::{
    FlagArgument, Isolation, Operation, Parsed, Planner, ReadInput, Reference, Rejected, Resources,
    passed_on,
};
use crate::command::BuildahCommand;
use crate::operation::{Grants, View};
use crate::variables::SETTINGS;
use dockerfile::BuildOptions;

impl Planner<'_> {
    pub(super) fn build(
        &self,
        parsed: &Parsed,
        input: ReadInput<'_>,
    ) -> Result<Operation, Rejected> {
        let context = self.relative(context_argument(parsed)?)?;
        let mut resources = self.resources();
        let arguments = self.arguments(parsed, &mut resources)?;
        let files = self.containerfiles(parsed, &context, input, &mut resources)?;
        let contexts = self.contexts(parsed, &mut resources)?;
        let references = self.references(parsed)?;
        let secrets = self.secrets(parsed, &mut resources)?;
        let outputs = self.outputs(parsed, &mut resources)?;
        let exported = parsed.values("output").next().is_some();
        let cache = self.cache(parsed, exported)?;

        let options = BuildOptions::new(arguments.build_args, contexts.names);
        let rewritten = self.rewritten(parsed, files.contents, options, &mut resources)?;
        let pulls = self.pulls(parsed, &rewritten.images);
        let mut before = contexts.pulls;
        before.extend(pulls.before);
        platforms::require_one_if_pulled(parsed, &before)?;
        let mut authfile = cache.authfile.unwrap_or_else(|| self.credentials.of_job());
        let authfiles = before.iter_mut().map(|pull| &mut pull.authfile);
        self.add_creds(parsed, &rewritten.images, authfiles.chain([&mut authfile]))?;

        let proxies = self.proxies(parsed, &mut resources)?;
        let mut command = BuildahCommand::new("build");
        let flags = &mut command.flags;
        flags.extend(self.isolation.flags());
        // The proxies come before the job's own arguments, which override them.
        flags.extend(proxies.file);
        flags.extend(passed_on("build", parsed).flags);
        flags.extend(arguments.flags);
        flags.extend(rewritten.flags);
        flags.push(files.ignore);
        flags.extend(contexts.flags);
        flags.extend(references);
        flags.extend(secrets);
        flags.extend(outputs.flags);
        flags.extend(cache.flags);
        flags.extend(pulls.flag);
        flags.extend(self.settings_flags(parsed));
        flags.push(proxies.off);
        flags.push(self.signature_policy(&mut resources)?);
        // Buildah 1.39 silently leaves cached steps out of what it exports.
        flags.extend(exported.then(|| FlagArgument::new("layers", "false")));
        command.positional = vec![add_context(&context, files.view, &mut resources)];
        Ok(resources.give_to(Operation {
            grants: Grants {
                run_steps: true,
                permit: true,
                ..Grants::default()
            },
            authfile,
            stdout: outputs.stdout,
            before,
            ..self.operation(command)
        }))
    }

    /// Checks the flags whose value is an image's name, and `--network`.
    fn references(&self, parsed: &Parsed) -> Result<Vec<FlagArgument>, Rejected> {
        let mut flags = Vec::new();
        for name in ["tag", "manifest", "from", "cache-from", "cache-to"] {
            for value in parsed.values(name) {
                let reference = Reference::parse(value)?;
                if name == "cache-to" {
                    self.require_pushable(&reference)?;
                }
                flags.push(FlagArgument::new(name, value));
            }
        }
        match parsed.last("network") {
            None | Some("host" | "default") => Ok(flags),
            Some(other) => Err(Rejected::Network(other.to_owned())),
        }
    }

    /// Returns the flags for variables of the job that are settings of Buildah.
    fn settings_flags(&self, parsed: &Parsed) -> Vec<FlagArgument> {
        let absent = SETTINGS
            .iter()
            .filter(|(_, flag)| parsed.last(flag).is_none());
        absent
            .filter_map(|(variable, flag)| {
                let value = self.hello.environment.get(*variable)?;
                Some(FlagArgument::new(flag, value.as_str()))
            })
            .collect()
    }

    /// Limits the images of a build to those of registries and of the storage. A base image can name one that the builder
    /// never reads, of a transport that reads files or runs a program.
    fn signature_policy(&self, resources: &mut Resources<'_>) -> Result<FlagArgument, Rejected> {
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
        let path = resources.add_file("policy", policy.to_string().into_bytes())?;
        Ok(FlagArgument::new("signature-policy", path))
    }
}

fn context_argument(parsed: &Parsed) -> Result<&str, Rejected> {
    let context = match &parsed.positional[..] {
        [] => ".",
        [context] => context.as_str(),
        _ => return Err(Rejected::Arguments("one context after build")),
    };
    if context == "-" || is_remote(context) {
        return Err(Rejected::RemoteContext(context.to_owned()));
    }
    Ok(context)
}

fn is_remote(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}

/// Adds the context, and returns its path in the sandbox. A plain one keeps the job's path for Buildah's messages.
fn add_context(relative: &Path, view: View, resources: &mut Resources<'_>) -> String {
    let is_plain = |part| matches!(part, Component::Normal(_));
    if relative.components().all(is_plain) {
        resources.add_tree_in_workspace(relative.to_owned(), view)
    } else {
        resources.add_tree(relative.to_owned(), view)
    }
}
