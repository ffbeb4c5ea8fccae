//! What Buildah wrote for the job: brought to where the job wants it.

use std::path::PathBuf;

use super::Session;
use crate::operation::{Input, Operation, Output, Places};
use crate::operation_dir::{Medium, OperationDir};
use crate::paths::problem;

impl Session<'_> {
    /// What Buildah wrote for the job, copied from its directory to where the job wants it.
    pub(super) fn copy_outputs(
        &self,
        operation: &Operation,
        directory: &OperationDir,
    ) -> Result<(), String> {
        for output in &operation.outputs {
            let failed = |error: std::io::Error| problem(&output.relative, &error);
            let medium = match output.place.starts_with(&self.places.disk) {
                true => Medium::Disk,
                false => Medium::Memory,
            };
            let name = output.place.file_name().unwrap_or_default();
            let name = name.to_string_lossy();
            let mut from = directory.open(medium, &name).map_err(failed)?;
            if output.unpack {
                self.unpack(output, directory, &name)?;
                continue;
            }
            let workspace = &self.builder.workspace;
            let mut to = workspace.create(&output.relative).map_err(failed)?;
            std::io::copy(&mut from, &mut to).map_err(failed)?;
        }
        Ok(())
    }

    fn unpack(&self, output: &Output, directory: &OperationDir, name: &str) -> Result<(), String> {
        let workspace = &self.builder.workspace;
        workspace
            .create_directory(&output.relative)
            .map_err(|error| problem(&output.relative, &error))?;
        let archive = PathBuf::from(directory.name()).join(name);
        match self.execute(
            &self.new_directory()?,
            &unpacking(output, archive, &self.places),
        )? {
            0 => Ok(()),
            code => Err(format!(
                "unpacking into {} ended with {code}",
                output.relative.display()
            )),
        }
    }
}

/// A file system goes into the job's directory by a process that sees that directory and the archive and nothing else of
/// the job or the builder, wherever the job swaps a directory for a symlink meanwhile. Its files become the job's, as
/// Docker's do.
fn unpacking(output: &Output, archive: PathBuf, places: &Places) -> Operation {
    let place = places.inputs.join("0");
    let arguments = [
        "--extract".to_owned(),
        "--no-same-owner".to_owned(),
        "--file".to_owned(),
        places.archive().display().to_string(),
        "--directory".to_owned(),
        place.display().to_string(),
    ];
    Operation {
        program: Some("tar"),
        storageless: true,
        arguments: arguments.into(),
        archive: Some(archive),
        inputs: vec![Input {
            relative: output.relative.clone(),
            place,
            writable: true,
            executable: false,
        }],
        ..Operation::default()
    }
}
