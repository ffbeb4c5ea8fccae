//! One client: its greeting, its turn, its operation, and its end, whichever comes first.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use nix::unistd::Pid;
use tracing::{info, warn};

use super::namespace::Namespace;
use super::operation::{Input, Operation, Output, Places, Stdin};
use super::protocol::{Hello, Kind, read};
use super::sandbox::{self, Plan};
use super::server::Builder;
use super::stdio::{self, Link};
use super::terminal::{self, Terminal};
use super::work::Planner;
use crate::exit;
use crate::init::reap::Ended;
use crate::sys::{idmap, userns};

/// How long a client may take to say what it wants.
const GREETING: Duration = Duration::from_secs(10);
/// How long the child may take until Buildah starts.
const START: Duration = Duration::from_secs(60);

/// Serves one client to its end.
pub(super) fn serve(mut stream: UnixStream, builder: &Arc<Builder>) {
    let Ok(link) = Link::of(&stream) else { return };
    let hello = match greeting(&mut stream) {
        Ok(hello) => hello,
        Err(problem) => {
            link.refuse(&problem, exit::USAGE);
            return;
        }
    };
    let link = Arc::new(link);
    let reader = link.follow(stream);
    let code = match Session::new(builder, &link, &hello).run() {
        Ok(code) => code,
        Err(problem) => {
            info!(problem, "refused");
            link.refuse(&problem, stdio::REFUSED);
            0
        }
    };
    link.end(code);
    drop(reader);
}

fn greeting(stream: &mut UnixStream) -> Result<Hello, String> {
    let mut payload = Vec::new();
    let said = stream
        .set_read_timeout(Some(GREETING))
        .and_then(|()| read(stream, &mut payload));
    match said {
        Ok(Some(Kind::Hello)) => {}
        Ok(_) => return Err("a client greets first".to_owned()),
        Err(error) => return Err(format!("no greeting: {error}")),
    }
    stream
        .set_read_timeout(None)
        .map_err(|error| error.to_string())?;
    Hello::read(&payload)
}

struct Session<'a> {
    builder: &'a Arc<Builder>,
    link: &'a Arc<Link>,
    hello: &'a Hello,
    places: Places,
    memory: PathBuf,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        for path in [&self.memory, &self.places.disk] {
            // It may not have been made.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

impl<'a> Session<'a> {
    fn new(builder: &'a Arc<Builder>, link: &'a Arc<Link>, hello: &'a Hello) -> Self {
        let number = builder.next();
        let runtime = &builder.config.runtime_directory;
        let places = Places {
            own: runtime.join("job"),
            inputs: runtime.join("in"),
            disk: builder
                .config
                .builder
                .volume
                .join("operations")
                .join(number.to_string()),
            workspace: builder.config.workspace.path.clone(),
        };
        let memory = runtime.join("operations").join(number.to_string());
        Self {
            builder,
            link,
            hello,
            places,
            memory,
        }
    }

    fn run(&self) -> Result<u8, String> {
        let operation = Planner {
            config: &self.builder.config,
            workspace: &self.builder.workspace,
            credentials: &self.builder.credentials,
            places: &self.places,
            hello: self.hello,
        }
        .plan(&mut || self.link.input_whole())?;
        let turn = operation.heavy.then(|| {
            self.builder.turns.take(
                |waiting| {
                    self.link.notice(&format!(
                        "waiting for one of {waiting} operations that run already"
                    ));
                },
                || self.link.gone(),
            )
        });
        for before in &operation.before {
            let code = self.perform(before)?;
            if code != 0 {
                return Ok(code);
            }
        }
        let code = self.perform(&operation)?;
        drop(turn);
        if code == 0 {
            self.deliver(&operation)?;
        }
        Ok(code)
    }

    /// Runs one command line of Buildah; nothing of it is left running afterwards.
    fn perform(&self, operation: &Operation) -> Result<u8, String> {
        if self.link.gone() {
            return Err("the client has gone".to_owned());
        }
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: std::io::Error| format!("{what}: {error}")
        };
        // Where the image's bytes themselves come out, they must not go through a terminal.
        let size = self.hello.terminal.filter(|_| !operation.raw);
        let terminal = size.map(terminal::open).transpose();
        let terminal = terminal.map_err(failed("a terminal"))?;
        self.write_files(operation, terminal.is_some())
            .map_err(failed("the builder's private directory"))?;
        let (socket, theirs) = UnixStream::pair().map_err(failed("socketpair"))?;
        let theirs: std::os::fd::OwnedFd = theirs.into();
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["trial", sandbox::NAME])
            .arg(&self.memory)
            .env_clear()
            .stdin(Stdio::from(theirs))
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
                std::os::unix::process::CommandExt::process_group(&mut command, 0);
                None
            }
        };
        let mut started = self
            .builder
            .children
            .start(&mut command)
            .map_err(failed("fork"))?;
        // The command holds the child's end of the socket open.
        drop(command);
        let namespace = self
            .enter(&socket, started.pid, &started.end)
            .map_err(|problem| {
                let mut said = String::new();
                if let Some(mut stderr) = started.child.stderr.take() {
                    // It has ended, and so has its output.
                    let _ = stderr.read_to_string(&mut said);
                }
                format!("{problem} {}", said.trim())
            })?;
        let reader = ours.as_ref().map(std::fs::File::try_clone).transpose();
        let reader = reader.map_err(failed("a terminal"))?;
        self.link.begin(started.pid, namespace, ours);
        let pumps = [
            reader.map(|from| self.link.pump(from, Kind::Output)),
            started
                .child
                .stdout
                .take()
                .map(|from| self.link.pump(from, Kind::Output)),
            started
                .child
                .stderr
                .take()
                .map(|from| self.link.pump(from, Kind::Error)),
        ];
        let writer = match &operation.stdin {
            Stdin::Client => Some(self.link.feed(socket)),
            Stdin::Given(content) => {
                // Short, and the socket's buffer takes it.
                let _ = (&socket).write_all(content);
                drop(socket);
                None
            }
            Stdin::Nothing => {
                drop(socket);
                None
            }
        };
        let ended = started.end.recv().unwrap_or(Ended::Signaled(9));
        if let Err(left) = self.link.finish() {
            warn!(?left, "processes of a build could not be ended");
            return Err(format!(
                "processes of this build could not be ended: {left:?}"
            ));
        }
        for pump in pumps.into_iter().flatten() {
            let _ = pump.join();
        }
        drop(writer);
        if operation.login && ended == Ended::Exited(0) {
            let file = std::fs::read(self.memory.join("auth.json")).unwrap_or_default();
            self.builder.credentials.set_job(&file)?;
        }
        Ok(ended.code())
    }

    /// Maps the child's ids, and waits until it is where Buildah is to run.
    fn enter(
        &self,
        socket: &UnixStream,
        pid: i32,
        end: &Receiver<Ended>,
    ) -> Result<Namespace, String> {
        let io = |error: std::io::Error| format!("the sandbox: {error}");
        socket.set_read_timeout(Some(START)).map_err(io)?;
        let talk = || -> Result<Namespace, String> {
            expect(socket, userns::READY)?;
            let children = &self.builder.children;
            idmap::write_running(Pid::from_raw(pid), &mut |command| children.run(command))
                .map_err(|error| error.to_string())?;
            let mut writer = socket;
            writer.write_all(userns::GO).map_err(io)?;
            expect(socket, sandbox::INSIDE)?;
            Namespace::of(pid).map_err(io)
        };
        let talked = talk();
        if talked.is_err() {
            // It may have ended by itself.
            let _ = crate::sys::raw::kill(pid, 9);
            let _ = end.recv();
        }
        talked
    }

    fn write_files(&self, operation: &Operation, terminal: bool) -> std::io::Result<()> {
        let config = &self.builder.config;
        let mut environment = self.builder.environment.clone();
        environment.push((
            "REGISTRY_AUTH_FILE".to_owned(),
            self.places.own.join("auth.json").display().to_string(),
        ));
        environment.extend(operation.environment.iter().cloned());
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

    /// What Buildah wrote for the job, copied to where the job wants it.
    fn deliver(&self, operation: &Operation) -> Result<(), String> {
        for output in &operation.outputs {
            let name = output.place.file_name().unwrap_or_default();
            let directory = if output.place.starts_with(&self.places.disk) {
                &self.places.disk
            } else {
                &self.memory
            };
            let failed = |error: std::io::Error| super::paths::problem(&output.relative, &error);
            if output.unpack {
                self.builder
                    .workspace
                    .create_directory(&output.relative)
                    .map_err(failed)?;
                match self.perform(&unpack(output, &self.places))? {
                    0 => continue,
                    code => {
                        return Err(format!(
                            "unpacking into {} ended with {code}",
                            output.relative.display()
                        ));
                    }
                }
            }
            let mut from = std::fs::File::open(directory.join(name)).map_err(failed)?;
            let mut to = self
                .builder
                .workspace
                .create(&output.relative)
                .map_err(failed)?;
            std::io::copy(&mut from, &mut to).map_err(failed)?;
        }
        Ok(())
    }
}

/// A file system goes into the job's directory by a process that sees nothing else of the job, wherever the job swaps a
/// directory for a symlink meanwhile. Its files become the job's, as Docker's do.
fn unpack(output: &Output, places: &Places) -> Operation {
    let place = places.inputs.join("0");
    let arguments = ["--extract", "--no-same-owner", "--file"]
        .map(str::to_owned)
        .into_iter();
    let paths = [
        output.place.display().to_string(),
        "--directory".to_owned(),
        place.display().to_string(),
    ];
    Operation {
        program: Some("tar"),
        arguments: arguments.chain(paths).collect(),
        inputs: vec![Input {
            relative: output.relative.clone(),
            place,
            writable: true,
        }],
        ..Operation::default()
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

fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn write_private(path: &std::path::Path, content: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(content)
}
