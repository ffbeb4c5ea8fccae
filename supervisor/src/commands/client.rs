//! The build client: the supervisor called as `buildah`, `docker` or `podman`.

use std::ffi::OsString;
use std::io::{Write, sink, stderr, stdout};
use std::path::Path;

use builder::client::{self, Streams};
use docker_cli::execute::{self, Buildah, Exited};
use docker_cli::{Command, Program, Stdin, Stdout, Variables};
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
        (Ok(arguments), Some(program)) => execute::run(program, &arguments, &mut RemoteBuildah),
        (Ok(arguments), None) => {
            client::run(arguments, client::Auths::new()).unwrap_or_else(|error| {
                eprintln!("buildah: {error}");
                exit::STORAGE
            })
        }
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
struct RemoteBuildah;

impl Buildah for RemoteBuildah {
    fn run(&mut self, command: &Command) -> std::io::Result<Exited> {
        let mut captured = Vec::new();
        let mut dropped = sink();
        let output: &mut dyn Write = match command.stdout {
            Stdout::Inherited => &mut stdout(),
            Stdout::Captured | Stdout::CapturedQuietly => &mut captured,
            Stdout::Dropped => &mut sink(),
        };
        let errors: &mut dyn Write = match command.stdout {
            Stdout::Dropped | Stdout::CapturedQuietly => &mut dropped,
            Stdout::Inherited | Stdout::Captured => &mut stderr(),
        };
        let input = match &command.stdin {
            Stdin::Inherited => None,
            Stdin::Secret(secret) => Some(secret.expose().as_bytes()),
        };
        let mut streams = Streams {
            input,
            output,
            errors,
            to_terminal: command.stdout == Stdout::Inherited,
        };
        let variables = match command.variables {
            Variables::Resolved => client::Variables::InArguments,
            Variables::Unread => client::Variables::FromFlags,
        };
        let code = client::call(
            command.arguments.clone(),
            variables,
            client::Auths::new(),
            &mut streams,
        )
        .map_err(std::io::Error::other)?;
        Ok(Exited {
            code,
            stdout: captured,
        })
    }
}
