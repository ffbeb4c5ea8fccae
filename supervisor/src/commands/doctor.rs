//! `supervisor doctor`: every check, and the remedy if one fails.

use std::io::{IsTerminal, Write, stdout};

use clap::{Args, ValueEnum};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use report::exit;
use supervisor::doctor::{self, Context, Profile, Report, Role, Selection, Shape, render};

use super::settings::Settings;

#[derive(Args)]
pub(crate) struct Arguments {
    /// One JSON object instead of text (docs/doctor.md)
    #[arg(long)]
    json: bool,
    /// Run only this group or check, and the checks that it needs; may be repeated
    #[arg(long, value_name = "GROUP|ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Print nothing about checks that are ok
    #[arg(long, short)]
    quiet: bool,
    /// Print the method of a check, or of all, and the meaning of each finding
    #[arg(long, value_name = "ID|all", exclusive = true)]
    explain: Option<String>,
    /// split: a builder container builds; single: this container builds [default: by storage.driver]
    #[arg(long, value_name = "SHAPE")]
    shape: Option<ShapeName>,
    /// The role of this container
    #[arg(long, value_name = "ROLE", default_value = "runner")]
    role: RoleName,
    /// The user namespaces that the nodes should offer: userns or rootless
    #[arg(long, value_name = "PROFILE")]
    profile: Option<ProfileName>,
    /// A host that the job must reach; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    reach: Vec<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, ValueEnum)]
enum ShapeName {
    Split,
    Single,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Runner,
    Builder,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileName {
    Userns,
    Rootless,
}

pub(crate) fn main(arguments: Arguments) -> u8 {
    if let Some(id) = &arguments.explain {
        return match doctor::explain(id) {
            Ok(text) => print(&text, 0),
            Err(unknown) => usage_error(&unknown.to_string()),
        };
    }
    let selection = if arguments.only.is_empty() {
        Selection::all()
    } else {
        match Selection::named(&arguments.only) {
            Ok(selection) => selection,
            Err(unknown) => return usage_error(&unknown.to_string()),
        }
    };
    let (json, quiet) = (arguments.json, arguments.quiet);
    let context = match context(arguments) {
        Ok(context) => context,
        Err(error) => {
            eprintln!("supervisor: {error}");
            return exit::CONFIG;
        }
    };
    match examine(&context, &selection) {
        Ok(report) => {
            let text = if json {
                report.json()
            } else {
                render::report(&report, style(quiet))
            };
            print(&text, report.exit_code)
        }
        Err(code) => code,
    }
}

/// Prints `text`. A reader that closes stdout needs no more output.
fn print(text: &str, code: u8) -> u8 {
    let _ = stdout().write_all(text.as_bytes());
    code
}

fn usage_error(problem: &str) -> u8 {
    eprintln!("supervisor: {problem}");
    exit::USAGE
}

fn context(arguments: Arguments) -> Result<Context, supervisor::config::ConfigError> {
    let loaded = arguments.settings.layers().load()?;
    let mut context = Context::of(&loaded.config);
    if let Some(shape) = arguments.shape {
        context.shape = match shape {
            ShapeName::Split => Shape::Split,
            ShapeName::Single => Shape::Single,
        };
    }
    context.role = match arguments.role {
        RoleName::Runner => Role::Runner,
        RoleName::Builder => Role::Builder,
    };
    context.profile = arguments.profile.map(|profile| match profile {
        ProfileName::Userns => Profile::Userns,
        ProfileName::Rootless => Profile::Rootless,
    });
    context.reach = arguments.reach;
    Ok(context)
}

/// Runs the checks with the rights of a job: without the extra capabilities that a container engine may give. A signal
/// ends them early, but after the cleanup. Without a handler, a signal would not end PID 1.
fn examine(context: &Context, selection: &Selection) -> Result<Report, u8> {
    if !nix::unistd::getuid().is_root() {
        // If this fails, there were no capabilities to drop.
        let _ = linux::process::drop_capabilities();
    }
    if !init::is_pid_1() {
        let _ = linux::process::become_subreaper();
    }
    let ending: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect();
    let signals = ending.thread_block().and_then(|()| SignalFd::new(&ending));
    let Ok(signals) = signals else {
        return Err(exit::INTERNAL);
    };
    match doctor::examine(context, selection, Some(&signals)) {
        Some(report) => Ok(report),
        None => {
            let number = signals.read_signal().ok().flatten();
            let number = number.map_or(Signal::SIGTERM as u32, |signal| signal.ssi_signo);
            Err(exit::from_signal(i32::try_from(number).unwrap_or(0)))
        }
    }
}

/// Chooses the style: signs beyond ASCII if the locale is UTF-8, colours on a terminal that supports them.
fn style(quiet: bool) -> render::Style {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable);
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    let dumb = variable("TERM").is_some_and(|term| term == "dumb");
    render::Style {
        utf8: locale.contains("utf-8") || locale.contains("utf8"),
        colour: stdout().is_terminal() && variable("NO_COLOR").is_none() && !dumb,
        quiet,
    }
}
