//! The options that several subcommands share.

use std::path::PathBuf;

use launcher::id::Prefix;
use launcher::render::images::Images;
use launcher::render::template::Template;
use launcher::render::yaml::parse_patch;
use launcher::render::{Flavor, Overrides, Profile, Renderer, Shape};

use super::error::CliError;

/// The options for the job's objects.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The job")]
pub(super) struct JobArguments {
    /// The CI vendor's runner: github or circleci
    #[arg(long)]
    pub(super) flavor: Flavor,
    /// split (the builder has a container beside the job's) or single
    #[arg(long, default_value = "split")]
    shape: Shape,
    /// What the nodes offer: rootless (unprivileged user namespaces) or userns (hostUsers: false)
    #[arg(long, default_value = "rootless")]
    profile: Profile,
    /// Your own manifests, in place of the embedded ones: a file, or a directory of files or for kustomize
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["shape", "profile"])]
    template: Option<PathBuf>,
    /// A strategic merge patch for the Job, or for the object whose kind it states, as YAML or JSON; repeatable
    #[arg(long, value_name = "YAML")]
    patch: Vec<String>,
    /// A file with such patches, which follow those of --patch; repeatable
    #[arg(long, value_name = "FILE")]
    patch_file: Vec<PathBuf>,
    /// The registry of this project's images, or registry/namespace
    #[arg(long, env = "LAUNCHER_REGISTRY")]
    registry: Option<String>,
    /// The images' tag, or sha256:…; default: the launcher's version
    #[arg(long, env = "LAUNCHER_TAG")]
    tag: Option<String>,
    /// Replaces one image of the template, as in ci-cd-agents/builder=registry.example/builder:1; repeatable
    #[arg(long, value_name = "NAME=REFERENCE", value_parser = replacement)]
    image: Vec<(String, String)>,
    /// The namespace, in place of the template's
    #[arg(long, short, env = "LAUNCHER_NAMESPACE")]
    namespace: Option<String>,
    /// Your own Secret with the runner's token, in place of a new one for each job
    #[arg(long, value_name = "NAME")]
    pub(super) secret: Option<String>,
    #[command(flatten)]
    pub(super) naming: Naming,
}

/// The option for the prefix of names.
#[derive(Debug, clap::Args)]
pub(super) struct Naming {
    /// The prefix of the names of Jobs, Secrets and runners; clusters or namespaces that share a GitHub organisation need different ones
    #[arg(long, default_value = "runner", env = "LAUNCHER_PREFIX")]
    pub(super) prefix: Prefix,
}

impl JobArguments {
    pub(super) fn renderer(&self) -> Result<Renderer, CliError> {
        let template = match &self.template {
            Some(path) => Template::load(path),
            None => Template::embedded(self.flavor, self.shape, self.profile),
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
            replacements: self.image.clone(),
        };
        let overrides = Overrides {
            namespace: self.namespace.clone(),
            images,
            patches,
        };
        Ok(Renderer::new(template, &overrides)?)
    }
}

/// Reads the file that an option names.
pub(super) fn read(file: &PathBuf, option: &str) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        CliError::usage(format!("{option} {file}: cannot read the file: {error}"))
    })
}

fn replacement(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, reference)) if !name.is_empty() && !reference.is_empty() => {
            Ok((name.to_owned(), reference.to_owned()))
        }
        _ => Err("expected NAME=REFERENCE".to_owned()),
    }
}
