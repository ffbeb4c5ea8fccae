//! Loads an archive, and prints what was loaded in Docker's form.

use std::path::Path;

use super::super::plan::{Command, Load, Stdout};
use super::super::reference;
use super::archive::{self, Listing};
use super::{ExecuteError, Executor, file_error};

impl Executor<'_> {
    /// Returns the exit code of the first command that failed.
    pub(super) fn load(&mut self, load: &Load) -> Result<Option<u8>, ExecuteError> {
        let archive = load.archive.as_path();
        let listing = archive::list(archive).map_err(file_error(Path::new("the archive")))?;
        let (transport, images) = match listing {
            Listing::Docker(images) => ("docker-archive", images),
            Listing::Oci(names) => ("oci-archive", vec![names]),
        };
        let several = images.len() > 1;
        for (index, names) in images.iter().enumerate() {
            let mut source = format!("{transport}:{}", archive.display());
            if several {
                source += &format!(":@{index}");
            }
            let pull = Command::new(["pull", "--quiet", &source], Stdout::Captured);
            let exited = self.run(&pull)?;
            if exited.code != 0 {
                return Ok(Some(exited.code));
            }
            let id = String::from_utf8_lossy(&exited.stdout);
            let id = id.trim().trim_start_matches("sha256:");
            // Buildah takes the names of Docker's archives, and not those that containerd writes into a layout.
            if transport == "oci-archive" && !names.is_empty() {
                let tag = ["tag", id]
                    .into_iter()
                    .chain(names.iter().map(String::as_str));
                let code = self.run(&Command::new(tag, Stdout::Captured))?.code;
                if code != 0 {
                    return Ok(Some(code));
                }
            }
            self.print(report(id, names, load.complete_names).as_bytes())?;
        }
        Ok(None)
    }
}

/// Returns Docker's lines: one for each name, or one with the ID.
fn report(id: &str, names: &[String], complete: bool) -> String {
    if names.is_empty() {
        return format!("Loaded image ID: sha256:{id}\n");
    }
    let shown = names.iter().map(|name| {
        if complete {
            reference::local(name)
        } else {
            reference::familiar(&reference::full(name)).to_owned()
        }
    });
    shown
        .map(|name| format!("Loaded image: {name}\n"))
        .collect()
}
