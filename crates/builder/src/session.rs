//! One client: its greeting, its turn, its operation, and its end, whichever comes first.

mod execute;
pub(super) mod isolation_probe;
mod outputs;

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::info;

use super::operation::Places;
use super::operation_dir::OperationDir;
use super::plan::Planner;
use super::protocol::{Hello, Kind, read};
use super::relay::{self, Connection};
use super::state::Builder;
use report::exit;

/// How long a client may take to say what it wants.
const GREETING: Duration = Duration::from_secs(10);

/// Serves one client to its end.
pub(super) fn serve(mut stream: UnixStream, builder: &Arc<Builder>) {
    let Ok(connection) = Connection::new(&stream) else {
        return;
    };
    let hello = match greeting(&mut stream) {
        Ok(hello) => hello,
        Err(problem) => {
            connection.refuse(&problem, exit::USAGE);
            return;
        }
    };
    let connection = Arc::new(connection);
    let reader = match connection.spawn_reader(stream) {
        Ok(reader) => reader,
        Err(error) => {
            connection.refuse(
                &format!("the builder has no thread to listen with: {error}"),
                exit::INTERNAL,
            );
            return;
        }
    };
    let code = match Session::new(builder, &connection, &hello).run() {
        Ok(code) => code,
        Err(problem) => {
            info!(problem, "refused");
            connection.refuse(&problem, relay::REFUSED);
            0
        }
    };
    connection.close(code);
    drop(reader);
}

fn greeting(stream: &mut UnixStream) -> Result<Hello, String> {
    let mut payload = Vec::new();
    let mut patient = Until {
        stream,
        end: Instant::now() + GREETING,
    };
    match read(&mut patient, &mut payload) {
        Ok(Some(Kind::Hello)) => {}
        Ok(_) => return Err("a client greets first".to_owned()),
        Err(error) => return Err(format!("no greeting: {error}")),
    }
    stream
        .set_read_timeout(None)
        .map_err(|error| error.to_string())?;
    Hello::read(&payload)
}

/// A stream that is read until a certain time, be it in drops.
struct Until<'a> {
    stream: &'a mut UnixStream,
    end: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
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
    places: Places,
}

impl<'a> Session<'a> {
    fn new(builder: &'a Arc<Builder>, connection: &'a Arc<Connection>, hello: &'a Hello) -> Self {
        let runtime = &builder.settings.runtime_directory;
        let places = Places {
            own: runtime.join("job"),
            inputs: runtime.join("in"),
            disk: runtime.join("disk"),
            workspace: builder.settings.workspace.clone(),
        };
        Self {
            builder,
            connection,
            hello,
            places,
        }
    }

    fn new_directory(&self) -> Result<OperationDir, String> {
        let made = self.builder.operation_dirs.make();
        made.map_err(|error| format!("the builder's private directories: {error}"))
    }

    fn run(&self) -> Result<u8, String> {
        let operation = Planner {
            settings: &self.builder.settings,
            workspace: &self.builder.workspace,
            credentials: &self.builder.credentials,
            places: &self.places,
            hello: self.hello,
        }
        .plan(&mut || self.connection.read_all_input());
        // What was read of a Containerfile until a signal came is not worth a complaint.
        if let Some(code) = self.connection.interrupted() {
            return Ok(code);
        }
        let mut operation = operation?;
        let permit = operation.heavy.then(|| {
            self.builder.permits.acquire(
                |waiting| {
                    self.connection.notice(&format!(
                        "waiting for one of {waiting} operations that run already"
                    ));
                },
                || self.connection.is_closed() || self.connection.interrupted().is_some(),
            )
        });
        if operation.builds {
            let flags = self.builder.isolation().flags();
            let flags = flags.iter().map(ToString::to_string);
            operation.arguments.splice(1..1, flags);
        }
        for before in &operation.before {
            let code = self.execute(&self.new_directory()?, before)?;
            if code != 0 {
                return Ok(code);
            }
        }
        let directory = self.new_directory()?;
        let code = self.execute(&directory, &operation)?;
        drop(permit);
        if code == 0 {
            self.copy_outputs(&operation, &directory)?;
        }
        Ok(code)
    }
}
