//! The build client: the supervisor called as `buildah`, `docker` or `podman`.

use std::ffi::OsString;
use std::io::{Write, sink, stderr, stdout};
use std::path::Path;

use builder::client::{self, AuthEntry, Auths, Streams};
use docker_cli::credentials::{Entries, Entry, JobCredentials};
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
        // A login has one form in both, and is kept where Podman and Buildah keep it.
        (Ok(arguments), None) if is_login(&arguments) => {
            execute::run(Program::Podman, &arguments, &mut RemoteBuildah)
        }
        (Ok(arguments), None) => buildah(arguments),
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

/// The exit code of a command that is not carried out. Buildah uses it too.
const EXIT_REFUSED: u8 = 125;

fn is_login(arguments: &[String]) -> bool {
    let verb = arguments.first().map(String::as_str);
    let is_help = |word: &String| word == "--help" || word == "-h";
    matches!(verb, Some("login" | "logout")) && !arguments.iter().any(is_help)
}

/// Runs a command line of `buildah` itself, with the job's own credentials for its registries.
fn buildah(arguments: Vec<String>) -> u8 {
    let entries = match JobCredentials::of_buildah().for_command(&arguments) {
        Ok(entries) => entries,
        Err(error) => {
            eprintln!("buildah: {error}");
            return EXIT_REFUSED;
        }
    };
    client::run(arguments, auths(entries)).unwrap_or_else(|error| {
        eprintln!("buildah: {error}");
        exit::STORAGE
    })
}

fn auths(entries: Entries) -> Auths {
    let entries = entries.into_iter().map(|(key, entry)| {
        let Entry {
            auth,
            identity_token,
        } = entry;
        let entry = AuthEntry {
            auth,
            identity_token,
        };
        (key, entry)
    });
    entries.collect()
}

/// Buildah in the builder's container.
struct RemoteBuildah;

impl Buildah for RemoteBuildah {
    fn run(&mut self, command: &Command, credentials: Entries) -> std::io::Result<Exited> {
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
            auths(credentials),
            &mut streams,
        )
        .map_err(std::io::Error::other)?;
        Ok(Exited {
            code,
            stdout: captured,
        })
    }
}
