//! One client: its greeting, its permit, its operation and its exit code.

pub(super) mod execute;
pub(super) mod isolation_probe;
mod outputs;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::info;

use super::error::{OperationError, ServeError};
use super::operation::{Operation, SandboxPaths};
use super::operation_dir::OperationDir;
use super::plan::Planner;
use super::protocol::{Hello, Kind, read, write};
use super::rejected::Rejected;
use super::relay::{self, Connection};
use super::semaphore::Permit;
use super::state::{Builder, Execution};
use report::exit;

/// The longest that a client may take to send its greeting.
const GREETING: Duration = Duration::from_secs(10);

/// Serves one client until it has its exit code or closes the connection.
pub(super) fn serve(mut stream: UnixStream, builder: &Arc<Builder>) {
    let Ok(connection) = Connection::new(&stream) else {
        return;
    };
    let hello = match greeting(&mut stream) {
        Ok(Some(hello)) => hello,
        Ok(None) => return answer(&mut stream, builder),
        Err(error) => {
            connection.refuse(&error.to_string(), exit::USAGE);
            return;
        }
    };
    let connection = Arc::new(connection);
    let reader = match connection.spawn_reader(stream) {
        Ok(reader) => reader,
        Err(error) => {
            let text = format!("the builder cannot start a thread: {error}");
            connection.refuse(&text, exit::INTERNAL);
            return;
        }
    };
    let code = match Session::new(builder, &connection, &hello).run() {
        Ok(code) => code,
        Err(error) => {
            info!(%error, "refused");
            connection.refuse(&error.to_string(), relay::REFUSED);
            0
        }
    };
    connection.close(code);
    drop(reader);
}

/// Sends the builder's facts, and again each time that the client asks. The connection ends with the client or the builder, so
/// a client that keeps it open sees the builder's end.
fn answer(stream: &mut UnixStream, builder: &Builder) {
    let mut payload = Vec::new();
    loop {
        let facts = builder.facts.report(&builder.settings);
        // Texts, numbers and lists of them cannot fail to serialize.
        let facts = serde_json::to_vec(&facts).unwrap_or_default();
        let sent = write(stream, Kind::Facts, &facts);
        let again = sent.and_then(|()| read(stream, &mut payload));
        if !matches!(again, Ok(Some(Kind::Ask))) {
            return;
        }
    }
}

/// Reads the client's first frame: its greeting, or `None` if it asks for the builder's facts.
fn greeting(stream: &mut UnixStream) -> Result<Option<Hello>, Rejected> {
    let mut payload = Vec::new();
    let mut reader = UntilDeadline {
        stream,
        deadline: Instant::now() + GREETING,
    };
    let first = read(&mut reader, &mut payload).map_err(Rejected::Unreadable)?;
    let unlimited = stream.set_read_timeout(None);
    unlimited.map_err(Rejected::Unreadable)?;
    match first {
        Some(Kind::Hello) => Hello::read(&payload).map(Some),
        Some(Kind::Ask) => Ok(None),
        _ => Err(Rejected::NoGreeting),
    }
}

/// Reads a stream until a deadline, even if the peer sends single bytes.
struct UntilDeadline<'a> {
    stream: &'a mut UnixStream,
    deadline: Instant,
}

impl Read for UntilDeadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

struct Session<'a> {
    builder: &'a Arc<Builder>,
    connection: &'a Arc<Connection>,
    hello: &'a Hello,
    paths: SandboxPaths,
}

impl<'a> Session<'a> {
    fn new(builder: &'a Arc<Builder>, connection: &'a Arc<Connection>, hello: &'a Hello) -> Self {
        let runtime = &builder.settings.runtime_directory;
        let paths = SandboxPaths {
            memory: runtime.join("job"),
            disk: runtime.join("disk"),
            inputs: runtime.join("in"),
            workspace: builder.settings.workspace.clone(),
        };
        Self {
            builder,
            connection,
            hello,
            paths,
        }
    }

    fn new_directory(&self) -> Result<OperationDir, ServeError> {
        let created = self.builder.operation_dirs.create();
        created.map_err(ServeError::kernel("the builder's private directories"))
    }

    fn run(&self) -> Result<u8, OperationError> {
        let planned = self.plan();
        // A signal ends the input early. Errors in what was read until then do not matter.
        if let Some(code) = self.connection.interrupted() {
            return Ok(code);
        }
        let operation = planned?;
        let permit = operation.grants.permit.then(|| self.wait_for_permit());
        for before in &operation.before {
            let code = self.execute(&self.new_directory()?, before)?;
            if code != 0 {
                return Ok(code);
            }
        }
        let directory = self.new_directory()?;
        let code = self.execute(&directory, &operation)?;
        drop(permit);
        self.builder
            .facts
            .note(&operation.product, &directory, code);
        if code == 0 {
            self.copy_outputs(&operation, &directory)?;
        }
        Ok(code)
    }

    /// Executes one operation, unless the client has gone or has sent a signal. Returns the exit code.
    fn execute(
        &self,
        directory: &OperationDir,
        operation: &Operation,
    ) -> Result<u8, OperationError> {
        if self.connection.is_closed() {
            return Err(OperationError::ClientGone);
        }
        if let Some(code) = self.connection.interrupted() {
            return Ok(code);
        }
        (self.builder.execute)(&Execution {
            builder: self.builder,
            connection: self.connection,
            terminal: self.hello.terminal,
            paths: &self.paths,
            directory,
            operation,
        })
    }

    fn plan(&self) -> Result<Operation, Rejected> {
        let credentials = self.builder.credentials.for_command(&self.hello.auths);
        let planner = Planner {
            settings: &self.builder.settings,
            workspace: &self.builder.workspace,
            credentials: &credentials,
            paths: &self.paths,
            isolation: self.builder.isolation(),
            hello: self.hello,
        };
        planner.plan(&mut || self.connection.read_all_input())
    }

    /// Waits for a permit. Returns `None` if the client closed the connection or sent a signal.
    fn wait_for_permit(&self) -> Option<Permit<'_>> {
        self.builder.permits.acquire(
            |permits| {
                self.connection.notice(&format!(
                    "waiting for one of {permits} operations that run already"
                ));
            },
            || self.connection.is_closed() || self.connection.interrupted().is_some(),
        )
    }
}
