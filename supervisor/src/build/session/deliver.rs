//! What Buildah wrote for the job: brought to where the job wants it.

use super::Session;
use crate::build::operation::{Input, Operation, Output, Places};
use crate::build::paths::problem;

impl Session<'_> {
    /// What Buildah wrote for the job, copied to where the job wants it.
    pub(super) fn deliver(&self, operation: &Operation) -> Result<(), String> {
        for output in &operation.outputs {
            let name = output.place.file_name().unwrap_or_default();
            let directory = if output.place.starts_with(&self.places.disk) {
                &self.places.disk
            } else {
                &self.memory
            };
            let failed = |error: std::io::Error| problem(&output.relative, &error);
            if output.unpack {
                self.builder
                    .workspace
                    .create_directory(&output.relative)
                    .map_err(failed)?;
                match self.perform(&unpack(output, &self.places))? {
                    0 => continue,
                    code => {
                        return Err(format!(
                            "unpacking into {} ended with {code}",
                            output.relative.display()
                        ));
                    }
                }
            }
            let mut from = std::fs::File::open(directory.join(name)).map_err(failed)?;
            let mut to = self
                .builder
                .workspace
                .create(&output.relative)
                .map_err(failed)?;
            std::io::copy(&mut from, &mut to).map_err(failed)?;
        }
        Ok(())
    }
}

/// A file system goes into the job's directory by a process that sees nothing else of the job, wherever the job swaps a
/// directory for a symlink meanwhile. Its files become the job's, as Docker's do.
fn unpack(output: &Output, places: &Places) -> Operation {
    let place = places.inputs.join("0");
    let arguments = ["--extract", "--no-same-owner", "--file"]
        .map(str::to_owned)
        .into_iter();
    let paths = [
        output.place.display().to_string(),
        "--directory".to_owned(),
        place.display().to_string(),
    ];
    Operation {
        program: Some("tar"),
        arguments: arguments.chain(paths).collect(),
        inputs: vec![Input {
            relative: output.relative.clone(),
            place,
            writable: true,
        }],
        ..Operation::default()
    }
}
