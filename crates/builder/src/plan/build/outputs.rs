//! Plans the files that a build writes for the job.

use super::{FlagArgument, Parsed, Planner, Rejected, Resources};
use crate::operation::Stdout;
use crate::operation_dir::Medium;

/// The outputs of a build.
#[derive(Default)]
pub(super) struct Outputs {
    pub(super) flags: Vec<FlagArgument>,
    pub(super) stdout: Stdout,
}

impl Planner<'_> {
    /// Reads `--iidfile`, `--logfile` and `--output`.
    pub(super) fn outputs(
        &self,
        parsed: &Parsed,
        resources: &mut Resources<'_>,
    ) -> Result<Outputs, Rejected> {
        let mut outputs = Outputs::default();
        for name in ["iidfile", "logfile"] {
            if let Some(path) = parsed.last(name) {
                let path = resources.add_output(self.relative(path)?, Medium::Memory);
                outputs.flags.push(FlagArgument::new(name, path));
            }
        }
        for given in parsed.values("output") {
            let Export { kind, destination } = Export::parse(given)?;
            let value = if destination == "-" {
                outputs.stdout = Stdout::Binary;
                // Buildah 1.43 takes `type=tar,dest=-` for a file.
                "-".to_owned()
            } else {
                let relative = self.relative(destination)?;
                let path = match kind {
                    "tar" => resources.add_output(relative, Medium::Disk),
                    "local" => resources.add_archive(relative),
                    _ => return Err(Rejected::OutputType(kind.to_owned())),
                };
                format!("type=tar,dest={path}")
            };
            outputs.flags.push(FlagArgument::new("output", value));
        }
        Ok(outputs)
    }
}

/// The value of `--output`: `type=KIND,dest=PATH`, or a path alone.
struct Export<'a> {
    kind: &'a str,
    destination: &'a str,
}

impl<'a> Export<'a> {
    fn parse(given: &'a str) -> Result<Self, Rejected> {
        if !given.contains('=') {
            return Ok(Self {
                kind: "local",
                destination: given,
            });
        }
        let part = |wanted: &str| {
            let mut parts = given.split(',').filter_map(|part| part.split_once('='));
            let found = parts.find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value)
        };
        let destination =
            part("dest").ok_or_else(|| Rejected::OutputDestination(given.to_owned()))?;
        Ok(Self {
            kind: part("type").unwrap_or("local"),
            destination,
        })
    }
}
