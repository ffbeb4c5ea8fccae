//! Called as `buildah`, `docker` or `podman`: the build client.

use std::ffi::OsString;
use std::io::{Write, sink, stderr, stdout};
use std::path::Path;

use builder::client::{self, Streams};
use docker_cli::perform::{Builder, Ended, respond};
use docker_cli::{Command, Input, Output, Program};
use report::exit;

/// Runs the build client if this program was called by one of its names. Returns the exit code.
pub(crate) fn by_name(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let program = arguments.next()?;
    let name = Path::new(&program).file_name()?.to_str()?;
    let docker = match name {
        "buildah" => None,
        "docker" => Some(Program::Docker),
        "podman" => Some(Program::Podman),
        _ => return None,
    };
    let arguments: Result<Vec<String>, OsString> = arguments.map(OsString::into_string).collect();
    let code = match (arguments, docker) {
        (Ok(arguments), Some(program)) => respond(program, &arguments, &mut Elsewhere),
        (Ok(arguments), None) => client::run(arguments).unwrap_or_else(|error| {
            eprintln!("buildah: {error}");
            exit::STORAGE
        }),
        (Err(argument), _) => {
            eprintln!(
                "{name}: found argument {:?}, expected UTF-8",
                argument.to_string_lossy()
            );
            exit::USAGE
        }
    };
    Some(code)
}

/// Buildah in the builder's container.
struct Elsewhere;

impl Builder for Elsewhere {
    fn run(&mut self, command: &Command) -> std::io::Result<Ended> {
        let mut kept = Vec::new();
        let mut nowhere = sink();
        let output: &mut dyn Write = match command.output {
            Output::Job => &mut stdout(),
            Output::Captured => &mut kept,
            Output::Dropped => &mut sink(),
        };
        let errors: &mut dyn Write = match command.output {
            Output::Dropped => &mut nowhere,
            Output::Job | Output::Captured => &mut stderr(),
        };
        let input = match &command.input {
            Input::Job => None,
            Input::Hidden(hidden) => Some(hidden.reveal().as_bytes()),
        };
        let mut streams = Streams {
            input,
            output,
            errors,
            to_terminal: command.output == Output::Job,
        };
        let code =
            client::call(command.arguments.clone(), &mut streams).map_err(std::io::Error::other)?;
        Ok(Ended { code, output: kept })
    }
}
