//! A plan: the steps that a command line becomes. Each is a command of Buildah or a small action of the client.

use std::path::{Path, PathBuf};

use secret::Secret;

use super::digests::Remembered;
use super::git::GitSource;
use super::handover::HandOver;
use super::output::Output;

/// The source of a command's standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// The client's own standard input.
    Inherited,
    /// This value.
    Secret(Secret),
}

/// The destination of a command's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    /// The client's own standard output.
    Inherited,
    /// Memory, for the text that the client prints next.
    Captured,
    /// As `Captured`. Standard error is dropped.
    CapturedQuietly,
    /// Nothing. Standard error is dropped too.
    Dropped,
}

/// Which of the job's variables a command line needs in the builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variables {
    /// The translation has read the flags and has put the variables' values into the arguments. Only the variables that every
    /// build gets are missing, such as the proxies.
    Resolved,
    /// The arguments are the user's own, and the translation has not read them. They may name variables.
    Unread,
}

/// One command line of Buildah.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The verb and its arguments, without the program's name.
    pub arguments: Vec<String>,
    /// The source of standard input.
    pub stdin: Stdin,
    /// The destination of standard output.
    pub stdout: Stdout,
    /// The variables that the arguments may name.
    pub variables: Variables,
}

/// One step. The first step that fails ends the plan with its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Runs Buildah.
    Run(Command),
    /// Runs Buildah and ignores its exit code, unless a signal ended it.
    Try(Command),
    /// Chooses the next steps by the exit code of a command.
    If {
        /// The command.
        test: Command,
        /// The steps after exit code 0.
        then: Vec<Step>,
        /// The steps after any other exit code.
        otherwise: Vec<Step>,
    },
    /// Pushes a list of images and writes its digest. With `--digestfile`, Buildah 1.39 loses the error of a failed push and
    /// leaves the file empty. The push is then repeated without it, and prints the reason.
    PushList {
        /// The push, without `--digestfile`.
        push: Command,
        /// The file for the digest.
        digest: PathBuf,
    },
    /// Gives an image the ID of a container, and prints it.
    CreateContainer {
        /// The image.
        image: String,
        /// Another name.
        name: Option<String>,
    },
    /// Copies files of a container's image.
    CopyFiles(CopyOfFiles),
    /// Removes containers of `docker create`.
    RemoveContainers {
        /// Names or IDs.
        names: Vec<String>,
        /// Whether a missing container is no error.
        force: bool,
    },
    /// Prints what a registry has under a name.
    InspectRegistry(RegistryInspect),
    /// Pushes all tags of a repository in Buildah's storage.
    PushAll {
        /// The repository as the user wrote it.
        repository: String,
        /// The push of each.
        push: Push,
    },
    /// Runs Buildah on the image whose ID a file has: the ID takes the place of the last argument but one.
    RunOnId {
        /// The file with the ID.
        iid: PathBuf,
        /// The command.
        command: Command,
    },
    /// Writes one archive of Docker's form from archives of Buildah's.
    Save {
        /// The images.
        images: Vec<SavedImage>,
        /// The target. `None` is standard output.
        to: Option<PathBuf>,
    },
    /// Unpacks an OCI layout into a directory.
    Unpack {
        /// The archive in the scratch directory.
        from: PathBuf,
        /// The directory.
        to: PathBuf,
    },
    /// Loads the images of an archive, and prints their names.
    Load(Load),
    /// Makes a copy of a file of the job in the scratch directory, because the builder may not see the file.
    CopyIn {
        /// The file, as the user wrote it.
        from: PathBuf,
        /// The new file in the scratch directory.
        to: PathBuf,
        /// What names the file, for the error: `docker load --input`.
        what: String,
    },
    /// Keeps the digest that a registry gave to an image.
    Remember(Remembered),
    /// Prints a line on standard error.
    Notice(String),
    /// Ends the plan with this exit code.
    Exit(u8),
    /// Writes a file of mode 0600 in the scratch directory.
    WriteSecret {
        /// The file.
        path: PathBuf,
        /// Its content.
        content: Secret,
    },
    /// Copies the client's standard input into a file.
    SaveStdin {
        /// The file.
        path: PathBuf,
    },
    /// Fetches a Git repository in the job, with the job's own network and credentials.
    Fetch {
        /// The repository.
        source: GitSource,
        /// The new directory.
        directory: PathBuf,
    },
    /// Hands over what the job alone can read, or what it alone can write.
    HandOver(HandOver),
    /// Copies a file that the builder wrote to the place that the job requested.
    CopyOut {
        /// The file in the scratch directory.
        from: PathBuf,
        /// The target. `None` is standard output.
        to: Option<PathBuf>,
    },
    /// Prints a text of the client's own.
    Print {
        /// The text.
        output: Output,
        /// The file for it. `None` is standard output.
        to: Option<PathBuf>,
    },
}

/// An archive of Buildah's with one image, and the names that the image gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedImage {
    /// The file in the scratch directory.
    pub(crate) archive: PathBuf,
    /// The names as Docker prints them.
    pub(crate) names: Vec<String>,
}

/// A copy of files of an image to the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyOfFiles {
    /// The name or the ID of the container.
    pub(crate) container: String,
    /// The path in the image.
    pub(crate) path: String,
    /// The target, or `-` for an archive on standard output.
    pub(crate) to: String,
    /// A new directory in the scratch directory.
    pub(crate) directory: PathBuf,
}

/// A manifest or a list of a registry that is to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryInspect {
    /// The complete name.
    pub(crate) name: String,
    /// The flag for plain HTTP.
    pub(crate) tls: Option<String>,
    pub(crate) form: RegistryForm,
}

/// The form of [`RegistryInspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RegistryForm {
    /// The registry's bytes.
    Raw,
    /// Go's template.
    Format(String),
    /// buildx's text.
    Text,
}

/// The options of `docker push`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    /// Flags of Buildah.
    pub(crate) flags: Vec<String>,
    /// Whether only the name is printed.
    pub(crate) quiet: bool,
    /// The file for the digest.
    pub(crate) digest: PathBuf,
}

/// A load of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load {
    /// The archive in the scratch directory.
    pub(crate) archive: PathBuf,
    /// Whether names are printed complete, as Podman does.
    pub(crate) complete_names: bool,
}

/// The result of a translation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Lines for standard error, before the first step: the flags that are left out, with the reason.
    pub(crate) notices: Vec<String>,
    /// The steps, in order.
    pub(crate) steps: Vec<Step>,
}

impl Command {
    /// Returns a command with the client's standard input. Its variables are resolved.
    pub(super) fn new<T: Into<String>>(
        arguments: impl IntoIterator<Item = T>,
        stdout: Stdout,
    ) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            stdin: Stdin::Inherited,
            stdout,
            variables: Variables::Resolved,
        }
    }

    /// Returns the push with `--digestfile`, which has its place before the positional arguments.
    pub(super) fn with_digest(&self, file: &Path) -> Self {
        let mut command = self.clone();
        let verb = command.arguments.iter().position(|word| word == "push");
        let flag = format!("--digestfile={}", file.display());
        command
            .arguments
            .insert(verb.map_or(0, |verb| verb + 1), flag);
        command
    }
}

impl Step {
    /// Returns `buildah manifest push --all` with these flags.
    pub(super) fn push_list(
        flags: &[String],
        list: &str,
        target: &str,
        digest: &Path,
        stdout: Stdout,
    ) -> Self {
        let line = ["manifest", "push", "--all"].map(str::to_owned).into_iter();
        let line = line.chain(flags.iter().cloned());
        Self::PushList {
            push: Command::new(line.chain([list.to_owned(), target.to_owned()]), stdout),
            digest: digest.to_owned(),
        }
    }
}
