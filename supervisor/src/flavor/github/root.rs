//! The runner's root directory: on the volume, since it writes its state there, with links to the image's program in it.
//!
//! `Runner.Listener` takes the parent of its own directory for its root (`HostContext.GetDirectory`). .NET resolves the links of
//! a program and of its entry assembly, and of no other file (seen with actions/runner 2.336.0 on .NET 8.0.31). So these files
//! of `bin` are copies, 1.3 MB of 107, and all else is links: the pods of a node share the image's pages of it.
//!
//! The listener's program is execute-only there. A process is not dumpable if its own user cannot read its program. The job
//! then cannot read its memory, descriptors and environment (ptrace(2), "Ptrace access mode checking"). The environment still
//! has the JIT configuration. .NET programs start in this mode: they read `/proc/self/exe` and the files beside it.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use tracing::debug;

use crate::flavor::error::FlavorError;

/// The program, beneath the root.
pub(super) const LISTENER: &str = "bin/Runner.Listener";
/// The files of `bin` whose own directory .NET takes for the program's.
const COPIED: [&str; 6] = [
    "Runner.Listener",
    "Runner.Listener.dll",
    "Runner.Worker",
    "Runner.Worker.dll",
    "Runner.PluginHost",
    "Runner.PluginHost.dll",
];
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
    make(image, &root, &|target, link| symlink(target, link)).map_err(|error| {
        fault(format!(
            "cannot bring {} to {}: {error}",
            image.display(),
            root.display()
        ))
    })?;
    debug!(root = %root.display(), "the runner's program is on the volume");
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

/// symlink(2), or what stands for it in a test.
type Link<'a> = &'a dyn Fn(&Path, &Path) -> io::Result<()>;

fn make(image: &Path, root: &Path, link: Link<'_>) -> io::Result<()> {
    let bin = root.join("bin");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&bin)?;
    for entry in fs::read_dir(image)? {
        let entry = entry?;
        if entry.file_name() != "bin" {
            link_or_copy(&entry, root, link)?;
        }
    }
    for entry in fs::read_dir(image.join("bin"))? {
        let entry = entry?;
        if COPIED.iter().any(|name| entry.file_name() == *name) {
            // A link is followed: the copy is the program itself.
            copy_file(&entry.path(), &bin.join(entry.file_name()))?;
        } else {
            link_or_copy(&entry, &bin, link)?;
        }
    }
    fs::set_permissions(root.join(LISTENER), fs::Permissions::from_mode(0o111))
}

/// Brings an entry of the image to a directory: as a link, or as a copy if the volume's file system has no links.
fn link_or_copy(entry: &DirEntry, directory: &Path, link: Link<'_>) -> io::Result<()> {
    let target = directory.join(entry.file_name());
    match link(&entry.path(), &target) {
        Err(error) if has_no_links(&error) => copy(entry, &target, link),
        linked => linked,
    }
}

/// Whether symlink(2) failed because the file system has no symbolic links. `EPERM` is the manual page's; `EOPNOTSUPP` and
/// `ENOSYS` come from FUSE file systems.
fn has_no_links(error: &io::Error) -> bool {
    const REFUSALS: [Errno; 3] = [Errno::EPERM, Errno::EOPNOTSUPP, Errno::ENOSYS];
    let errno = error.raw_os_error();
    REFUSALS.iter().any(|known| errno == Some(*known as i32))
}

/// Copies a file, or a directory with all that it holds. A link is followed, because the volume has no links.
fn copy(entry: &DirEntry, target: &Path, link: Link<'_>) -> io::Result<()> {
    if !fs::metadata(entry.path())?.is_dir() {
        return copy_file(&entry.path(), target);
    }
    fs::DirBuilder::new().mode(0o700).create(target)?;
    for entry in fs::read_dir(entry.path())? {
        link_or_copy(&entry?, target, link)?;
    }
    Ok(())
}

/// Copies a file. The copy is not writable.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    // copy_file_range(2) copies in the kernel, and as a reflink within one file system.
    fs::copy(from, to)?;
    let mode = fs::metadata(from)?.permissions().mode();
    fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o555))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with an image's runner in it.
    fn image() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        fs::create_dir_all(image.join("bin/de")).unwrap();
        fs::create_dir_all(image.join("externals/node24/bin")).unwrap();
        for name in COPIED.iter().chain(&["System.dll", "de/texts.dll"]) {
            fs::write(image.join("bin").join(name), name).unwrap();
        }
        fs::write(image.join("externals/node24/bin/node"), "node").unwrap();
        fs::set_permissions(image.join(LISTENER), fs::Permissions::from_mode(0o755)).unwrap();
        (directory, image)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn programs_are_copied_and_all_else_is_linked() {
        let (directory, image) = image();
        require(&image).unwrap();
        let root = arrange(&image, directory.path().join("workspace/runner")).unwrap();

        for name in COPIED {
            let path = root.join("bin").join(name);
            assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{name}");
            assert_eq!(mode(&path) & 0o222, 0, "{name}");
        }
        assert_eq!(mode(&root.join(LISTENER)), 0o111);
        for (link, file) in [
            ("externals", "externals/node24/bin/node"),
            ("bin/System.dll", "bin/System.dll"),
            ("bin/de", "bin/de/texts.dll"),
        ] {
            assert!(root.join(link).is_symlink(), "{link}");
            assert!(root.join(file).is_file(), "{file}");
        }
        assert!(!is_configured(&root));
    }

    #[test]
    fn a_volume_without_links_gets_copies() {
        let (directory, image) = image();
        symlink("System.dll", image.join("bin/Alias.dll")).unwrap();
        let root = directory.path().join("runner");
        for (errno, has_links) in [
            (Errno::EPERM, false),
            (Errno::EOPNOTSUPP, false),
            (Errno::ENOSYS, false),
            (Errno::ENOSPC, true),
        ] {
            let made = make(&image, &root, &|_, _| Err(errno.into()));
            assert_eq!(made.is_err(), has_links, "{errno}");
            if made.is_ok() {
                for file in [
                    "externals/node24/bin/node",
                    "bin/de/texts.dll",
                    "bin/Alias.dll",
                ] {
                    assert!(fs::symlink_metadata(root.join(file)).unwrap().is_file());
                }
            }
            fs::remove_dir_all(&root).unwrap();
        }
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
