//! Pushes of lists and of all tags of a repository.

use std::fs;
use std::io;
use std::path::Path;

use super::super::output::OutputError;
use super::super::plan::{Command, Push, Stdout};
use super::super::registry;
use super::{ExecuteError, Executor, file_error};

impl Executor<'_> {
    /// Pushes each tag of a repository. Returns the exit code of the first push that failed.
    pub(super) fn push_all(
        &mut self,
        repository: &str,
        push: &Push,
    ) -> Result<Option<u8>, ExecuteError> {
        let list = Command::new(["images", "--json", "--no-trunc"], Stdout::Captured);
        let listed = self.run(&list)?;
        if listed.code != 0 {
            return Ok(Some(listed.code));
        }
        let images = serde_json::from_slice(&listed.stdout).map_err(OutputError::from)?;
        let names = registry::tags(&images, repository);
        if names.is_empty() {
            let _ = writeln!(
                self.stderr,
                "An image does not exist locally with the tag: {repository}"
            );
            return Ok(Some(1));
        }
        for name in names {
            if let Some(code) = self.run_steps(&push.steps(&name))? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    /// Pushes a list and writes its digest.
    pub(super) fn push_list(
        &mut self,
        push: &Command,
        digest: &Path,
    ) -> Result<Option<u8>, ExecuteError> {
        let written = || fs::read_to_string(digest).is_ok_and(|text| !text.trim().is_empty());
        for command in [&push.with_digest(digest), push, &push.with_digest(digest)] {
            let code = self.run(command)?.code;
            if code != 0 {
                return Ok(Some(code));
            }
            if written() {
                return Ok(None);
            }
        }
        Err(file_error(digest)(io::ErrorKind::UnexpectedEof.into()))
    }
}
