//! Plans `--build-context`: directories of the job, and images.

use std::collections::BTreeMap;

use super::{FlagArgument, Operation, Parsed, Planner, Reference, Rejected, Resources, is_remote};
use crate::credentials::Owner;

/// The additional contexts of a build.
#[derive(Default)]
pub(super) struct Contexts {
    /// Their names, and whether each is an image.
    pub(super) names: BTreeMap<String, bool>,
    pub(super) flags: Vec<FlagArgument>,
    /// The pulls that come before the build.
    pub(super) pulls: Vec<Operation>,
}

impl Planner<'_> {
    /// Reads `--build-context NAME=SOURCE`.
    pub(super) fn contexts(
        &self,
        parsed: &Parsed,
        resources: &mut Resources<'_>,
    ) -> Result<Contexts, Rejected> {
        let mut contexts = Contexts::default();
        for given in parsed.values("build-context") {
            let (name, source) = given
                .split_once('=')
                .ok_or_else(|| Rejected::BuildContext(given.to_owned()))?;
            let image = ["docker-image://", "container-image://", "docker://"]
                .iter()
                .find_map(|prefix| source.strip_prefix(prefix));
            let source = match image {
                Some(image) => {
                    let reference = Reference::parse(image)?;
                    if self.owner(&reference) == Some(Owner::Builder) {
                        contexts
                            .pulls
                            .push(self.pull_before(parsed, &reference, false));
                    }
                    format!("docker-image://{image}")
                }
                None if is_remote(source) => {
                    return Err(Rejected::RemoteBuildContext(given.to_owned()));
                }
                None => {
                    let relative = self.relative(source)?;
                    let view = self.view_of_named(&relative, resources)?;
                    resources.add_tree(relative, view)
                }
            };
            let value = format!("{name}={source}");
            contexts
                .flags
                .push(FlagArgument::new("build-context", value));
            contexts.names.insert(name.to_owned(), image.is_some());
        }
        Ok(contexts)
    }
}
