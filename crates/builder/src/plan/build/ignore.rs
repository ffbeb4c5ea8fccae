//! Rewrites the ignore file, so that Buildah finds what it takes back from directories that it leaves out.

use std::path::Path;

use super::{Planner, Rejected};
use dockerfile::ignore;

/// The most entries of a context that are read. PID 1 reads them, and a job can make any number.
const MAX_ENTRIES: usize = 200_000;
/// The most directories that are added. Buildah compares each path of the context with each pattern.
const MAX_DIRECTORIES: usize = 2000;

impl Planner<'_> {
    /// Returns the ignore file for Buildah. One without `!` and a wildcard stays as it is.
    pub(super) fn followed(&self, content: Vec<u8>, context: &Path) -> Result<Vec<u8>, Rejected> {
        let Ok(text) = std::str::from_utf8(&content) else {
            return Ok(content);
        };
        let wildcards = ignore::wildcards(text);
        if wildcards.is_empty() {
            return Ok(content);
        }
        let mut found = Vec::new();
        let mut entries = 0;
        let mut waiting = vec![String::new()];
        while let Some(directory) = waiting.pop() {
            let path = context.join(&directory);
            // Buildah reports a directory that it cannot read, if it comes to it.
            let Ok(list) = self.workspace.list(&path, MAX_ENTRIES - entries) else {
                continue;
            };
            entries += list.len();
            let matches = |name: &str| {
                let mut wildcards = wildcards.iter();
                wildcards.any(|wildcard| wildcard.may_match(&directory, name))
            };
            if !directory.is_empty() && list.iter().any(|entry| matches(&entry.name)) {
                found.push(directory.clone());
            }
            let beneath = list
                .iter()
                .filter(|entry| entry.directory && ignore::is_plain(&entry.name));
            let beneath = beneath.map(|entry| format!("{directory}{}/", entry.name));
            let may_be_in =
                |path: &String| wildcards.iter().any(|wildcard| wildcard.may_be_in(path));
            waiting.extend(beneath.filter(may_be_in));
            if entries >= MAX_ENTRIES || found.len() > MAX_DIRECTORIES {
                return Err(Rejected::IgnoreFile);
            }
        }
        found.sort();
        Ok(ignore::entered(text, &found).into_bytes())
    }
}
