//! One command line of Buildah in a sandbox of its own, from its files to its end.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::warn;

use super::Session;
use crate::build::children::Started;
use crate::build::namespace::Namespace;
use crate::build::operation::{Operation, Stdin};
use crate::build::protocol::Kind;
use crate::build::sandbox::{self, Plan};
use crate::build::terminal::{self, Terminal};
use crate::init::reap::Ended;
use crate::sys::{idmap, raw, trial, userns};

/// How long the child may take until Buildah starts.
const START: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Runs one command line of Buildah; nothing of it is left running afterwards.
    pub(super) fn perform(&self, operation: &Operation) -> Result<u8, String> {
        if self.link.gone() {
            return Err("the client has gone".to_owned());
        }
        // Where the image's bytes themselves come out, they must not go through a terminal.
        let size = self.hello.terminal.filter(|_| !operation.raw);
        let terminal = size.map(terminal::open).transpose();
        let terminal = terminal.map_err(failed("a terminal"))?;
        self.write_files(operation, terminal.is_some())
            .map_err(failed("the builder's private directory"))?;
        let (mut started, socket, ours) = self.start(terminal)?;
        let namespace = self.enter(&socket, &mut started)?;
        let pumps = self.attend(&mut started, namespace, ours)?;
        let writer = self.supply(&operation.stdin, socket);
        let ended = started.end.recv().unwrap_or(Ended::Signaled(9));
        if let Err(left) = self.link.finish() {
            warn!(?left, "processes of a build could not be ended");
            return Err(format!(
                "processes of this build could not be ended: {left:?}"
            ));
        }
        for pump in pumps {
            let _ = pump.join();
        }
        drop(writer);
        if operation.login && ended == Ended::Exited(0) {
            let file = std::fs::read(self.memory.join("auth.json")).unwrap_or_default();
            self.builder
                .credentials
                .change_job(&operation.authfile, &file)?;
        }
        Ok(ended.code())
    }

    /// The child, the socket that is its standard input, and our end of its terminal.
    fn start(
        &self,
        terminal: Option<Terminal>,
    ) -> Result<(Started, UnixStream, Option<File>), String> {
        let (socket, theirs) = UnixStream::pair().map_err(failed("socketpair"))?;
        let mut command = trial::again(sandbox::NAME);
        command
            .arg(&self.memory)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let ours = match terminal {
            Some(Terminal { ours, theirs }) => {
                let second = theirs.try_clone().map_err(failed("a terminal"))?;
                command.stdout(theirs).stderr(second);
                Some(ours)
            }
            None => {
                // With a terminal, the child makes a session of its own.
                command.process_group(0);
                None
            }
        };
        let started = self.builder.children.start(&mut command);
        // The command, which goes here, holds the child's end of the socket open.
        Ok((started.map_err(failed("fork"))?, socket, ours))
    }

    /// From now on output goes to the client, and the client's signals and its end to the child.
    fn attend(
        &self,
        started: &mut Started,
        namespace: Namespace,
        terminal: Option<File>,
    ) -> Result<Vec<JoinHandle<()>>, String> {
        let reader = terminal.as_ref().map(File::try_clone).transpose();
        let reader = reader.map_err(failed("a terminal"))?;
        self.link.begin(started.pid, namespace, terminal);
        let (output, errors) = (started.child.stdout.take(), started.child.stderr.take());
        let pumps = [
            reader.map(|from| self.link.pump(from, Kind::Output)),
            output.map(|from| self.link.pump(from, Kind::Output)),
            errors.map(|from| self.link.pump(from, Kind::Error)),
        ];
        Ok(pumps.into_iter().flatten().collect())
    }

    fn supply(&self, input: &Stdin, mut socket: UnixStream) -> Option<JoinHandle<()>> {
        match input {
            Stdin::Client => self.link.feed(socket),
            Stdin::Given(content) => {
                // Short, and the socket's buffer takes it.
                let _ = socket.write_all(content);
                None
            }
            Stdin::Nothing => None,
        }
    }

    /// Maps the child's ids, and waits until it is where Buildah is to run. A child that does not get there is ended.
    fn enter(&self, socket: &UnixStream, started: &mut Started) -> Result<Namespace, String> {
        self.let_in(socket, started.pid).map_err(|problem| {
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

    fn let_in(&self, mut socket: &UnixStream, pid: i32) -> Result<Namespace, String> {
        socket
            .set_read_timeout(Some(START))
            .map_err(failed("the sandbox"))?;
        expect(socket, userns::READY)?;
        let children = &self.builder.children;
        idmap::write_running(Pid::from_raw(pid), &|command| children.run(command))
            .map_err(|error| error.to_string())?;
        socket
            .write_all(userns::GO)
            .map_err(failed("the sandbox"))?;
        expect(socket, sandbox::INSIDE)?;
        Namespace::of(pid).map_err(failed("the sandbox"))
    }

    fn write_files(&self, operation: &Operation, terminal: bool) -> std::io::Result<()> {
        let config = &self.builder.config;
        let mut environment = self.builder.environment.clone();
        environment.push((
            "REGISTRY_AUTH_FILE".to_owned(),
            self.places.own.join("auth.json").display().to_string(),
        ));
        let plan = Plan {
            program: operation.program.unwrap_or("buildah").to_owned(),
            arguments: operation.arguments.clone(),
            environment,
            inputs: operation.inputs.clone(),
            workspace: self.places.workspace.clone(),
            runtime: config.runtime_directory.clone(),
            own: self.memory.clone(),
            own_place: self.places.own.clone(),
            hidden: self.builder.hidden(),
            terminal,
        };
        let _ = std::fs::remove_dir_all(&self.memory);
        make_private(&self.memory)?;
        make_private(&self.places.disk)?;
        write_private(&self.memory.join("plan.json"), &serde_json::to_vec(&plan)?)?;
        write_private(&self.memory.join("auth.json"), &operation.authfile)?;
        for file in &operation.files {
            write_private(&self.memory.join(&file.name), &file.content)?;
        }
        Ok(())
    }
}

/// Reads one line, and no byte more: what follows is not ours.
fn expect(mut socket: &UnixStream, wanted: &str) -> Result<(), String> {
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
    if line == wanted {
        return Ok(());
    }
    Err(format!(
        "the sandbox {}",
        if line.is_empty() {
            "ended"
        } else {
            line.trim()
        }
    ))
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}

fn make_private(path: &Path) -> std::io::Result<()> {
    let mut directory = DirBuilder::new();
    directory.recursive(true).mode(0o700).create(path)
}

fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(content)
}
