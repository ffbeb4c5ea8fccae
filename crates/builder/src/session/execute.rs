//! One command line of Buildah in a sandbox of its own, from its files to its end.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::warn;

use super::Session;
use crate::children::Started;
use crate::namespace::Namespace;
use crate::operation::{Operation, Stdin};
use crate::operation_dir::{self, Medium, OperationDir};
use crate::protocol::Kind;
use crate::pty::{self, Pty};
use crate::sandbox::{self, Spec};
use init::reap::Ended;
use linux::{handshake, idmap, raw, trial};

/// How long the child may take until Buildah starts.
const START: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Runs one command line of Buildah; nothing of it is left running afterwards.
    pub(super) fn execute(
        &self,
        directory: &OperationDir,
        operation: &Operation,
    ) -> Result<u8, String> {
        if self.connection.is_closed() {
            return Err("the client has gone".to_owned());
        }
        if let Some(code) = self.connection.interrupted() {
            return Ok(code);
        }
        // Where the image's bytes themselves come out, they must not go through a terminal.
        let size = self.hello.terminal.filter(|_| !operation.raw);
        let terminal = size.map(pty::open).transpose();
        let terminal = terminal.map_err(failed("a terminal"))?;
        self.write_files(directory, operation, terminal.is_some())
            .map_err(failed("the builder's private directory"))?;
        let (mut started, socket, controller) = self.start(directory, terminal)?;
        let namespace = self.enter(&socket, &mut started)?;
        let reader = controller.as_ref().map(File::try_clone);
        self.connection.attach(started.pid, namespace, controller);
        let pumps = self.relay_output(&mut started, reader.transpose());
        let writer = self.supply_input(&operation.stdin, socket);
        let attended = pumps.and_then(|pumps| Ok((pumps, writer?)));
        // Where nobody attends to it, it ends at once.
        let ended = match attended {
            Ok(_) => started.end.recv().unwrap_or(Ended::Signaled(9)),
            Err(_) => Ended::Signaled(9),
        };
        if let Err(left) = self.connection.kill_process() {
            warn!(?left, "processes of a build could not be ended");
            return Err(format!(
                "processes of this build could not be ended: {left:?}"
            ));
        }
        let (pumps, _writer) = attended.map_err(failed("a thread"))?;
        for pump in pumps {
            let _ = pump.join();
        }
        if operation.login && ended == Ended::Exited(0) {
            let file = directory
                .read(Medium::Memory, "auth.json")
                .unwrap_or_default();
            self.builder
                .credentials
                .change_job(&operation.authfile, &file)?;
        }
        Ok(self.connection.exit_code(ended))
    }

    /// The child, the socket that is its standard input, and our end of its terminal.
    fn start(
        &self,
        directory: &OperationDir,
        terminal: Option<Pty>,
    ) -> Result<(Started, UnixStream, Option<File>), String> {
        let (socket, theirs) = UnixStream::pair().map_err(failed("socketpair"))?;
        let mut command = trial::again(sandbox::NAME);
        let runtime = &self.builder.settings.runtime_directory;
        command
            .arg(runtime.join(operation_dir::PARENT).join(directory.name()))
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let controller = match terminal {
            Some(Pty { controller, user }) => {
                let second = user.try_clone().map_err(failed("a terminal"))?;
                command.stdout(user).stderr(second);
                Some(controller)
            }
            None => {
                // With a terminal, the child makes a session of its own.
                command.process_group(0);
                None
            }
        };
        let started = self.builder.children.start(&mut command);
        // The command, which goes here, holds the child's end of the socket open.
        Ok((started.map_err(failed("fork"))?, socket, controller))
    }

    /// Output goes to the client.
    fn relay_output(
        &self,
        started: &mut Started,
        terminal: std::io::Result<Option<File>>,
    ) -> std::io::Result<Vec<JoinHandle<()>>> {
        let (output, errors) = (started.child.stdout.take(), started.child.stderr.take());
        let pumps = [
            terminal?.map(|from| self.connection.spawn_output(from, Kind::Output)),
            output.map(|from| self.connection.spawn_output(from, Kind::Output)),
            errors.map(|from| self.connection.spawn_output(from, Kind::Error)),
        ];
        pumps.into_iter().flatten().collect()
    }

    fn supply_input(
        &self,
        input: &Stdin,
        mut socket: UnixStream,
    ) -> std::io::Result<Option<JoinHandle<()>>> {
        match input {
            Stdin::Client => self.connection.spawn_input(socket).map(Some),
            Stdin::Given(content) => {
                // Short, and the socket's buffer takes it.
                let _ = socket.write_all(content);
                Ok(None)
            }
            Stdin::Nothing => Ok(None),
        }
    }

    /// Maps the child's ids, and waits until it is where Buildah is to run. A child that does not get there is ended.
    fn enter(&self, socket: &UnixStream, started: &mut Started) -> Result<Namespace, String> {
        self.handshake(socket, started.pid).map_err(|problem| {
            // It may have ended by itself.
            let _ = raw::kill(started.pid, Signal::SIGKILL as i32);
            let _ = started.end.recv();
            let mut said = String::new();
            if let Some(mut stderr) = started.child.stderr.take() {
                // It has ended, and so has its output.
                let _ = stderr.read_to_string(&mut said);
            }
            format!("{problem} {}", said.trim())
        })
    }

    fn handshake(&self, mut socket: &UnixStream, pid: i32) -> Result<Namespace, String> {
        socket
            .set_read_timeout(Some(START))
            .map_err(failed("the sandbox"))?;
        if read_line(socket)? != handshake::READY {
            return Err("the sandbox is not ready".to_owned());
        }
        let children = &self.builder.children;
        idmap::write_running(Pid::from_raw(pid), &|command| children.run(command))
            .map_err(|error| error.to_string())?;
        socket
            .write_all(handshake::GO)
            .map_err(failed("the sandbox"))?;
        let inside = read_line(socket)?;
        let killer = inside.strip_prefix(sandbox::INSIDE).unwrap_or_default();
        let killer = killer.trim_end().parse().ok().filter(|pid: &i32| *pid > 0);
        let killer = killer.map(|pid| children.await_orphan(pid));
        let namespace = Namespace::of(pid, killer).map_err(failed("the sandbox"))?;
        socket
            .write_all(handshake::GO)
            .map_err(failed("the sandbox"))?;
        Ok(namespace)
    }

    fn write_files(
        &self,
        directory: &OperationDir,
        operation: &Operation,
        terminal: bool,
    ) -> std::io::Result<()> {
        let settings = &self.builder.settings;
        let mut environment = self.builder.environment.clone();
        environment.push((
            "REGISTRY_AUTH_FILE".to_owned(),
            self.places.own.join("auth.json").display().to_string(),
        ));
        let spec = Spec {
            program: operation.program.unwrap_or("buildah").to_owned(),
            arguments: operation.arguments.clone(),
            environment,
            inputs: operation.inputs.clone(),
            workspace: self.places.workspace.clone(),
            runtime: settings.runtime_directory.clone(),
            volume: settings.volume.clone(),
            storage: !operation.storageless,
            operation: directory.name().to_owned(),
            own_place: self.places.own.clone(),
            disk_place: self.places.disk.clone(),
            archive: (operation.archive.clone()).map(|file| (file, self.places.archive())),
            hidden: self.builder.hidden(),
            terminal,
            has_killer: operation.builds,
        };
        directory.write("spec.json", &serde_json::to_vec(&spec)?)?;
        directory.write("auth.json", &operation.authfile)?;
        for file in &operation.files {
            directory.write(&file.name, &file.content)?;
        }
        Ok(())
    }
}

/// Reads one line, and no byte more: what follows is not controller. A child that failed says why.
fn read_line(mut socket: &UnixStream) -> Result<String, String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && line.len() < 4096 {
        match socket.read(&mut byte) {
            Ok(1) => line.push(byte[0]),
            Ok(_) => break,
            Err(error) => return Err(format!("the sandbox said nothing: {error}")),
        }
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    match line.trim() {
        "" => Err("the sandbox ended".to_owned()),
        told if told.starts_with("failed") => Err(format!("the sandbox {told}")),
        _ => Ok(line),
    }
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}
