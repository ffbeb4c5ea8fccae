//! Carries out [`HandOver`]: copies, downloads and unpacks in the job, with the job's rights and network.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dockerfile::{IgnoreError, IgnorePatterns};

use super::super::handover::{HandOver, Source};
use super::files::{copy_in, create_private};
use super::{archive, copy_tree};

/// The largest ignore file, in bytes, as in the builder.
const MAX_IGNORE_FILE: u64 = 4 << 20;

/// Why something was not handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandOverError {
    /// A file could not be read or written. The error names it.
    #[error("cannot copy {} for the builder: {source}", path.display())]
    Copy {
        /// What is copied.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The ignore file is malformed.
    #[error("{}, {source}", path.display())]
    Ignore {
        /// The ignore file.
        path: PathBuf,
        /// What is wrong.
        source: IgnoreError,
    },
    /// The ignore file is too large.
    #[error("{} has more than {} MiB", .0.display(), MAX_IGNORE_FILE >> 20)]
    IgnoreTooLarge(PathBuf),
    /// A program could not be started.
    #[error("{program}: {source}; the client needs it to {purpose}")]
    Start {
        /// Its name.
        program: &'static str,
        /// What it is for.
        purpose: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// curl failed. It has printed its own error.
    #[error("{0} could not be fetched; download it beforehand, and build from the file")]
    Download(String),
    /// tar failed. It has printed its own error.
    #[error("the archive of the context could not be unpacked")]
    Unpack,
}

/// Copies, downloads or unpacks one thing.
pub(super) fn carry_out(what: &HandOver) -> Result<(), HandOverError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| HandOverError::Copy { path, source }
    };
    match what {
        HandOver::Context { from, to, ignore } => {
            let patterns = patterns(ignore)?;
            copy_tree::copy(from, to, &patterns).map_err(failed(from))
        }
        HandOver::IfPresent { from, .. } if !from.exists() => Ok(()),
        HandOver::IfPresent { from, to } => copy_in(from, to).map_err(failed(from)),
        HandOver::Download { url, to } => download(url, to),
        HandOver::Stream { source, to } => stream(source, to),
        HandOver::Ssh { from, to } => {
            let status = fs::metadata(from).map_err(failed(from))?;
            if status.file_type().is_socket() {
                serve_agent(from, to).map_err(failed(from))
            } else {
                copy_in(from, to).map_err(failed(from))
            }
        }
        HandOver::Exported { from, to } => copy_tree::merge(from, to).map_err(failed(to)),
    }
}

/// Reads the first ignore file that exists.
fn patterns(places: &[PathBuf]) -> Result<IgnorePatterns, HandOverError> {
    let Some((path, file)) = places
        .iter()
        .find_map(|path| Some((path, File::open(path).ok()?)))
    else {
        return Ok(IgnorePatterns::default());
    };
    let mut content = Vec::new();
    let read = file.take(MAX_IGNORE_FILE + 1).read_to_end(&mut content);
    read.map_err(|source| HandOverError::Copy {
        path: path.clone(),
        source,
    })?;
    if content.len() as u64 > MAX_IGNORE_FILE {
        return Err(HandOverError::IgnoreTooLarge(path.clone()));
    }
    IgnorePatterns::parse(&content).map_err(|source| HandOverError::Ignore {
        path: path.clone(),
        source,
    })
}

/// Fetches a file with curl, so that the supervisor needs no TLS.
fn download(url: &str, to: &Path) -> Result<(), HandOverError> {
    let mut command = Command::new("curl");
    command
        .args(["--fail", "--silent", "--show-error", "--location"])
        .arg("--output")
        .arg(to)
        .args(["--", url]);
    if run(&mut command, "curl", "fetch a context or a Dockerfile")? {
        return Ok(());
    }
    Err(HandOverError::Download(url.to_owned()))
}

/// Runs a program. Its standard output becomes standard error, because the build's own belongs to the image's ID.
fn run(
    command: &mut Command,
    program: &'static str,
    purpose: &'static str,
) -> Result<bool, HandOverError> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.map_err(|source| HandOverError::Start {
        program,
        purpose,
        source,
    })?;
    Ok(status.success())
}

/// Makes a context of an archive. Anything else is a Dockerfile, whose context is empty.
fn stream(source: &Source, to: &Path) -> Result<(), HandOverError> {
    let failed = |source| HandOverError::Copy {
        path: to.to_owned(),
        source,
    };
    let saved = to.with_extension("received");
    match source {
        Source::Stdin => create_private(&saved)
            .and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file))
            .map(drop)
            .map_err(failed)?,
        Source::Url(url) => download(url, &saved)?,
    }
    fs::create_dir(to).map_err(failed)?;
    if !archive::is_tar(&saved).map_err(failed)? {
        fs::rename(&saved, to.join("Dockerfile")).map_err(failed)?;
        return fs::write(to.join("Dockerfile.dockerignore"), "*\n").map_err(failed);
    }
    // GNU tar leaves out absolute names' slashes and refuses `..`. It follows no symlink that the archive made.
    let mut command = Command::new("tar");
    command
        .args(["--extract", "--preserve-permissions", "--no-same-owner"])
        .arg("--file")
        .arg(&saved)
        .arg("--directory")
        .arg(to);
    if !run(&mut command, "tar", "unpack the archive of a context")? {
        return Err(HandOverError::Unpack);
    }
    fs::remove_file(&saved).map_err(failed)
}

/// Serves an agent's socket at another path until this process ends: the builder sees no socket elsewhere.
fn serve_agent(agent: &Path, at: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(at)?;
    let agent = agent.to_owned();
    std::thread::Builder::new().spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(server) = UnixStream::connect(&agent) {
                let _ = relay(client, server);
            }
        }
    })?;
    Ok(())
}

/// Copies both ways, in threads of their own.
fn relay(client: UnixStream, server: UnixStream) -> io::Result<()> {
    let pairs = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (mut from, mut to) in pairs {
        std::thread::Builder::new().spawn(move || {
            let _ = io::copy(&mut from, &mut to).and_then(|_| to.flush());
            let _ = to.shutdown(std::net::Shutdown::Write);
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(directory: &Path, arguments: &[&str]) -> PathBuf {
        let to = directory.join("archive");
        let mut command = Command::new("tar");
        command
            .arg("--create")
            .arg("--file")
            .arg(&to)
            .args(arguments);
        assert!(command.current_dir(directory).status().unwrap().success());
        to
    }

    fn unpacked(archive: &Path, to: &Path) -> Result<(), HandOverError> {
        let url = format!("file://{}", archive.display());
        stream(&Source::Url(url), to)
    }

    #[test]
    fn archives_become_contexts_and_text_a_dockerfile() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("d")).unwrap();
        fs::write(place.path().join("d/f"), "content").unwrap();
        for (name, flags) in [("plain", vec!["d"]), ("gz", vec!["--gzip", "d"])] {
            let archive = tar(place.path(), &flags);
            let to = place.path().join(name);
            unpacked(&archive, &to).unwrap();
            assert_eq!(fs::read(to.join("d/f")).unwrap(), b"content", "{name}");
        }
        let text = place.path().join("text");
        fs::write(&text, "FROM scratch\n").unwrap();
        let to = place.path().join("context");
        unpacked(&text, &to).unwrap();
        assert_eq!(fs::read(to.join("Dockerfile")).unwrap(), b"FROM scratch\n");
        assert_eq!(
            fs::read(to.join("Dockerfile.dockerignore")).unwrap(),
            b"*\n"
        );
    }

    #[test]
    fn an_archive_writes_nothing_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("in")).unwrap();
        let file = place.path().join("evil");
        fs::write(&file, "evil").unwrap();
        let inside = place.path().join("in");
        let archive = tar(&inside, &["--absolute-names", "../evil"]);
        fs::remove_file(&file).unwrap();
        let error = unpacked(&archive, &place.path().join("up")).unwrap_err();
        assert!(matches!(error, HandOverError::Unpack));
        let absolute = file.to_str().unwrap();
        fs::write(&file, "evil").unwrap();
        let archive = tar(&inside, &["--absolute-names", absolute]);
        fs::remove_file(&file).unwrap();
        let to = place.path().join("absolute");
        unpacked(&archive, &to).unwrap();
        assert!(!file.exists() && to.join(absolute.trim_start_matches('/')).exists());
    }

    #[test]
    fn an_agent_is_served_at_another_path() {
        let place = tempfile::tempdir().unwrap();
        let (agent, at) = (place.path().join("agent"), place.path().join("at"));
        let listener = UnixListener::bind(&agent).unwrap();
        carry_out(&HandOver::Ssh {
            from: agent,
            to: at.clone(),
        })
        .unwrap();
        let mut client = UnixStream::connect(&at).unwrap();
        client.write_all(b"ask").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        server.write_all(b"answer").unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((text.as_str(), answer.as_str()), ("ask", "answer"));
    }
}
