//! `supervisor stage-secrets`: the program of the init container. Only this container mounts the Secret.

use std::path::PathBuf;

use clap::Args;
use report::exit;
use supervisor::doctor;
use supervisor::secrets::stage::{Request, stage};

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all required keys were copied, 77 a key is missing, unusable or expired, and nothing was copied"
)]
pub(crate) struct Arguments {
    /// The mount point of the Secret
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The memory volume that the other container reads
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// A key to copy if the Secret has it; repeatable
    #[arg(long, value_name = "KEY")]
    optional: Vec<String>,
    /// Keys that the Secret must have
    #[arg(value_name = "KEY")]
    required: Vec<String>,
}

pub(crate) fn main(arguments: Arguments) -> u8 {
    let request = Request {
        from: arguments.from,
        to: arguments.to,
        required: arguments.required,
        optional: arguments.optional,
    };
    match stage(&request, doctor::refused_secret) {
        Ok(count) => {
            eprintln!(
                "supervisor: {count} keys staged in {}",
                request.to.display()
            );
            0
        }
        Err(error) => {
            eprintln!("supervisor: {error}");
            exit::SECRETS
        }
    }
}
