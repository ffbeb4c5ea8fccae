//! What one call of Buildah finds: files, directories of the job, and a place for what it writes.
//!
//! The room is a memory file system in a mount namespace of its own. The builder writes the plan, the sandbox makes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::paths::Workspace;

/// All that the sandbox is told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Room {
    /// Where the room is.
    pub path: PathBuf,
    /// The directory that job and builder share.
    pub workspace: PathBuf,
    /// Directories that Buildah does not see.
    pub hidden: Vec<PathBuf>,
    /// Small files.
    pub files: Vec<Content>,
    /// Files and directories of the job.
    pub binds: Vec<Place>,
    /// Small files that Buildah writes, and where they belong in the workspace.
    pub outputs: Vec<Place>,
    /// Buildah's command line.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Whether the authfile is given back.
    pub returns_authfile: bool,
}

/// A file of the room.
#[derive(Serialize, Deserialize)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// A name in the room for a path relative to the workspace.
#[derive(Debug, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Where it is in the workspace.
    pub path: PathBuf,
}

/// How a call ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// The exit code.
    pub code: u8,
    /// What went wrong before or after Buildah.
    pub problem: Option<String>,
    /// The authfile, where it was to be given back.
    pub authfile: Option<Vec<u8>>,
}

/// The file of the room with credentials.
pub const AUTHFILE: &str = "auth.json";
/// The file of the room that becomes standard input.
pub const STDIN: &str = "stdin";

impl Room {
    /// A path in the room.
    #[must_use]
    pub fn at(&self, name: &str) -> String {
        self.path.join(name).to_string_lossy().into_owned()
    }

    /// Adds a file; gives its path.
    pub fn file(&mut self, name: &str, bytes: impl Into<Vec<u8>>) -> String {
        let bytes = bytes.into();
        let name = name.to_owned();
        let path = self.at(&name);
        self.files.push(Content { name, bytes });
        path
    }

    /// Adds a path of the job; gives the path that Buildah sees.
    pub fn bind(&mut self, path: PathBuf) -> String {
        let name = format!("job-{}", self.binds.len());
        let seen = self.at(&name);
        self.binds.push(Place { name, path });
        seen
    }

    /// Adds a small file that Buildah writes; gives the path that Buildah sees.
    pub fn output(&mut self, path: PathBuf) -> String {
        let name = format!("out-{}", self.outputs.len());
        let seen = self.at(&name);
        self.outputs.push(Place { name, path });
        seen
    }

    /// Takes what Buildah wrote to where it belongs. What it did not write, it did not write.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn deliver(&self, workspace: &Workspace) -> Result<(), String> {
        for place in &self.outputs {
            let Ok(content) = std::fs::read(self.path.join(&place.name)) else {
                continue;
            };
            let written = workspace
                .create(&place.path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, &content));
            written.map_err(|error| super::paths::problem(&place.path, &error))?;
        }
        Ok(())
    }
}
