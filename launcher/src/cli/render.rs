//! `launcher render`: the objects of a launch, as YAML.

use std::io::Write as _;
use std::path::PathBuf;

use launcher::exit;
use launcher::id::Id;
use launcher::render::{Flavor, yaml};
use launcher::secret::Secret;

use super::Failure;
use super::arguments::{JobArguments, read};
use super::credentials::CircleciArguments;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The launch's id; default: a random one
    #[arg(long)]
    id: Option<Id>,
    /// A file with a JIT configuration, for the job's Secret
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    jitconfig_file: Option<PathBuf>,
    /// What a namespace needs once, without a Job
    #[arg(long, conflicts_with_all = ["id", "jitconfig_file", "job_only"])]
    setup_only: bool,
    /// The Job and its Secret alone
    #[arg(long)]
    job_only: bool,
    // Below, because their headings count for all that follows in the help.
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    circleci: CircleciArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let blueprint = arguments.job.blueprint()?;
    let mut objects = Vec::new();
    if !arguments.job_only {
        objects.extend_from_slice(blueprint.others());
    }
    if !arguments.setup_only {
        let id = match &arguments.id {
            Some(id) => id.clone(),
            None => Id::random().map_err(Failure::usage)?,
        };
        let (prefix, flavor) = (&arguments.job.naming.prefix, arguments.job.flavor);
        let secret = arguments.job.secret.as_deref();
        match arguments.value()? {
            Some(value) if secret.is_none() => {
                objects.push(blueprint.secret(prefix, &id, flavor.secret_key(), &value));
            }
            _ => {
                let (name, key) = (prefix.name(&id), flavor.secret_key());
                let name = secret.unwrap_or(&name);
                eprintln!(
                    "launcher: the Job waits for the Secret \"{name}\" with the key \"{key}\", which is not among these"
                );
            }
        }
        objects.push(blueprint.job(prefix, &id, secret));
    }
    let printed = std::io::stdout().write_all(yaml(&objects).as_bytes());
    printed.map_err(|error| Failure::new(exit::TEMPORARY, error))
}

impl Arguments {
    fn value(&self) -> Result<Option<Secret>, Failure> {
        match (self.job.flavor, &self.jitconfig_file) {
            (Flavor::Github, Some(file)) => {
                let text = Secret::new(read(file, "--jitconfig-file")?);
                let value = text.expose().trim();
                if value.is_empty() {
                    let file = file.display();
                    return Err(Failure::usage(format!(
                        "--jitconfig-file {file} is empty: the value of \"encoded_jit_config\" belongs there"
                    )));
                }
                Ok(Some(Secret::new(value.to_owned())))
            }
            (Flavor::Github, None) => Ok(None),
            (Flavor::Circleci, _) => self.circleci.token(),
        }
    }
}
