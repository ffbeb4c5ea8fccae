//! The files and paths that an operation gets, collected while its command line is planned.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::operation::{Input, Operation, Output, PrivateFile, SandboxPaths, View};
use crate::operation_dir::Medium;
use crate::paths::{PathError, Workspace};
use crate::rejected::{MAX_FILES, Rejected};

/// The files and paths of one operation so far.
#[derive(Debug)]
pub(super) struct Resources<'a> {
    workspace: &'a Workspace,
    paths: &'a SandboxPaths,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    files: Vec<PrivateFile>,
}

impl<'a> Resources<'a> {
    pub(super) fn new(workspace: &'a Workspace, paths: &'a SandboxPaths) -> Self {
        Self {
            workspace,
            paths,
            inputs: Vec::new(),
            outputs: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Copies a small file of the job now, so that the job cannot change it later. Returns the path of the copy.
    pub(super) fn copy_file(&mut self, name: &str, relative: &Path) -> Result<String, Rejected> {
        let content = self.workspace.read(relative);
        let content = content.map_err(|error| PathError::new(relative, error))?;
        self.add_file(name, content)
    }

    /// Adds a private file, and returns its path.
    pub(super) fn add_file(&mut self, name: &str, content: Vec<u8>) -> Result<String, Rejected> {
        let name = self.add_named(name, content)?;
        Ok(self.paths.memory.join(name).display().to_string())
    }

    /// Adds a private file, and returns its name. These files lie in memory, which is bounded.
    pub(super) fn add_named(&mut self, name: &str, content: Vec<u8>) -> Result<String, Rejected> {
        let before: usize = self.files.iter().map(|file| file.content.len()).sum();
        if before + content.len() > MAX_FILES {
            return Err(Rejected::FilesTooLarge);
        }
        let name = format!("{name}-{}", self.files.len());
        self.files.push(PrivateFile {
            name: name.clone(),
            content: Zeroizing::new(content),
        });
        Ok(name)
    }

    /// Adds a path of the job that Buildah reads, and returns its mount point. The job cannot replace it there.
    pub(super) fn add_input(&mut self, relative: PathBuf) -> String {
        let mount_point = self.next_mount_point();
        self.mount(relative, mount_point, None)
    }

    /// Adds a directory of the job that RUN steps may mount, and run programs from.
    pub(super) fn add_tree(&mut self, relative: PathBuf, view: View) -> String {
        let mount_point = self.next_mount_point();
        self.mount(relative, mount_point, Some(view))
    }

    /// Adds such a directory at the job's own path, so that Buildah's messages name it as the job does.
    pub(super) fn add_tree_in_workspace(&mut self, relative: PathBuf, view: View) -> String {
        let mount_point = self.paths.workspace.join(&relative);
        self.mount(relative, mount_point, Some(view))
    }

    fn next_mount_point(&self) -> PathBuf {
        self.paths.inputs.join(self.inputs.len().to_string())
    }

    fn mount(&mut self, relative: PathBuf, mount_point: PathBuf, view: Option<View>) -> String {
        let text = mount_point.display().to_string();
        self.inputs.push(Input {
            relative,
            mount_point,
            writable: false,
            executable: view.is_some(),
            view,
        });
        text
    }

    /// Adds a file that Buildah writes for the job, and returns its path. Large ones belong on the volume.
    pub(super) fn add_output(&mut self, relative: PathBuf, medium: Medium) -> String {
        self.push_output(relative, medium, false)
    }

    /// Adds an archive that Buildah writes, and that is unpacked into the job's directory.
    pub(super) fn add_archive(&mut self, relative: PathBuf) -> String {
        self.push_output(relative, Medium::Disk, true)
    }

    fn push_output(&mut self, relative: PathBuf, medium: Medium, unpack: bool) -> String {
        let directory = match medium {
            Medium::Memory => &self.paths.memory,
            Medium::Disk => &self.paths.disk,
        };
        let name = format!("out-{}", self.outputs.len());
        let path = directory.join(&name).display().to_string();
        self.outputs.push(Output {
            name,
            medium,
            relative,
            unpack,
        });
        path
    }

    /// Adds the collected files and paths to an operation.
    pub(super) fn give_to(self, operation: Operation) -> Operation {
        Operation {
            inputs: self.inputs,
            outputs: self.outputs,
            files: self.files,
            ..operation
        }
    }
}
