//! A builder in a temporary directory, in which a function plays the operations: no sandbox, no root, no Buildah.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use super::build_memory::BuildMemory;
use super::credentials::Credentials;
use super::error::OperationError;
use super::facts::Facts;
use super::isolation::{IsolationChoice, ProbeError};
use super::operation_dir::{Medium, OperationDirs, PARENT};
use super::paths::Workspace;
use super::protocol::{Hello, Kind, MAJOR, MINOR, read, write};
use super::semaphore::Semaphore;
use super::session;
use super::settings::{Settings, Storage};
use super::state::{Builder, Execution};

/// The builder has credentials for registry.example.
const CREDENTIALS: &str = r#"{"auths":{"registry.example":{"auth":"YnVpbGRlcg=="}}}"#;
/// What each operation prints.
pub(crate) const OUTPUT: &[u8] = b"played\n";
/// The exit code of an operation whose command line contains `fail`.
pub(crate) const FAILED: u8 = 3;
/// A client that gets no frame for so long fails its test, and does not block it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A frame of the builder: its kind and its payload as text.
pub(crate) type Frame = (Kind, String);

/// A builder with its directories.
pub(crate) struct Fixture {
    directory: tempfile::TempDir,
    pub(crate) builder: Arc<Builder>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Creates a builder with changed settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["workspace", "runtime", "volume"] {
            fs::create_dir(path(name)).unwrap();
        }
        let mut settings = Settings {
            socket: path("socket"),
            volume: path("volume"),
            workspace: path("workspace"),
            also_wipe: Vec::new(),
            runtime_directory: path("runtime"),
            secrets_directory: path("secrets"),
            client_uid: nix::unistd::getuid().as_raw(),
            parallel: 1,
            cache: None,
            cache_write: false,
            push_allow: Vec::new(),
            insecure_registries: Vec::new(),
            termination_grace_period: Duration::from_secs(30),
            wipe_reserve: Duration::from_secs(10),
            wipe_budget: Duration::from_secs(600),
            memory: None,
            storage: Storage {
                driver: "vfs",
                mount_program: false,
                graph_root: path("volume").join("storage"),
                temporary: path("volume").join("tmp"),
                environment: Vec::new(),
            },
        };
        change(&mut settings);
        let builder = Builder {
            workspace: Workspace::open(&settings.workspace).unwrap(),
            credentials: Credentials::of_builder(CREDENTIALS).unwrap(),
            children: Arc::default(),
            environment: Vec::new(),
            permits: Semaphore::new(settings.parallel),
            operation_dirs: OperationDirs::prepare(&path("runtime"), &path("volume")).unwrap(),
            clients: AtomicUsize::new(0),
            memory: BuildMemory::default(),
            facts: Facts::default(),
            isolation: IsolationChoice::new(Err(ProbeError::Failed("masked".to_owned()))),
            probe: |_, _| Err(ProbeError::Failed("not probed".to_owned())),
            execute: play,
            settings,
        };
        Self {
            directory,
            builder: Arc::new(builder),
        }
    }

    /// Returns the path of a file beneath the fixture's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the job.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path("workspace").join(name), content).unwrap();
    }

    /// Returns the command lines of the operations so far.
    pub(crate) fn executed(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("volume/log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Returns the names of the operations' directories that are still there.
    pub(crate) fn operation_dirs(&self) -> Vec<PathBuf> {
        let parents = ["runtime", "volume"].map(|side| self.path(side).join(PARENT));
        let entries = parents
            .iter()
            .flat_map(|parent| fs::read_dir(parent).unwrap());
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Returns the greeting of a command line in the workspace.
    pub(crate) fn hello(&self, line: &str) -> Hello {
        Hello {
            version: (MAJOR, MINOR),
            arguments: line.split(' ').map(str::to_owned).collect(),
            directory: self.path("workspace").display().to_string(),
            environment: Default::default(),
            auths: std::collections::BTreeMap::new(),
            terminal: None,
        }
    }

    /// Starts a session with a client that has sent nothing yet.
    pub(crate) fn connect(&self) -> Client {
        let (stream, server) = UnixStream::pair().unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let builder = Arc::clone(&self.builder);
        let session = std::thread::spawn(move || session::serve(server, &builder));
        Client { stream, session }
    }

    /// Starts a session with a client that has sent a command line.
    pub(crate) fn request(&self, line: &str) -> Client {
        let client = self.connect();
        let hello = serde_json::to_vec(&self.hello(line)).unwrap();
        client.send(Kind::Hello, &hello);
        client
    }

    /// Runs a whole session, and returns all frames of the builder.
    pub(crate) fn serve(&self, line: &str) -> Vec<Frame> {
        self.request(line).rest()
    }
}

/// A client, and the thread that serves it.
pub(crate) struct Client {
    stream: UnixStream,
    session: JoinHandle<()>,
}

impl Client {
    pub(crate) fn send(&self, kind: Kind, payload: &[u8]) {
        write(&mut &self.stream, kind, payload).unwrap();
    }

    /// Waits for the next frame. `None` if the builder has closed the connection.
    pub(crate) fn next(&self) -> Option<Frame> {
        next_frame(&self.stream)
    }

    /// Returns all further frames, and waits for the end of the session.
    pub(crate) fn rest(self) -> Vec<Frame> {
        let frames = std::iter::from_fn(|| self.next()).collect();
        self.session.join().unwrap();
        frames
    }
}

pub(crate) fn next_frame(mut stream: &UnixStream) -> Option<Frame> {
    let mut payload = Vec::new();
    let kind = read(&mut stream, &mut payload).unwrap()?;
    let text = match kind {
        Kind::Exit => payload[0].to_string(),
        _ => String::from_utf8(payload).unwrap(),
    };
    Some((kind, text))
}

/// Returns the frame with an exit code.
pub(crate) fn exit(code: u8) -> Frame {
    (Kind::Exit, code.to_string())
}

/// Plays an operation: notes its command line, writes the files that it owes, and prints [`OUTPUT`].
fn play(execution: &Execution<'_>) -> Result<u8, OperationError> {
    let (settings, operation) = (&execution.builder.settings, execution.operation);
    let line = [
        vec![operation.program.name().to_owned()],
        operation.program.arguments(),
    ];
    let line = line.concat().join(" ");
    let log = settings.volume.join("log");
    let mut log = File::options().create(true).append(true).open(log).unwrap();
    writeln!(log, "{line}").unwrap();
    for output in &operation.outputs {
        let side = match output.medium {
            Medium::Memory => &settings.runtime_directory,
            Medium::Disk => &settings.volume,
        };
        let directory = side.join(PARENT).join(execution.directory.name());
        fs::write(directory.join(&output.name), "written").unwrap();
    }
    let relay = execution
        .connection
        .spawn_output(Cursor::new(OUTPUT), Kind::Output);
    relay.unwrap().join().unwrap();
    Ok(if line.contains("fail") { FAILED } else { 0 })
}
