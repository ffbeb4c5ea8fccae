//! All groups, targets and variables of the files.

use crate::blocks::Group;
use crate::error::{BakeError, Result};
use crate::glob::matches;
use crate::target::Target;

/// A variable and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The type, or an empty text.
    pub kind: String,
    /// The value as text, or nothing for null.
    pub value: Option<String>,
    /// The text for users.
    pub description: String,
}

/// All that files define.
#[derive(Debug, Default)]
pub struct Definitions {
    /// The groups, in order.
    pub groups: Vec<(String, Group)>,
    /// The targets, in order.
    pub targets: Vec<(String, Target)>,
    /// The variables, sorted.
    pub variables: Vec<Variable>,
}

impl Definitions {
    /// Returns the groups and targets that match a pattern.
    pub(crate) fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        if !pattern.contains(['*', '?', '[', ']']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let groups = self.groups.iter().map(|(name, _)| name);
        let names = groups.chain(self.targets.iter().map(|(name, _)| name));
        let found: Vec<String> = names
            .filter(|name| matches(pattern, name))
            .cloned()
            .collect();
        if found.is_empty() {
            return Err(BakeError::new(format!(
                "no group and no target matches {pattern}"
            )));
        }
        Ok(found)
    }

    /// Returns the targets and the groups within a group. Another name is that of a target.
    pub(crate) fn members(&self, name: &str) -> (Vec<String>, Vec<String>) {
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        self.collect(name, &mut targets, &mut groups);
        (targets, groups)
    }

    fn collect(&self, name: &str, targets: &mut Vec<String>, groups: &mut Vec<String>) {
        let Some((_, group)) = self.groups.iter().find(|(known, _)| known == name) else {
            if !targets.iter().any(|known| known == name) {
                targets.push(name.to_owned());
            }
            return;
        };
        if groups.iter().any(|known| known == name) {
            return;
        }
        groups.push(name.to_owned());
        for member in &group.targets {
            self.collect(member, targets, groups);
        }
    }
}
