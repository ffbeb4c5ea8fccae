//! What a target inherits, and which other targets it uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::definitions::Definitions;
use crate::error::{BakeError, Result};
use crate::overrides::Overrides;
use crate::target::Target;

/// The targets whose `contexts` were followed.
#[derive(Default)]
pub(crate) struct Links {
    /// From the first one to the current one.
    active: Vec<String>,
    done: BTreeSet<String>,
}

/// Resolves single targets.
pub(crate) struct Resolver<'a> {
    pub(crate) all: &'a Definitions,
    pub(crate) overrides: &'a Overrides,
}

impl Resolver<'_> {
    /// Returns a target with what it inherits, and with the overrides.
    pub(crate) fn target(&self, name: &str) -> Result<Target> {
        let found = self.inherited(name, &mut BTreeMap::new())?;
        let mut target = found.unwrap_or_default();
        target.clear_inherits();
        if target.text("context").is_none() {
            target.set_text("context", ".")?;
        }
        if target.text("dockerfile").is_none_or(str::is_empty) {
            target.set_text("dockerfile", "Dockerfile")?;
        }
        Ok(target)
    }

    /// Returns nothing for a target that is being resolved: targets may inherit in a circle.
    fn inherited(
        &self,
        name: &str,
        visited: &mut BTreeMap<String, Option<Target>>,
    ) -> Result<Option<Target>> {
        if let Some(found) = visited.get(name) {
            return Ok(found.clone());
        }
        visited.insert(name.to_owned(), None);
        let found = self.all.targets.iter().find(|(known, _)| known == name);
        let Some((_, own)) = found else {
            return Err(BakeError::new(format!(
                "there is no target {name}; there are: {}",
                self.names()
            )));
        };
        let mut target = Target::default();
        for parent in own.list("inherits") {
            if let Some(parent) = self.inherited(parent, visited)? {
                target.merge(&parent)?;
            }
        }
        target.merge(own)?;
        self.overrides.apply(name, &mut target)?;
        target.normalize();
        visited.insert(name.to_owned(), Some(target.clone()));
        Ok(Some(target))
    }

    fn names(&self) -> String {
        let names = self.all.targets.iter().map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Adds the targets that `contexts` name. Each is built, and its result goes nowhere else.
    pub(crate) fn load_links(
        &self,
        name: &str,
        targets: &mut BTreeMap<String, Target>,
        links: &mut Links,
    ) -> Result<()> {
        if links.done.contains(name) {
            return Ok(());
        }
        links.active.push(name.to_owned());
        let target = targets.get(name).cloned().unwrap_or_default();
        for (_, value) in target.map("contexts") {
            let Some(used) = value.strip_prefix("target:") else {
                continue;
            };
            if links.active.iter().any(|known| known == used) {
                return Err(BakeError::new(format!(
                    "target {name} uses target {used}, which uses {name}"
                )));
            }
            if !targets.contains_key(used) {
                let mut linked = self.target(used)?;
                linked.set_records(
                    "output",
                    crate::records::parse(crate::records::Kind::Output, "type=cacheonly")?,
                )?;
                linked.linked = true;
                targets.insert(used.to_owned(), linked);
            }
            self.load_links(used, targets, links)?;
            let other = targets.get(used).cloned().unwrap_or_default();
            self.check_platforms((name, &target), (used, &other))?;
            if let Some(own) = targets.get_mut(name) {
                own.extend_list("entitlements", other.list("entitlements"))?;
                own.normalize();
            }
        }
        links.active.pop();
        links.done.insert(name.to_owned());
        Ok(())
    }

    fn check_platforms(
        &self,
        (name, target): (&str, &Target),
        (used, other): (&str, &Target),
    ) -> Result<()> {
        let (own, known) = (target.list("platforms"), other.list("platforms"));
        let several = own.len() > 1 && known.len() > 1;
        if several && !own.iter().all(|platform| known.contains(platform)) {
            return Err(BakeError::new(format!(
                "target {name} uses target {used}, which is not built for all of its platforms: {}",
                own.join(", ")
            )));
        }
        Ok(())
    }
}
