//! The binary: a command line over the library.

mod cli;
mod commands;

fn main() -> std::process::ExitCode {
    cli::main()
}
