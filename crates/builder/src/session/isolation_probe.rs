//! A build of the builder's own, which proves that RUN steps can be isolated in a certain way.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Session;
use crate::isolation::Isolation;
use crate::operation::{Operation, Private};
use crate::protocol::{Hello, MAJOR, MINOR};
use crate::relay::Connection;
use crate::state::Builder;

/// This very program is all that the image holds.
const CONTAINERFILE: &str =
    "FROM scratch\nCOPY --chmod=0755 program /program\nRUN [\"/program\", \"--version\"]\n";
/// How much of what Buildah said becomes the reason.
const LAST_WORDS: usize = 300;

/// Builds with that isolation, in a storage of its own.
///
/// # Errors
/// What Buildah said last.
pub(crate) fn run(builder: &Arc<Builder>, isolation: Isolation) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let (ours, mut theirs) = UnixStream::pair().map_err(io)?;
    let connection = Arc::new(Connection::new(&ours).map_err(io)?);
    drop(ours);
    let listener = std::thread::spawn(move || {
        let mut said = Vec::new();
        // What came before an error is all there is.
        let _ = theirs.read_to_end(&mut said);
        said
    });
    let hello = Hello {
        version: (MAJOR, MINOR),
        arguments: Vec::new(),
        directory: String::new(),
        environment: Default::default(),
        terminal: None,
    };
    let session = Session::new(builder, &connection, &hello);
    let program = std::fs::read("/proc/self/exe").map_err(io)?;
    let directory = session.new_directory()?;
    let built = session.execute(&directory, &build(&session, isolation, program));
    let cleared = session.execute(&directory, &clear(&session));
    connection.close(0);
    drop((directory, session));
    drop(connection);
    let said = listener.join().unwrap_or_default();
    match (built?, cleared?) {
        (0, 0) => Ok(()),
        (code, _) => Err(format!("buildah ended with {code}: {}", last_words(&said))),
    }
}

fn build(session: &Session<'_>, isolation: Isolation, program: Vec<u8>) -> Operation {
    let own = session.places.own.display();
    let disk = session.places.disk.display();
    let mut arguments = vec![
        format!("--root={disk}/storage"),
        format!("--runroot={disk}/run"),
        "build".to_owned(),
    ];
    arguments.extend(isolation.flags().iter().map(ToString::to_string));
    arguments.extend(["--quiet".to_owned(), "--no-cache".to_owned()]);
    arguments.extend([format!("--file={own}/Containerfile"), own.to_string()]);
    let file = |name: &str, content: Vec<u8>| Private {
        name: name.to_owned(),
        content: Zeroizing::new(content),
    };
    Operation {
        arguments,
        files: vec![
            file("Containerfile", CONTAINERFILE.into()),
            file("program", program),
        ],
        ..Operation::default()
    }
}

/// Only in a namespace of its own can all of a storage be removed.
fn clear(session: &Session<'_>) -> Operation {
    let disk = session.places.disk.display();
    Operation {
        program: Some("rm"),
        storageless: true,
        arguments: ["--recursive", "--force"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{disk}/storage"), format!("{disk}/run")])
            .collect(),
        ..Operation::default()
    }
}

/// The end of what was said, on one line; the bytes between are the protocol's own.
fn last_words(said: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(said)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let start = text.len().saturating_sub(LAST_WORDS);
    let start = (start..text.len()).find(|&at| text.is_char_boundary(at));
    text[start.unwrap_or(0)..].to_owned()
}
