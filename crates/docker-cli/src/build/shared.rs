//! Finds the paths under which the builder sees the inputs of a build. What it does not see is handed over.

use std::path::{Path, PathBuf};

use super::super::handover::{HandOver, Place, Source};
use super::super::plan::Step;
use super::super::planner::{Planner, text};

/// Which ignore files a context has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ignored<'a> {
    /// Those of the Dockerfile that the command line names, and of the context.
    Main(Option<&'a str>),
    /// That of a context of `--build-context`.
    Named,
}

/// Whether a context or a Dockerfile is an address of a web server. A Git repository may have one too.
pub(super) fn is_url(given: &str) -> bool {
    given.starts_with("https://") || given.starts_with("http://")
}

impl Planner<'_> {
    /// Returns the path under which the builder sees a context.
    pub(super) fn shared_directory(&mut self, given: &str, ignored: Ignored<'_>) -> String {
        match (self.job.place)(Path::new(given)) {
            Place::Shared => given.to_owned(),
            Place::SharedAs(path) => text(&path),
            Place::Outside => {
                let from = PathBuf::from(given);
                let own = match ignored {
                    Ignored::Main(Some(file)) => {
                        Some(PathBuf::from(format!("{file}.dockerignore")))
                    }
                    Ignored::Main(None) => Some(from.join("Dockerfile.dockerignore")),
                    Ignored::Named => None,
                };
                let ignore = own
                    .into_iter()
                    .chain([from.join(".dockerignore")])
                    .collect();
                let to = self.scratch("context");
                self.step(Step::HandOver(HandOver::Context {
                    from,
                    to: to.clone(),
                    ignore,
                }));
                text(&to)
            }
        }
    }

    /// Returns the path under which the builder sees a Dockerfile.
    pub(super) fn shared_dockerfile(&mut self, given: &str) -> String {
        if given == "-" {
            return given.to_owned();
        }
        if is_url(given) {
            let to = self.scratch("Dockerfile");
            self.step(Step::HandOver(HandOver::Download {
                url: given.to_owned(),
                to: to.clone(),
            }));
            return text(&to);
        }
        match (self.job.place)(Path::new(given)) {
            Place::Shared => given.to_owned(),
            Place::SharedAs(path) => text(&path),
            Place::Outside => {
                let to = self.scratch("Dockerfile");
                self.step(Step::CopyIn {
                    from: given.into(),
                    to: to.clone(),
                    what: format!("{} --file", self.command),
                });
                let ignore = |path: &str| PathBuf::from(format!("{path}.dockerignore"));
                self.step(Step::HandOver(HandOver::IfPresent {
                    from: ignore(given),
                    to: ignore(&text(&to)),
                }));
                text(&to)
            }
        }
    }

    /// Returns the directory into which an archive or a Dockerfile is unpacked.
    pub(super) fn streamed_context(&mut self, source: Source) -> String {
        let to = self.scratch("context");
        self.step(Step::HandOver(HandOver::Stream {
            source,
            to: to.clone(),
        }));
        text(&to)
    }

    /// Returns the value of `--ssh` with paths that the builder sees.
    pub(super) fn shared_keys(&mut self, id: &str, paths: &str) -> String {
        let mut shared = Vec::new();
        for given in paths.split(',') {
            shared.push(match (self.job.place)(Path::new(given)) {
                Place::Shared => given.to_owned(),
                Place::SharedAs(path) => text(&path),
                Place::Outside => {
                    let to = self.scratch("ssh");
                    self.step(Step::HandOver(HandOver::Ssh {
                        from: given.into(),
                        to: to.clone(),
                    }));
                    text(&to)
                }
            });
        }
        format!("{id}={}", shared.join(","))
    }
}
