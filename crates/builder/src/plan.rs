//! Plans an operation from a client's greeting: checks each verb, flag and path, and writes a new command line.

mod build;
mod login;
mod registry;
mod registry_client;
mod resources;
#[cfg(test)]
mod tests;
mod transfer;

use std::path::{Path, PathBuf};

use super::command::{BuildahCommand, FlagArgument};
use super::credentials::Credentials;
use super::facts::Product;
use super::flags::{Parsed, parse, passed};
use super::isolation::Isolation;
use super::operation::{Operation, Program, SandboxPaths};
use super::paths::Workspace;
use super::policy::{Action, COMMON, GLOBAL, find};
use super::protocol::Hello;
use super::rejected::Rejected;
use super::settings::Settings;
use dockerfile::Reference;
use pflag::StopAt;
use resources::Resources;

/// Everything from which an operation is planned.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    pub(super) settings: &'a Settings,
    pub(super) workspace: &'a Workspace,
    pub(super) credentials: &'a Credentials,
    pub(super) paths: &'a SandboxPaths,
    pub(super) isolation: Isolation,
    pub(super) hello: &'a Hello,
}

/// Reads the client's whole standard input, for a Containerfile that comes that way.
pub(super) type ReadInput<'a> = &'a mut dyn FnMut() -> Result<Vec<u8>, Rejected>;

impl Planner<'_> {
    /// Returns the operation that the client requests.
    ///
    /// # Errors
    /// [`Rejected`] names the first flag or argument that the builder does not offer.
    pub(super) fn plan(&self, input: ReadInput<'_>) -> Result<Operation, Rejected> {
        let arguments = &self.hello.arguments;
        let globals = parse(&[GLOBAL], arguments, StopAt::FirstPositional)?;
        let Some((verb, rest)) = find(&globals.positional)? else {
            // `buildah`, `buildah --version` or `buildah --help`
            return Ok(self.plain(&globals, &Parsed::default(), ""));
        };
        let parsed = parse(&[verb.flags, COMMON], rest, StopAt::End)?;
        let name = verb.names[0];
        if parsed.on("help") {
            return Ok(self.plain(&globals, &parsed, name));
        }
        match verb.action {
            Action::Build => Ok(Operation {
                product: Product::Build(names(&parsed)),
                ..self.build(&parsed, input)?
            }),
            Action::Push | Action::ManifestPush => self.push(&parsed, name),
            Action::Pull => self.pull(&parsed),
            Action::Login => self.login(&parsed),
            Action::Logout => self.logout(&parsed),
            Action::Registry(request) => self.registry(request, &parsed, input),
            Action::Names => self.names(&parsed, name),
            Action::Plain => Ok(self.plain(&globals, &parsed, name)),
        }
    }

    /// Plans a command that only prints.
    fn plain(&self, globals: &Parsed, parsed: &Parsed, verb: &'static str) -> Operation {
        let global = passed(globals).map(FlagArgument::from).collect();
        self.operation(BuildahCommand {
            global,
            ..passed_on(verb, parsed)
        })
    }

    /// Plans a command whose arguments are names of images.
    fn names(&self, parsed: &Parsed, verb: &'static str) -> Result<Operation, Rejected> {
        let names = parsed.positional.iter().map(|name| Reference::parse(name));
        let names: Vec<Reference> = names.collect::<Result<_, _>>()?;
        let mut command = passed_on(verb, parsed);
        let mut authfile = None;
        // These request missing images from a registry. No code of the job runs meanwhile.
        if matches!(
            verb,
            "manifest create" | "manifest add" | "manifest inspect"
        ) {
            authfile = Some(self.authfile(parsed, &names)?);
            command.flags.extend(self.tls_verify(verb, parsed, &names)?);
        }
        command.positional.clone_from(&parsed.positional);
        let operation = self.operation(command);
        Ok(Operation {
            authfile: authfile.unwrap_or(operation.authfile),
            ..operation
        })
    }

    /// Creates an operation with the job's own credentials.
    fn operation(&self, command: BuildahCommand) -> Operation {
        Operation {
            program: Program::Buildah(command),
            authfile: self.credentials.of_job(),
            ..Operation::default()
        }
    }

    fn resources(&self) -> Resources<'_> {
        Resources::new(self.workspace, self.paths)
    }

    /// Returns a path of the job relative to the workspace.
    fn relative(&self, path: &str) -> Result<PathBuf, Rejected> {
        let directory = Path::new(&self.hello.directory);
        Ok(self.workspace.relative(directory, Path::new(path))?)
    }
}

/// Returns the names of the image or the list that a build makes.
fn names(parsed: &Parsed) -> Vec<String> {
    let names = ["tag", "manifest"].map(|flag| parsed.values(flag));
    names.into_iter().flatten().map(str::to_owned).collect()
}

/// Creates a command with the flags that are passed on unchanged, and without positional arguments.
fn passed_on(verb: &'static str, parsed: &Parsed) -> BuildahCommand {
    BuildahCommand {
        flags: passed(parsed).map(FlagArgument::from).collect(),
        ..BuildahCommand::new(verb)
    }
}
