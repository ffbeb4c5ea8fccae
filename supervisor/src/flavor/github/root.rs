//! The runner's root directory: on the volume, since it writes its state there, with the image's program in it.
//!
//! `Runner.Listener` takes the parent of its own real path for its root (`HostContext.GetDirectory`), and .NET resolves
//! links on the way, so `bin` has to be a copy. `externals` (node, four fifths of all bytes) is only read, so a link is enough.
//!
//! The listener's program is execute-only there. A process is not dumpable if its own user cannot read its program. The job
//! then cannot read its memory, descriptors and environment (ptrace(2), "Ptrace access mode checking"). The environment still
//! has the JIT configuration. .NET programs start in this mode: they read `/proc/self/exe` and the files beside it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use tracing::debug;

use crate::flavor::error::FlavorError;

/// The program, beneath the root.
pub(super) const LISTENER: &str = "bin/Runner.Listener";
/// The file with the runner's registration.
const SETTINGS: &str = ".runner";

/// Checks that `image`, the directory of the image's runner, has the program.
pub(super) fn require(image: &Path) -> Result<(), FlavorError> {
    let program = image.join(LISTENER);
    access(&program, AccessFlags::X_OK).map_err(|errno| {
        fault(format!(
            "{}: {errno}; take the image runner-github, or set github.directory to where actions/runner is",
            program.display()
        ))
    })
}

/// Makes the root directory from the image's runner and returns its path.
pub(super) fn arrange(image: &Path, root: PathBuf) -> Result<PathBuf, FlavorError> {
    let made = make(image, &root);
    let copied = made.map_err(|error| {
        fault(format!(
            "cannot copy {} to {}: {error}",
            image.display(),
            root.display()
        ))
    })?;
    debug!(files = copied, root = %root.display(), "the runner's program is on the volume");
    Ok(root)
}

/// Whether the runner has registered itself.
pub(super) fn is_configured(root: &Path) -> bool {
    root.join(SETTINGS).exists()
}

fn fault(problem: String) -> FlavorError {
    FlavorError::Setting {
        flavor: "github",
        problem,
    }
}

fn make(image: &Path, root: &Path) -> io::Result<u64> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)?;
    for entry in fs::read_dir(image)? {
        let entry = entry?;
        if entry.file_name() != "bin" {
            symlink(entry.path(), root.join(entry.file_name()))?;
        }
    }
    let files = copy(&image.join("bin"), &root.join("bin"))?;
    fs::set_permissions(root.join(LISTENER), fs::Permissions::from_mode(0o111))?;
    Ok(files)
}

/// Copies a directory with links and modes, and returns the number of files. The copies are not writable.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    fs::DirBuilder::new().mode(0o700).create(to)?;
    let mut files = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files += copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
            files += 1;
        } else {
            // copy_file_range(2) copies in the kernel, and as a reflink within one file system.
            fs::copy(entry.path(), target)?;
            files += 1;
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_the_program_and_links_the_rest_of_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        fs::create_dir_all(image.join("bin/de")).unwrap();
        fs::create_dir_all(image.join("externals/node24/bin")).unwrap();
        fs::write(image.join(LISTENER), "program").unwrap();
        fs::set_permissions(image.join(LISTENER), fs::Permissions::from_mode(0o555)).unwrap();
        fs::write(image.join("bin/de/texts.dll"), "texts").unwrap();

        require(&image).unwrap();
        let root = arrange(&image, directory.path().join("workspace/runner")).unwrap();

        let program = root.join(LISTENER);
        assert_eq!(
            program.canonicalize().unwrap(),
            root.canonicalize().unwrap().join(LISTENER)
        );
        assert_eq!(
            fs::metadata(&program).unwrap().permissions().mode() & 0o777,
            0o111
        );
        assert!(root.join("bin/de/texts.dll").is_file());
        assert!(root.join("externals").is_symlink() && root.join("externals/node24/bin").is_dir());
        assert!(!is_configured(&root));
    }

    #[test]
    fn an_image_without_the_runner_is_named_with_its_remedy() {
        let text = require(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(
            text.contains("/nowhere/bin/Runner.Listener") && text.contains("github.directory"),
            "{text}"
        );
    }
}
