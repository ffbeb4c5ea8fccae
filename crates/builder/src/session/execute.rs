//! Executes one operation in a sandbox of its own, from its files to the end of its processes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::warn;

use crate::children::Started;
use crate::environment;
use crate::error::{OperationError, ServeError};
use crate::namespace::Namespace;
use crate::operation::{AUTHFILE, Stdin, Stdout};
use crate::operation_dir::{self, Medium};
use crate::protocol::Kind;
use crate::pty::{self, Pty};
use crate::rejected::Rejected;
use crate::sandbox::{self, Spec};
use crate::state::Execution;
use init::reap::Ended;
use linux::handshake::{self, Handshake};
use linux::{idmap, libc_ext, probe};

/// The longest that the child may take for each step until Buildah starts.
const START: Duration = Duration::from_secs(60);

/// A started child of an operation.
struct Child {
    started: Started,
    /// The other end of its standard input.
    socket: UnixStream,
    /// The controller of its terminal.
    terminal: Option<File>,
}

/// Executes an operation in a sandbox, as [`ExecuteFn`](crate::state::ExecuteFn).
pub(crate) fn run(execution: &Execution<'_>) -> Result<u8, OperationError> {
    execution.run()
}

impl Execution<'_> {
    fn run(&self) -> Result<u8, OperationError> {
        let operation = self.operation;
        // Binary output must not pass a terminal.
        let binary = operation.stdout == Stdout::Binary;
        let size = self.terminal.filter(|_| !binary);
        let terminal = size.map(pty::open).transpose();
        let terminal = terminal.map_err(ServeError::kernel("a terminal"))?;
        self.write_files(terminal.is_some())
            .map_err(ServeError::kernel("the builder's private directory"))?;
        let mut child = self.start(terminal)?;
        let namespace = self.enter_sandbox(&mut child)?;
        let reader = child.terminal.as_ref().map(File::try_clone).transpose();
        let Child {
            mut started,
            socket,
            terminal,
        } = child;
        let memory = self.builder.memory.watch(&namespace);
        self.connection.attach(started.pid, namespace, terminal);
        let output = self.relay_output(&mut started, reader);
        let input = self.supply_input(&operation.stdin, socket);
        let threads = output.and_then(|output| Ok((output, input?)));
        // Without its threads the process cannot continue, so it is killed at once.
        let ended = match threads {
            Ok(_) => started.end.recv().unwrap_or(Ended::Signaled(9)),
            Err(_) => Ended::Signaled(9),
        };
        if let Err(survivors) = self.connection.kill_process() {
            warn!(?survivors, "processes of a build could not be killed");
            return Err(OperationError::Survivors(survivors));
        }
        let (output, _input) = threads.map_err(ServeError::kernel("a thread"))?;
        for thread in output {
            let _ = thread.join();
        }
        if operation.grants.login && ended == Ended::Exited(0) {
            self.adopt_login()?;
        }
        let code = self.connection.exit_code(ended);
        let Some((sentence, code)) = memory.verdict(code) else {
            return Ok(code);
        };
        self.connection.notice(&sentence);
        Ok(code)
    }

    fn adopt_login(&self) -> Result<(), Rejected> {
        let file = self
            .directory
            .read(Medium::Memory, AUTHFILE)
            .unwrap_or_default();
        let credentials = &self.builder.credentials;
        Ok(credentials.change_job(&self.operation.authfile, &file)?)
    }

    /// Starts the child. Its standard input is a socket.
    fn start(&self, terminal: Option<Pty>) -> Result<Child, ServeError> {
        let (socket, stdin) = UnixStream::pair().map_err(ServeError::kernel("socketpair"))?;
        let mut command = probe::command(sandbox::NAME);
        let runtime = &self.builder.settings.runtime_directory;
        command
            .arg(
                runtime
                    .join(operation_dir::PARENT)
                    .join(self.directory.name()),
            )
            .env_clear()
            .stdin(OwnedFd::from(stdin))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let terminal = match terminal {
            Some(Pty { controller, user }) => {
                let stderr = user.try_clone().map_err(ServeError::kernel("a terminal"))?;
                command.stdout(user).stderr(stderr);
                Some(controller)
            }
            None => {
                // With a terminal, the child creates a session of its own instead.
                command.process_group(0);
                None
            }
        };
        let started = self.builder.children.start(&mut command);
        // Dropping the command closes the child's end of the socket here.
        Ok(Child {
            started: started.map_err(ServeError::kernel("fork"))?,
            socket,
            terminal,
        })
    }

    /// Starts the threads that send output to the client.
    fn relay_output(
        &self,
        started: &mut Started,
        terminal: io::Result<Option<File>>,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let (stdout, stderr) = (started.child.stdout.take(), started.child.stderr.take());
        let connection = self.connection;
        let threads = [
            terminal?.map(|from| connection.spawn_output(from, Kind::Output)),
            stdout.map(|from| connection.spawn_output(from, Kind::Output)),
            stderr.map(|from| connection.spawn_output(from, Kind::Error)),
        ];
        threads.into_iter().flatten().collect()
    }

    fn supply_input(
        &self,
        input: &Stdin,
        mut socket: UnixStream,
    ) -> io::Result<Option<JoinHandle<()>>> {
        match input {
            Stdin::Client => self.connection.spawn_input(socket).map(Some),
            Stdin::Given(content) => {
                // It is short enough for the socket's buffer.
                let _ = socket.write_all(content);
                Ok(None)
            }
            Stdin::Nothing => Ok(None),
        }
    }

    /// Waits until the child is in its namespaces. Otherwise it kills the child, and reports what that wrote.
    fn enter_sandbox(&self, child: &mut Child) -> Result<Namespace, OperationError> {
        self.handshake(&child.socket, child.started.pid)
            .map_err(|error| {
                // It may have ended by itself.
                let _ = libc_ext::kill(child.started.pid, Signal::SIGKILL as i32);
                let _ = child.started.end.recv();
                let mut stderr = "\n".to_owned();
                if let Some(mut pipe) = child.started.child.stderr.take() {
                    // The child has ended, so this ends too.
                    let _ = pipe.read_to_string(&mut stderr);
                }
                OperationError::Sandbox {
                    problem: error.to_string(),
                    stderr: stderr.trim_end().to_owned(),
                }
            })
    }

    /// Maps the child's ids, and waits until it reports its second user namespace.
    fn handshake(&self, socket: &UnixStream, pid: i32) -> io::Result<Namespace> {
        let child = Handshake::new(socket, socket);
        if !handshake::is_ready(&receive(&child)?) {
            return Err(io::Error::other("it is not ready"));
        }
        let children = &self.builder.children;
        idmap::write_maps_with(Pid::from_raw(pid), &|command| children.run(command))
            .map_err(io::Error::other)?;
        child.send_go()?;
        let inside = receive(&child)?;
        let killer = inside.strip_prefix(sandbox::INSIDE).unwrap_or_default();
        let killer = killer.trim_end().parse().ok().filter(|pid: &i32| *pid > 0);
        let killer = killer.map(|pid| children.await_orphan(pid));
        let namespace = Namespace::of(pid, killer)?;
        child.send_go()?;
        Ok(namespace)
    }

    fn write_files(&self, terminal: bool) -> io::Result<()> {
        let (directory, operation) = (self.directory, self.operation);
        let spec = self.spec(terminal);
        directory.write(sandbox::SPEC, &serde_json::to_vec(&spec)?)?;
        directory.write(AUTHFILE, &operation.authfile)?;
        for file in &operation.files {
            directory.write(&file.name, &file.content)?;
        }
        Ok(())
    }

    fn spec(&self, terminal: bool) -> Spec {
        let operation = self.operation;
        let settings = &self.builder.settings;
        let mut variables = self.builder.environment.clone();
        let authfile = self.paths.authfile().display().to_string();
        variables.push(("REGISTRY_AUTH_FILE".to_owned(), authfile));
        let archive = operation.archive.clone();
        Spec {
            program: operation.program.name().to_owned(),
            arguments: operation.program.arguments(),
            environment: variables,
            inputs: operation.inputs.clone(),
            archive: archive.map(|file| (file, self.paths.archive())),
            workspace: self.paths.workspace.clone(),
            runtime: settings.runtime_directory.clone(),
            volume: settings.volume.clone(),
            storage: operation.grants.storage,
            operation: self.directory.name().to_owned(),
            memory_path: self.paths.memory.clone(),
            disk_path: self.paths.disk.clone(),
            temporary: settings.storage.temporary.clone(),
            shared_cache: operation
                .grants
                .run_steps
                .then(environment::cache_directory),
            has_killer: operation.grants.run_steps,
            hidden: self.builder.hidden(),
            terminal,
            drop_output: operation.stdout == Stdout::Dropped,
            bounded: operation.grants.bounded,
        }
    }
}

/// Receives one line of the child. A child that failed sends the reason.
fn receive(child: &Handshake<&UnixStream, &UnixStream>) -> io::Result<String> {
    let line = child.read_line(Some(Instant::now() + START));
    let line = line.map_err(|error| io::Error::other(format!("it sent no line: {error}")))?;
    match line.trim() {
        "" => Err(io::Error::other("it ended")),
        text => match text.strip_prefix(sandbox::FAILED) {
            Some(reason) => Err(io::Error::other(reason.to_owned())),
            None => Ok(line),
        },
    }
}
