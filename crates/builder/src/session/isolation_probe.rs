//! Builds a small image of the builder's own, which proves that an isolation of RUN steps works.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Session;
use crate::command::{BuildahCommand, FlagArgument};
use crate::error::{OperationError, ServeError};
use crate::isolation::{Isolation, ProbeError};
use crate::operation::{Grants, Operation, PrivateFile, Program};
use crate::protocol::{Hello, MAJOR, MINOR};
use crate::relay::Connection;
use crate::state::Builder;

/// The image holds only the program that the builder itself is.
const CONTAINERFILE: &str =
    "FROM scratch\nCOPY --chmod=0755 program /program\nRUN [\"/program\", \"--version\"]\n";
/// The number of bytes at the end of Buildah's output that become the reason of a failure.
const OUTPUT_END: usize = 300;

/// Builds with that isolation, in a storage of its own.
///
/// # Errors
/// The end of Buildah's output if the build fails.
pub(crate) fn run(builder: &Arc<Builder>, isolation: Isolation) -> Result<(), ProbeError> {
    Ok(probe(builder, isolation)?)
}

fn probe(builder: &Arc<Builder>, isolation: Isolation) -> Result<(), OperationError> {
    let failed = || ServeError::kernel("the isolation probe");
    let (ours, mut client) = UnixStream::pair().map_err(failed())?;
    let connection = Arc::new(Connection::new(&ours).map_err(failed())?);
    drop(ours);
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        // After an error, the output so far is enough.
        let _ = client.read_to_end(&mut output);
        output
    });
    let hello = Hello {
        version: (MAJOR, MINOR),
        arguments: Vec::new(),
        directory: String::new(),
        environment: Default::default(),
        auths: std::collections::BTreeMap::new(),
        terminal: None,
    };
    let session = Session::new(builder, &connection, &hello);
    let program = std::fs::read("/proc/self/exe").map_err(failed())?;
    let directory = session.new_directory()?;
    let built = session.execute(&directory, &build(&session, isolation, program));
    let cleared = session.execute(&directory, &clear(&session));
    connection.close(0);
    drop((directory, session));
    drop(connection);
    let output = reader.join().unwrap_or_default();
    match (built?, cleared?) {
        (0, 0) => Ok(()),
        (code, _) => Err(OperationError::Probe {
            code,
            output: end_of(&output),
        }),
    }
}

fn build(session: &Session<'_>, isolation: Isolation, program: Vec<u8>) -> Operation {
    let memory = session.paths.memory.display();
    let disk = session.paths.disk.display();
    let mut flags = isolation.flags();
    flags.extend([
        FlagArgument::new("quiet", "true"),
        FlagArgument::new("no-cache", "true"),
        FlagArgument::new("file", format!("{memory}/Containerfile")),
    ]);
    let command = BuildahCommand {
        global: vec![
            FlagArgument::new("root", format!("{disk}/storage")),
            FlagArgument::new("runroot", format!("{disk}/run")),
        ],
        verb: "build",
        flags,
        positional: vec![memory.to_string()],
    };
    let file = |name: &str, content: Vec<u8>| PrivateFile {
        name: name.to_owned(),
        content: Zeroizing::new(content),
    };
    Operation {
        program: Program::Buildah(command),
        files: vec![
            file("Containerfile", CONTAINERFILE.into()),
            file("program", program),
        ],
        ..Operation::default()
    }
}

/// Plans to remove the storage. Only a process in such a namespace can remove all of it.
fn clear(session: &Session<'_>) -> Operation {
    let disk = session.paths.disk.display();
    let arguments = [
        "--recursive".to_owned(),
        "--force".to_owned(),
        format!("{disk}/storage"),
        format!("{disk}/run"),
    ];
    Operation {
        program: Program::Other {
            name: "rm",
            arguments: arguments.into(),
        },
        grants: Grants {
            storage: false,
            ..Grants::default()
        },
        ..Operation::default()
    }
}

/// Returns the end of the output on one line. Control characters in this output belong to the protocol.
fn end_of(output: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(output)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let start = text.len().saturating_sub(OUTPUT_END);
    let start = (start..text.len()).find(|&at| text.is_char_boundary(at));
    text[start.unwrap_or(0)..].to_owned()
}
