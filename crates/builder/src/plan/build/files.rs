//! Plans Containerfiles and ignore files. They are copied first, so that what is checked is what is built.

use std::path::{Path, PathBuf};

use super::{FlagArgument, Parsed, Planner, ReadInput, Rejected, Resources};
use crate::paths::PathError;

/// The Containerfiles of a build.
pub(super) struct Containerfiles {
    /// Their texts, in order.
    pub(super) texts: Vec<String>,
    /// `--file` for each copy, and `--ignorefile`.
    pub(super) flags: Vec<FlagArgument>,
}

impl Planner<'_> {
    /// Copies all Containerfiles and the ignore file.
    pub(super) fn containerfiles(
        &self,
        parsed: &Parsed,
        context: &Path,
        input: ReadInput<'_>,
        resources: &mut Resources<'_>,
    ) -> Result<Containerfiles, Rejected> {
        let mut texts = Vec::new();
        let mut flags = Vec::new();
        let mut candidates = Vec::new();
        for source in self.sources(parsed, context)? {
            let source = source?;
            let content = match &source {
                Source::StandardInput => input()?,
                Source::File(path) => {
                    candidates.extend(ignore_files(|suffix| {
                        PathBuf::from(format!("{}{suffix}", path.display()))
                    }));
                    let content = self.workspace.read(path);
                    content.map_err(|error| PathError::new(path, error))?
                }
            };
            texts.push(String::from_utf8_lossy(&content).into_owned());
            let copy = resources.add_file("Containerfile", content)?;
            flags.push(FlagArgument::new("file", copy));
        }
        candidates.extend(ignore_files(|name| context.join(name)));
        let ignore = self.ignore_file(parsed, candidates, resources)?;
        flags.push(FlagArgument::new("ignorefile", ignore));
        Ok(Containerfiles { texts, flags })
    }

    /// Returns the Containerfiles: those of `--file`, or else the context's. One at a time: a job can name a million of them, and
    /// the first that cannot be read ends the plan.
    fn sources<'a>(
        &'a self,
        parsed: &'a Parsed,
        context: &'a Path,
    ) -> Result<impl Iterator<Item = Result<Source, Rejected>> + 'a, Rejected> {
        let default = ["Containerfile", "Dockerfile"].map(|name| context.join(name));
        let mut default = default.into_iter().filter(|path| self.exists(path));
        let default = default.next();
        if parsed.last("file").is_none() && default.is_none() {
            return Err(Rejected::NoContainerfile(context.to_owned()));
        }
        let only = parsed.last("file").is_none().then_some("");
        let given = parsed.values("file").flat_map(|list| list.split(','));
        Ok(only
            .into_iter()
            .chain(given)
            .map(move |file| match (file, &default) {
                ("-" | "/dev/stdin", _) => Ok(Source::StandardInput),
                ("", Some(default)) => Ok(Source::File(default.clone())),
                (file, _) => self.containerfile(file, context).map(Source::File),
            }))
    }

    /// Returns the path of a Containerfile: from the working directory, or else from the context.
    fn containerfile(&self, file: &str, context: &Path) -> Result<PathBuf, Rejected> {
        if file.contains("://") {
            return Err(Rejected::RemoteContainerfile(file.to_owned()));
        }
        if file.ends_with(".in") {
            return Err(Rejected::Preprocessor(file.to_owned()));
        }
        let path = self.relative(file)?;
        let in_context = context.join(file);
        let missing = !Path::new(file).is_absolute() && !self.exists(&path);
        if missing && self.exists(&in_context) {
            return Ok(in_context);
        }
        Ok(path)
    }

    /// Copies the ignore file, and returns the path of the copy. Without one, the copy is empty.
    fn ignore_file(
        &self,
        parsed: &Parsed,
        candidates: Vec<PathBuf>,
        resources: &mut Resources<'_>,
    ) -> Result<String, Rejected> {
        let given = parsed.last("ignorefile");
        let candidates = match given {
            Some(path) => vec![self.relative(path)?],
            None => candidates,
        };
        let chosen = candidates.iter().find(|path| self.exists(path));
        match (chosen, given) {
            (Some(path), _) => resources.copy_file("ignore", path),
            (None, Some(path)) => Err(Rejected::NoIgnoreFile(path.to_owned())),
            (None, None) => resources.add_file("ignore", Vec::new()),
        }
    }

    fn exists(&self, relative: &Path) -> bool {
        self.workspace.resolve(relative).is_ok()
    }
}

enum Source {
    StandardInput,
    File(PathBuf),
}

fn ignore_files(at: impl Fn(&str) -> PathBuf) -> [PathBuf; 2] {
    [at(".containerignore"), at(".dockerignore")]
}
