//! Files that a build leaves for the job.

use super::{Operation, Parsed, Planner};

impl Planner<'_> {
    pub(super) fn outputs(&self, parsed: &Parsed, operation: &mut Operation) -> Result<(), String> {
        for flag in ["iidfile", "logfile"] {
            if let Some(path) = parsed.last(flag) {
                let place = self.output(operation, self.relative(path)?, false);
                operation.arguments.push(format!("--{flag}={place}"));
            }
        }
        for given in parsed.values("output") {
            let part = |wanted: &str| {
                let mut parts = given.split(',').filter_map(|part| part.split_once('='));
                parts
                    .find(|(name, _)| *name == wanted)
                    .map(|(_, value)| value)
            };
            let bare = !given.contains('=');
            let destination = if bare { Some(given) } else { part("dest") };
            let destination =
                destination.ok_or_else(|| format!("--output {given}: expected dest=PATH"))?;
            let kind = if bare {
                "local"
            } else {
                part("type").unwrap_or("local")
            };
            if destination == "-" {
                operation
                    .arguments
                    .push("--output=type=tar,dest=-".to_owned());
                operation.raw = true;
                continue;
            }
            let place = self.output(operation, self.relative(destination)?, true);
            match (kind, operation.outputs.last_mut()) {
                ("tar", _) => {}
                ("local", Some(output)) => output.unpack = true,
                _ => {
                    return Err(format!(
                        "--output type={kind} is not available; use type=tar or type=local"
                    ));
                }
            }
            operation
                .arguments
                .push(format!("--output=type=tar,dest={place}"));
        }
        Ok(())
    }
}
