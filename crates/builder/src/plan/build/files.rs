//! Reads Containerfiles and ignore files, by the rules of the command that began the build.

use std::path::{Path, PathBuf};

use super::{FlagArgument, Parsed, Planner, ReadInput, Rejected, Resources};
use crate::operation::View;
use crate::paths::PathError;
use crate::rejected::MAX_FILES;
use crate::variables::DOCKER;

/// The Containerfiles of a build, as the job wrote them.
pub(super) struct Containerfiles {
    /// Their contents, in order.
    pub(super) contents: Vec<Vec<u8>>,
    /// `--ignorefile`.
    pub(super) ignore: FlagArgument,
    /// What the build sees of its context.
    pub(super) view: View,
}

impl Planner<'_> {
    /// Reads all Containerfiles, and copies the ignore file.
    pub(super) fn containerfiles(
        &self,
        parsed: &Parsed,
        context: &Path,
        input: ReadInput<'_>,
        resources: &mut Resources<'_>,
    ) -> Result<Containerfiles, Rejected> {
        let mut contents = Vec::new();
        let mut candidates = Vec::new();
        for source in self.sources(parsed, context)? {
            let source = source?;
            let content = match &source {
                Source::StandardInput => input()?,
                Source::File(path) => {
                    candidates.extend(self.ignore_files(|suffix| {
                        PathBuf::from(format!("{}{suffix}", path.display()))
                    }));
                    let content = self.workspace.read(path);
                    content.map_err(|error| PathError::new(path, error))?
                }
            };
            require_room(&contents, &content)?;
            contents.push(content);
        }
        candidates.extend(self.ignore_files(|name| context.join(name)));
        let (ignore, view) = self.ignore_file(parsed, context, candidates, resources)?;
        Ok(Containerfiles {
            contents,
            ignore: FlagArgument::new("ignorefile", ignore),
            view,
        })
    }

    /// Returns the Containerfiles: those of `--file`, or else the context's. One at a time: a job can name a million of them, and
    /// the first that cannot be read ends the plan.
    fn sources<'a>(
        &'a self,
        parsed: &'a Parsed,
        context: &'a Path,
    ) -> Result<impl Iterator<Item = Result<Source, Rejected>> + 'a, Rejected> {
        let mut names = ["Containerfile", "Dockerfile"];
        if self.docker() {
            // Docker knows the second name only.
            names.reverse();
        }
        let default = names.map(|name| context.join(name));
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

    /// Copies the ignore file, and returns the path of the copy and the view that it makes. Without one, the copy is empty.
    fn ignore_file(
        &self,
        parsed: &Parsed,
        context: &Path,
        candidates: Vec<PathBuf>,
        resources: &mut Resources<'_>,
    ) -> Result<(String, View), Rejected> {
        let given = parsed.last("ignorefile");
        let candidates = match given {
            Some(path) => vec![self.relative(path)?],
            None => candidates,
        };
        let chosen = candidates.iter().find(|path| self.exists(path));
        match (chosen, given) {
            (Some(path), _) => {
                let content = self.workspace.read(path);
                let content = content.map_err(|error| PathError::new(path, error))?;
                let view = self.view(path, &content, resources)?;
                let copy = resources.add_file("ignore", self.followed(content, context))?;
                Ok((copy, view))
            }
            (None, Some(path)) => Err(Rejected::NoIgnoreFile(path.to_owned())),
            (None, None) => {
                let copy = resources.add_file("ignore", Vec::new())?;
                Ok((copy, self.whole_view()))
            }
        }
    }

    /// Returns the places of an ignore file. Docker does not read a .containerignore: it may leave in what the .dockerignore
    /// keeps out.
    fn ignore_files(&self, at: impl Fn(&str) -> PathBuf) -> Vec<PathBuf> {
        let podman = (!self.docker()).then(|| at(".containerignore"));
        podman.into_iter().chain([at(".dockerignore")]).collect()
    }

    /// Whether `docker` began the build.
    pub(super) fn docker(&self) -> bool {
        self.hello.environment.contains_key(DOCKER)
    }

    pub(super) fn exists(&self, relative: &Path) -> bool {
        self.workspace.resolve(relative).is_ok()
    }
}

enum Source {
    StandardInput,
    File(PathBuf),
}

/// Rejects contents that together are larger than the private files of an operation.
fn require_room(contents: &[Vec<u8>], next: &[u8]) -> Result<(), Rejected> {
    let size: usize = contents.iter().map(Vec::len).sum();
    if size + next.len() > MAX_FILES {
        return Err(Rejected::FilesTooLarge);
    }
    Ok(())
}
