//! `supervisor doctor`: every check, and the cure where one fails.

use std::io::{IsTerminal, Write, stdout};

use clap::{Args, ValueEnum};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use report::exit;
use supervisor::doctor::{self, Profile, Report, Role, Scene, Selection, Shape, render};

use crate::cli::Settings;

#[derive(Args)]
pub(crate) struct Arguments {
    /// One JSON object instead of text (docs/doctor.md)
    #[arg(long)]
    json: bool,
    /// Only this group or check, and what it needs; may be repeated
    #[arg(long, value_name = "GROUP|ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Say nothing about what is well
    #[arg(long, short)]
    quiet: bool,
    /// Tell what a check, or all, looks at and what each of its findings means
    #[arg(long, value_name = "ID|all", exclusive = true)]
    explain: Option<String>,
    /// split: a builder container builds; single: this one does [default: by storage.driver]
    #[arg(long, value_name = "SHAPE")]
    shape: Option<ShapeName>,
    /// Which container of the pod this is
    #[arg(long, value_name = "ROLE", default_value = "runner")]
    role: RoleName,
    /// What the nodes are meant to allow: userns or rootless
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
            Err(unknown) => wrong(&unknown.to_string()),
        };
    }
    let selection = if arguments.only.is_empty() {
        Selection::all()
    } else {
        match Selection::named(&arguments.only) {
            Ok(selection) => selection,
            Err(unknown) => return wrong(&unknown.to_string()),
        }
    };
    let (json, quiet) = (arguments.json, arguments.quiet);
    let scene = match scene(arguments) {
        Ok(scene) => scene,
        Err(error) => {
            eprintln!("supervisor: {error}");
            return exit::CONFIG;
        }
    };
    match examine(&scene, &selection) {
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

/// Whoever closes our stdout has seen enough.
fn print(text: &str, code: u8) -> u8 {
    let _ = stdout().write_all(text.as_bytes());
    code
}

fn wrong(problem: &str) -> u8 {
    eprintln!("supervisor: {problem}");
    exit::USAGE
}

fn scene(arguments: Arguments) -> Result<Scene, supervisor::config::ConfigError> {
    let loaded = arguments.settings.layers().load()?;
    let mut scene = Scene::of(&loaded.config);
    if let Some(shape) = arguments.shape {
        scene.shape = match shape {
            ShapeName::Split => Shape::Split,
            ShapeName::Single => Shape::Single,
        };
    }
    scene.role = match arguments.role {
        RoleName::Runner => Role::Runner,
        RoleName::Builder => Role::Builder,
    };
    scene.profile = arguments.profile.map(|profile| match profile {
        ProfileName::Userns => Profile::Userns,
        ProfileName::Rootless => Profile::Rootless,
    });
    scene.reach = arguments.reach;
    Ok(scene)
}

/// Looks as a job of `run` would: without capabilities that an engine gave us on top. A signal ends it early, but only
/// after everything was cleared up; as PID 1 it would not end us at all.
fn examine(scene: &Scene, selection: &Selection) -> Result<Report, u8> {
    if !nix::unistd::getuid().is_root() {
        // Without them it is what is wanted anyway.
        let _ = linux::process::drop_capabilities();
    }
    if !init::is_pid_1() {
        let _ = linux::process::become_subreaper();
    }
    let asked = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    let asked: SigSet = asked.into_iter().collect();
    let signals = asked.thread_block().and_then(|()| SignalFd::new(&asked));
    let Ok(signals) = signals else {
        return Err(exit::INTERNAL);
    };
    match doctor::examine(scene, selection, Some(&signals)) {
        Some(report) => Ok(report),
        None => {
            let number = signals.read_signal().ok().flatten();
            let number = number.map_or(Signal::SIGTERM as u32, |signal| signal.ssi_signo);
            Err(exit::from_signal(i32::try_from(number).unwrap_or(0)))
        }
    }
}

/// Marks beyond ASCII where the locale has them, colours on a terminal that wants them.
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
