//! Reads the files of a definition, and resolves the targets that are requested.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::blocks::Group;
use crate::budget::{Budget, Context};
use crate::compose;
use crate::definition::Definition;
use crate::definitions::Definitions;
use crate::error::{BakeError, Result};
use crate::evaluator::Evaluator;
use crate::inherit::{Links, Resolver};
use crate::overrides::Overrides;
use crate::source::File;
use crate::target::Target;

/// What a definition is evaluated with.
pub struct Request<'a> {
    /// The files, in order.
    pub files: &'a [File],
    /// The groups and targets to build. An empty list means `default`.
    pub targets: &'a [String],
    /// The values of `--set`.
    pub overrides: &'a [String],
    /// The values of `--var`.
    pub variables: &'a BTreeMap<String, String>,
    /// The variables that bake sets: BAKE_CMD_CONTEXT and BAKE_LOCAL_PLATFORM.
    pub builtins: &'a BTreeMap<String, String>,
    /// Returns the value of a variable of the job.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The variables of a compose project's `.env`.
    pub project: &'a BTreeMap<String, String>,
    /// Seconds since 1970, for `timestamp()`.
    pub now: u64,
}

/// The targets that are requested.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The groups on the way to the targets, sorted.
    pub groups: BTreeMap<String, Group>,
    /// The targets and those that they use, sorted.
    pub targets: BTreeMap<String, Target>,
}

/// The most targets, and the most groups. Each target is a build.
const MOST: usize = 1000;

impl Request<'_> {
    fn lookup(&self, name: &str) -> Option<String> {
        let off = (self.environment)("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP");
        let off = off.and_then(|text| pflag::parse_bool(&text)) == Some(true);
        let given = self.variables.get(name).cloned();
        given.or_else(|| (self.environment)(name).filter(|_| !off))
    }

    /// Evaluates all files.
    ///
    /// # Errors
    /// [`BakeError`] if a file is wrong, or if its evaluation needs too much time or memory.
    pub fn definitions(&self) -> Result<Definitions> {
        let files = self.files.iter();
        let texts: Vec<(String, String)> = files
            .map(|file| (file.name.clone(), file.text.clone()))
            .collect();
        self.evaluated().map_err(|error| error.located(&texts))
    }

    fn evaluated(&self) -> Result<Definitions> {
        let lookup = |name: &str| self.lookup(name);
        let composes = |name: &str| {
            let own = self.lookup(name);
            own.or_else(|| self.project.get(name).cloned())
        };
        let mut definition = Definition::default();
        let mut composed = Vec::new();
        let mut has_blocks = false;
        for (index, file) in self.files.iter().enumerate() {
            let lower = file.name.to_lowercase();
            let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
            if ends(&[".yml", ".yaml"]) {
                composed.push(file);
                continue;
            }
            has_blocks = true;
            if ends(&[".json"]) {
                definition.add_json(index, &file.name, &file.text)?;
            } else if ends(&[".hcl"]) {
                definition.add_hcl(index, &file.name, &file.text)?;
            } else if compose::read(&[file], &composes).is_ok() {
                composed.push(file);
            } else if serde_json::from_str::<Value>(&file.text).is_ok() {
                definition.add_json(index, &file.name, &file.text)?;
            } else {
                definition.add_hcl(index, &file.name, &file.text)?;
            }
        }
        let mut all = Definitions::default();
        if !composed.is_empty() {
            let (group, targets) = compose::read(&composed, &composes)?;
            all.groups.push(("default".to_owned(), group));
            all.targets = targets;
        }
        if has_blocks {
            self.add_blocks(&definition, &lookup, &mut all)?;
        }
        if all.targets.len() > MOST || all.groups.len() > MOST {
            return Err(BakeError::new(format!(
                "the files define more than {MOST} targets or groups"
            )));
        }
        Ok(all)
    }

    fn add_blocks(
        &self,
        definition: &Definition,
        lookup: &dyn Fn(&str) -> Option<String>,
        all: &mut Definitions,
    ) -> Result<()> {
        let mut evaluator = Evaluator {
            definition,
            lookup,
            builtins: self.builtins,
            context: Context {
                budget: Budget::new(),
                now: self.now,
            },
            variables: BTreeMap::new(),
            active: BTreeSet::new(),
            targets: Vec::new(),
        };
        evaluator.check_variables()?;
        all.variables = crate::list::variables(&mut evaluator)?;
        let matrices = evaluator.name_targets()?;
        for (name, group) in evaluator.all_groups()? {
            match all.groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = group,
                None => all.groups.push((name, group)),
            }
        }
        all.groups.extend(matrices);
        for (name, target) in evaluator.all_targets()? {
            match all.targets.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.merge(&target)?,
                None => all.targets.push((name, target)),
            }
        }
        Ok(())
    }

    /// Resolves the requested targets.
    ///
    /// # Errors
    /// [`BakeError`] as [`Request::definitions`], and if a target does not exist or uses itself.
    pub fn resolve(&self) -> Result<Resolved> {
        let all = self.definitions()?;
        let names: Vec<&str> = all.targets.iter().map(|(name, _)| name.as_str()).collect();
        let lookup = |name: &str| self.lookup(name);
        let overrides = Overrides::parse(self.overrides, &names, &lookup)?;
        let resolver = Resolver {
            all: &all,
            overrides: &overrides,
        };
        let mut requested: Vec<String> = Vec::new();
        let default = ["default".to_owned()];
        let given = if self.targets.is_empty() {
            &default
        } else {
            self.targets
        };
        for given in given {
            for name in all.matching(&given.replace('.', "_"))? {
                if !requested.contains(&name) {
                    requested.push(name);
                }
            }
        }
        let mut resolved = Resolved::default();
        for name in &requested {
            let (targets, groups) = all.members(name);
            for target in targets {
                let options = resolver.target(&target)?;
                resolved.targets.insert(target, options);
            }
            for group in groups {
                if let Some((_, found)) = all.groups.iter().find(|(known, _)| *known == group) {
                    resolved.groups.insert(group, found.clone());
                }
            }
        }
        resolved.add_default(&requested);
        let mut links = Links::default();
        let wanted: Vec<String> = resolved.targets.keys().cloned().collect();
        for name in wanted {
            resolver.load_links(&name, &mut resolved.targets, &mut links)?;
        }
        let epoch = (self.environment)("SOURCE_DATE_EPOCH").filter(|epoch| !epoch.is_empty());
        for target in resolved.targets.values_mut() {
            let has_epoch = target
                .map("args")
                .any(|(key, _)| key == "SOURCE_DATE_EPOCH");
            if let Some(epoch) = epoch.as_deref().filter(|_| !has_epoch) {
                target.set_pair("args", "SOURCE_DATE_EPOCH", epoch)?;
            }
        }
        Ok(resolved)
    }
}

impl Resolved {
    /// Adds what is requested to the group `default`, as buildx prints it.
    fn add_default(&mut self, requested: &[String]) {
        for name in requested {
            if name == "default" && self.groups.contains_key("default") {
                continue;
            }
            let default = self.groups.entry("default".to_owned()).or_default();
            default.targets.push(name.clone());
        }
        if let Some(default) = self.groups.get_mut("default") {
            default.targets.sort();
            default.targets.dedup();
        }
    }

    /// Changes the context of each target.
    pub fn map_contexts(&mut self, with: impl Fn(&str) -> String) {
        for target in self.targets.values_mut() {
            target.map_text("context", &with);
        }
    }

    /// Returns the targets in an order in which each comes after those that it uses.
    #[must_use]
    pub fn in_order(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::new();
        for name in self.targets.keys() {
            self.visit(name, &mut order);
        }
        order
    }

    fn visit<'a>(&'a self, name: &'a str, order: &mut Vec<&'a str>) {
        if order.contains(&name) {
            return;
        }
        if let Some(target) = self.targets.get(name) {
            for (_, value) in target.map("contexts") {
                if let Some(used) = value.strip_prefix("target:") {
                    self.visit(used, order);
                }
            }
        }
        order.push(name);
    }
}
