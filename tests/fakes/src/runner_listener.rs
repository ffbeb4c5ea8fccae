//! A fake of GitHub's Runner.Listener, with its published contract and without GitHub. Each rule names its source file in
//! github.com/actions/runner (2.336). It is compiled, as GitHub's is: only a compiled program can be execute-only, and its
//! `/proc/PID/environ` stays as it was at the start.
//!
//! GitHub itself is a directory, `$FAKE_GITHUB`:
//!   registration-token, remove-token   the tokens that it accepts
//!   exit-codes                         a line for each `run`: it ends with that code before it requests a job
//!   hang                               `configure` waits while the file exists
//!   job.sh                             the job's one step; `run` waits until it exists
//!   job-in-that-moment                 a job is accepted although the end was requested
//!   report-hangs                       the worker reports the result only after it is removed
//!   listener-hangs                     the listener stays after its job, until a signal
//!   registered                         written by configure, removed by remove and with an ephemeral runner's job
//!   log                                one line for each event

mod command_line;
mod directory;
mod exit_code;
mod runner;
mod signals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;

use command_line::{CommandLine, Environment};
use directory::note;
use exit_code::{RETRYABLE, SUCCESS, TERMINATED};
use runner::Runner;

/// HostContext.cs, GetDirectory(Root): the parent of the directory that holds the program, links resolved.
fn root() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().parent().unwrap().to_owned()
}

/// Program.cs: HostContext opens its log in _diag before anything else, and IOUtil.ValidateExecutePermission lists the root
/// and each directory above it.
fn open(root: &Path) {
    let diag = root.join("_diag");
    let log = fs::create_dir_all(&diag)
        .and_then(|()| fs::write(diag.join("Runner_fake.log"), "started\n"));
    if log.is_err() {
        exit(RETRYABLE);
    }
    for directory in root.ancestors() {
        if fs::read_dir(directory).is_err() {
            eprintln!(
                "An error occurred: Permission to read the directory contents is required for '{}'",
                root.display()
            );
            exit(TERMINATED);
        }
    }
}

/// Program.cs, LoadAndSetEnv: variables from .env in the root.
fn environment(root: &Path) -> Environment {
    let mut environment: Environment = std::env::vars().collect();
    let file = fs::read_to_string(root.join(".env")).unwrap_or_default();
    for (name, value) in file.lines().filter_map(|line| line.split_once('=')) {
        environment.insert(name.to_owned(), value.to_owned());
    }
    environment
}

/// Runs the program. It reads its command line and its environment, and ends the process.
pub fn main() {
    let root = root();
    let mut environment = environment(&root);
    open(&root);
    let mut line = CommandLine::parse();
    line.take_inputs(&mut environment);
    let names: Vec<&str> = line.values.keys().map(String::as_str).collect();
    note(&format!("argv: {} {}", line.command, names.join(" ")));
    line.check();
    let runner = Runner {
        root,
        line,
        environment,
    };
    let code = match runner.line.command.as_str() {
        "configure" => runner.configure(),
        "remove" => runner.remove(),
        "run" => runner.run(),
        _ => {
            println!("Commands: configure, remove, run");
            SUCCESS
        }
    };
    exit(code);
}
