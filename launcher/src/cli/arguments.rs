//! Options that several subcommands share.

use std::path::PathBuf;

use launcher::id::Prefix;
use launcher::render::images::Images;
use launcher::render::template::Template;
use launcher::render::{Adjustments, Blueprint, Flavor, Profile, Shape, parse_patch};

use super::Failure;

/// What a job is made of.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The job")]
pub(super) struct JobArguments {
    /// Which runner: github or circleci
    #[arg(long)]
    pub(super) flavor: Flavor,
    /// split (the builder in a container beside the job) or single
    #[arg(long, default_value = "split")]
    shape: Shape,
    /// What the nodes offer: rootless (unprivileged user namespaces) or userns (hostUsers: false)
    #[arg(long, default_value = "rootless")]
    profile: Profile,
    /// Manifests of your own in place of those that the launcher carries: a file, or a directory of files or for kustomize
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["shape", "profile"])]
    template: Option<PathBuf>,
    /// A strategic merge patch for the Job, or for the object whose kind it states, as YAML or JSON; repeatable
    #[arg(long, value_name = "YAML")]
    patch: Vec<String>,
    /// The same from a file, after those of --patch; repeatable
    #[arg(long, value_name = "FILE")]
    patch_file: Vec<PathBuf>,
    /// Where this project's images are: a registry, or registry/namespace
    #[arg(long, env = "LAUNCHER_REGISTRY")]
    registry: Option<String>,
    /// Their tag, or sha256:…; default: the launcher's version
    #[arg(long, env = "LAUNCHER_TAG")]
    tag: Option<String>,
    /// One image of the template by another: ci-cd-agents/builder=registry.example/builder:1; repeatable
    #[arg(long, value_name = "NAME=REFERENCE", value_parser = replaced)]
    image: Vec<(String, String)>,
    /// Another namespace than the template's
    #[arg(long, short, env = "LAUNCHER_NAMESPACE")]
    namespace: Option<String>,
    /// A Secret of your own that the job's tokens come from, in place of one for each job
    #[arg(long, value_name = "NAME")]
    pub(super) secret: Option<String>,
    #[command(flatten)]
    pub(super) naming: Naming,
}

/// What names begin with.
#[derive(Debug, clap::Args)]
pub(super) struct Naming {
    /// What the names of Jobs, Secrets and runners begin with: another one for each cluster or namespace that shares a GitHub
    #[arg(long, default_value = "runner", env = "LAUNCHER_PREFIX")]
    pub(super) prefix: Prefix,
}

impl JobArguments {
    pub(super) fn blueprint(&self) -> Result<Blueprint, Failure> {
        let template = match &self.template {
            Some(path) => Template::load(path),
            None => Template::carried(self.flavor, self.shape, self.profile),
        };
        let template = template.map_err(launcher::render::RenderError::from)?;
        let mut patches = Vec::new();
        for text in &self.patch {
            patches.extend(parse_patch(text, "--patch")?);
        }
        for file in &self.patch_file {
            patches.extend(parse_patch(
                &read(file, "--patch-file")?,
                &file.display().to_string(),
            )?);
        }
        let images = Images {
            registry: self.registry.clone(),
            tag: self.tag.clone(),
            replaced: self.image.clone(),
        };
        let adjustments = Adjustments {
            namespace: self.namespace.clone(),
            images,
            patches,
        };
        Ok(Blueprint::new(template, &adjustments)?)
    }
}

/// A file that an option names.
pub(super) fn read(file: &PathBuf, option: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        Failure::usage(format!("{option} {file} cannot be read: {error}"))
    })
}

fn replaced(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, reference)) if !name.is_empty() && !reference.is_empty() => {
            Ok((name.to_owned(), reference.to_owned()))
        }
        _ => Err("it is NAME=REFERENCE".to_owned()),
    }
}
