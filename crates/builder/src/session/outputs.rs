//! Copies the files that an operation wrote to the job's own paths.

use std::path::PathBuf;

use super::Session;
use crate::error::OperationError;
use crate::operation::{Grants, Input, Operation, Output, Program, SandboxPaths};
use crate::operation_dir::OperationDir;
use crate::paths::PathError;

impl Session<'_> {
    /// Copies or unpacks each output.
    pub(super) fn copy_outputs(
        &self,
        operation: &Operation,
        directory: &OperationDir,
    ) -> Result<(), OperationError> {
        let workspace = &self.builder.workspace;
        for output in &operation.outputs {
            let failed = |error| PathError::new(&output.relative, error);
            let mut from = directory
                .open(output.medium, &output.name)
                .map_err(failed)?;
            if output.unpack {
                self.unpack(output, directory)?;
                continue;
            }
            let mut to = workspace.create(&output.relative).map_err(failed)?;
            std::io::copy(&mut from, &mut to).map_err(failed)?;
        }
        Ok(())
    }

    fn unpack(&self, output: &Output, directory: &OperationDir) -> Result<(), OperationError> {
        let workspace = &self.builder.workspace;
        let created = workspace.create_directory(&output.relative);
        created.map_err(|error| PathError::new(&output.relative, error))?;
        let archive = PathBuf::from(directory.name()).join(&output.name);
        let operation = unpacking(output, archive, &self.paths);
        match self.execute(&self.new_directory()?, &operation)? {
            0 => Ok(()),
            code => Err(OperationError::Unpack {
                path: output.relative.display().to_string(),
                code,
            }),
        }
    }
}

/// Plans to unpack an archive into the job's directory. The process sees that directory and the archive, and no other file
/// of the job or the builder. So it does not matter which directory the job replaces by a symlink meanwhile. The unpacked
/// files belong to the job, as with Docker.
fn unpacking(output: &Output, archive: PathBuf, paths: &SandboxPaths) -> Operation {
    let mount_point = paths.inputs.join("0");
    let arguments = [
        "--extract".to_owned(),
        "--no-same-owner".to_owned(),
        "--file".to_owned(),
        paths.archive().display().to_string(),
        "--directory".to_owned(),
        mount_point.display().to_string(),
    ];
    Operation {
        program: Program::Other {
            name: "tar",
            arguments: arguments.into(),
        },
        grants: Grants {
            storage: false,
            ..Grants::default()
        },
        archive: Some(archive),
        inputs: vec![Input {
            relative: output.relative.clone(),
            mount_point,
            writable: true,
            executable: false,
            view: None,
        }],
        ..Operation::default()
    }
}
