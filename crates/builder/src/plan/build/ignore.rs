//! Rewrites the ignore file, so that Buildah finds what it takes back from directories that it leaves out.

use std::path::Path;

use super::Planner;
use dockerfile::ignore::{self, Wildcards};

/// The most entries of a context that are read. PID 1 reads them, and a job can make any number.
const MAX_ENTRIES: usize = 200_000;
/// The most bytes that the paths of the directories come to that wait to be read.
const MAX_WAITING: usize = 16 * 1024 * 1024;
/// The most directories that are added. Buildah compares each path of the context with each pattern.
const MAX_DIRECTORIES: usize = 2000;

impl Planner<'_> {
    /// Returns the ignore file for Buildah. One without `!` and a wildcard stays as it is, and one with too much to look for:
    /// Buildah then finds what it finds by itself.
    pub(super) fn followed(&self, content: Vec<u8>, context: &Path) -> Vec<u8> {
        let found = std::str::from_utf8(&content).ok().and_then(|text| {
            let wildcards = Wildcards::parse(text)?;
            let found = self.directories(&wildcards, context)?;
            Some(ignore::entered(text, &found).into_bytes())
        });
        found.unwrap_or(content)
    }

    /// Returns the directories that Buildah has to enter. `None` if it takes too long to find them.
    fn directories(&self, wildcards: &Wildcards, context: &Path) -> Option<Vec<String>> {
        let mut found = Vec::new();
        let (mut entries, mut size) = (0, 0);
        let mut waiting = vec![String::new()];
        while let Some(directory) = waiting.pop() {
            size -= directory.len();
            let path = context.join(&directory);
            // Buildah reports a directory that it cannot read, if it comes to it.
            let Ok(list) = self.workspace.list(&path, MAX_ENTRIES - entries) else {
                continue;
            };
            entries += list.len();
            let names = list.iter().map(|entry| entry.name.as_str());
            let names = names.take_while(|_| !wildcards.exhausted());
            if !directory.is_empty() && wildcards.may_match(&directory, names) {
                found.push(directory.clone());
            }
            let beneath = list
                .iter()
                .filter(|entry| entry.directory && ignore::is_plain(&entry.name));
            for entry in beneath {
                let path = format!("{directory}{}/", entry.name);
                if size <= MAX_WAITING && wildcards.may_be_in(&path) {
                    size += path.len();
                    waiting.push(path);
                }
            }
            let room = entries < MAX_ENTRIES && found.len() <= MAX_DIRECTORIES;
            if !room || size > MAX_WAITING || wildcards.exhausted() {
                return None;
            }
        }
        found.sort();
        Some(found)
    }
}
