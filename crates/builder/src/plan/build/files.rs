//! Containerfiles and what belongs to them: copied before they are looked at.

use std::path::{Path, PathBuf};

use super::{Operation, Parsed, Planner, ReadInput};
use crate::paths::problem;

impl Planner<'_> {
    /// Copies of all Containerfiles and of the ignore file: what was looked at is what is built.
    pub(super) fn containerfiles(
        &self,
        parsed: &Parsed,
        context: &Path,
        input: ReadInput<'_>,
        operation: &mut Operation,
    ) -> Result<Vec<String>, String> {
        let mut files: Vec<&str> = parsed
            .values("file")
            .flat_map(|list| list.split(','))
            .collect();
        let found = [context.join("Containerfile"), context.join("Dockerfile")];
        let default = found
            .iter()
            .find(|path| self.workspace.resolve(path).is_ok());
        let mut texts = Vec::new();
        let mut ignore = Vec::new();
        if files.is_empty() && default.is_none() {
            return Err(format!(
                "there is no Containerfile or Dockerfile in {}",
                context.display()
            ));
        }
        if files.is_empty() {
            files.push("");
        }
        for file in files {
            let content = match file {
                "-" | "/dev/stdin" => input()?,
                _ => {
                    let path = self.containerfile(file, context, default)?;
                    let beside =
                        |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
                    ignore.extend([beside(".containerignore"), beside(".dockerignore")]);
                    self.workspace
                        .read(&path)
                        .map_err(|error| problem(&path, &error))?
                }
            };
            texts.push(String::from_utf8_lossy(&content).into_owned());
            let place = self.keep(operation, "Containerfile", content)?;
            operation.arguments.push(format!("--file={place}"));
        }
        ignore.extend([
            context.join(".containerignore"),
            context.join(".dockerignore"),
        ]);
        if let Some(path) = parsed.last("ignorefile") {
            ignore = vec![self.relative(path)?];
        }
        let chosen = ignore
            .iter()
            .find(|path| self.workspace.resolve(path).is_ok());
        let place = match (chosen, parsed.last("ignorefile")) {
            (Some(path), _) => self.copy(operation, "ignore", path)?,
            (None, Some(path)) => return Err(format!("there is no {path}")),
            (None, None) => self.keep(operation, "ignore", Vec::new())?,
        };
        operation.arguments.push(format!("--ignorefile={place}"));
        Ok(texts)
    }

    /// A Containerfile's path: from the working directory, else from the context.
    fn containerfile(
        &self,
        file: &str,
        context: &Path,
        default: Option<&PathBuf>,
    ) -> Result<PathBuf, String> {
        if let ("", Some(default)) = (file, default) {
            return Ok(default.clone());
        }
        if file.contains("://") {
            return Err(format!(
                "--file {file}: the builder fetches no Containerfiles; fetch it beforehand"
            ));
        }
        if file.ends_with(".in") {
            return Err(format!(
                "--file {file}: the C preprocessor would read any file that the builder sees; run it beforehand"
            ));
        }
        let path = self.relative(file)?;
        let in_context = context.join(file);
        let elsewhere = !Path::new(file).is_absolute() && self.workspace.resolve(&path).is_err();
        Ok(
            if elsewhere && self.workspace.resolve(&in_context).is_ok() {
                in_context
            } else {
                path
            },
        )
    }
}
