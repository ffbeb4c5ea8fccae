//! What is handed over to the builder: what lies outside of the directory that it shares with the job.

use std::path::PathBuf;

/// The place of a path of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The builder sees it under the same path.
    Shared,
    /// The builder sees it under this path only: the job's path has symlinks or `..` in it.
    SharedAs(PathBuf),
    /// Only the job sees it.
    Outside,
}

/// One thing that is copied into the scratch directory, or out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HandOver {
    /// A context, without what its ignore file leaves out.
    Context {
        /// The directory.
        from: PathBuf,
        /// The new directory.
        to: PathBuf,
        /// The places of the ignore file. The first that exists counts.
        ignore: Vec<PathBuf>,
    },
    /// A file that need not exist.
    IfPresent {
        /// The file.
        from: PathBuf,
        /// The new file.
        to: PathBuf,
    },
    /// An archive or a Dockerfile that becomes a context.
    Stream {
        /// Where it comes from.
        source: Source,
        /// The new directory.
        to: PathBuf,
    },
    /// A Dockerfile on a web server.
    Download {
        /// Its address.
        url: String,
        /// The new file.
        to: PathBuf,
    },
    /// A private key, or the socket of an agent, which is served at `to` as long as the command runs.
    Ssh {
        /// The key or the socket.
        from: PathBuf,
        /// The new file or socket.
        to: PathBuf,
    },
    /// The files that a build has exported.
    Exported {
        /// A directory in the scratch directory.
        from: PathBuf,
        /// The directory of the job, which need not exist.
        to: PathBuf,
    },
}

/// The source of a context that is no directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The client's standard input.
    Stdin,
    /// A web server.
    Url(String),
}
