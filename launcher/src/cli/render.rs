//! `launcher render`: prints the objects of a launch as YAML.

use std::io::Write as _;
use std::path::PathBuf;

use launcher::exit;
use launcher::id::Id;
use launcher::render::Flavor;
use launcher::render::yaml::to_yaml;
use launcher::secret::Secret;

use super::arguments::{JobArguments, read};
use super::credentials::CircleciArguments;
use super::error::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The launch's id; default: a random id
    #[arg(long)]
    id: Option<Id>,
    /// A file with a just-in-time configuration, for the job's Secret
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    jitconfig_file: Option<PathBuf>,
    /// Print only what a namespace needs once for all jobs
    #[arg(long, conflicts_with_all = ["id", "jitconfig_file", "job_only"])]
    setup_only: bool,
    /// Print only the Job and its Secret
    #[arg(long)]
    job_only: bool,
    // Last, because their headings apply to all options that follow in the help.
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    circleci: CircleciArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let renderer = arguments.job.renderer()?;
    let mut objects = Vec::new();
    if !arguments.job_only {
        objects.extend_from_slice(renderer.shared_objects());
    }
    if !arguments.setup_only {
        let id = match &arguments.id {
            Some(id) => id.clone(),
            None => Id::random().map_err(CliError::usage)?,
        };
        let (prefix, flavor) = (&arguments.job.naming.prefix, arguments.job.flavor);
        let secret = arguments.job.secret.as_deref();
        match arguments.token()? {
            Some(value) if secret.is_none() => {
                objects.push(renderer.secret(prefix, &id, flavor.secret_key(), &value));
            }
            _ => {
                let (name, key) = (prefix.name(&id), flavor.secret_key());
                let name = secret.unwrap_or(&name);
                eprintln!(
                    "launcher: the output lacks the Secret \"{name}\" with the key \"{key}\"; create it, because the Job's pod mounts it"
                );
            }
        }
        objects.push(renderer.job(prefix, &id, secret));
    }
    let printed = std::io::stdout().write_all(to_yaml(&objects).as_bytes());
    printed.map_err(|error| CliError::new(exit::TEMPORARY, error))
}

impl Arguments {
    fn token(&self) -> Result<Option<Secret>, CliError> {
        match (self.job.flavor, &self.jitconfig_file) {
            (Flavor::Github, Some(file)) => {
                let text = Secret::new(read(file, "--jitconfig-file")?);
                let value = text.expose().trim();
                if value.is_empty() {
                    let file = file.display();
                    return Err(CliError::usage(format!(
                        "--jitconfig-file {file}: expected the value of \"encoded_jit_config\", found an empty file"
                    )));
                }
                Ok(Some(Secret::new(value.to_owned())))
            }
            (Flavor::Github, None) => Ok(None),
            (Flavor::Circleci, _) => self.circleci.token(),
        }
    }
}
