//! A container's log, streamed to its end: nothing lost and nothing doubled where the connection breaks.
//!
//! The API server starts a log again from a whole second. Each line comes with its own time, so that what was there before
//! is known by it; several lines of one time are counted.

use std::io;
use std::time::Duration;

use futures::AsyncReadExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::{mpsc, watch};

use super::View;
use crate::create::{Cluster, ClusterError};

/// A longer line is passed on in parts; where the connection breaks within it, its rest is not shown again.
const LINE_LIMIT: usize = 4 << 20;
/// Between two connections.
const PAUSE: Duration = Duration::from_millis(300);

/// A line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The container.
    pub container: String,
    /// The line without its end.
    pub text: Vec<u8>,
}

/// How far a log was read.
#[derive(Debug, Default)]
struct Position {
    /// The time of the last line.
    last: Option<Timestamp>,
    /// How many lines of that time were passed on.
    passed: usize,
    /// How many lines of that time the present connection has shown.
    seen: usize,
}

impl Position {
    fn reconnected(&mut self) {
        self.seen = 0;
    }

    /// Whether a line with this time is new.
    fn is_new(&mut self, time: Timestamp) -> bool {
        match self.last {
            Some(last) if time < last => false,
            Some(last) if time == last => {
                self.seen += 1;
                let new = self.seen > self.passed;
                self.passed = self.passed.max(self.seen);
                new
            }
            _ => {
                (self.last, self.passed, self.seen) = (Some(time), 1, 1);
                true
            }
        }
    }
}

/// Streams a container's log into `lines`, until the container has ended and all of it was read.
///
/// The job's view tells when there is a log and when it is complete. A receiver that is gone ends it too.
///
/// # Errors
/// Where the API server refuses.
pub async fn stream(
    cluster: &Cluster,
    mut job: watch::Receiver<View>,
    container: &str,
    lines: &mpsc::Sender<Line>,
) -> Result<(), ClusterError> {
    let pods: Api<Pod> = cluster.api();
    let mut position = Position::default();
    loop {
        let Some((pod, ended)) = ready(&mut job, container).await else {
            return Ok(());
        };
        position.reconnected();
        let read = connection(&pods, &pod, container, ended, &mut position, lines).await;
        match read {
            // The container had ended before this connection began: there is no more.
            Ok(Connection::Complete) if ended => return Ok(()),
            Ok(Connection::Unwanted) => return Ok(()),
            Ok(Connection::Complete) => {}
            Err(error) => {
                let told = ClusterError::refused(
                    &format!("reading the log of \"{container}\""),
                    cluster.namespace(),
                    &error,
                );
                // The pod is gone, and its log with it.
                if told.is_final() || told.cause == crate::create::Cause::NotFound {
                    return Err(told);
                }
                tracing::debug!("{told}");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until the container has a log: the pod's name, and whether the container has ended. Nothing where it never will.
async fn ready(job: &mut watch::Receiver<View>, container: &str) -> Option<(String, bool)> {
    loop {
        let view = job.borrow_and_update().clone();
        let pod = view.pod.as_ref();
        let state = pod.and_then(|pod| pod.container(container));
        if let (Some(pod), Some(state)) = (pod, state) {
            // A sidecar may have ended before, and run again.
            let over = pod.is_over();
            if state.has_started() {
                return Some((pod.name.clone(), state.ended.is_some() || over));
            }
        }
        let never = view.broken.is_some()
            || pod.is_some_and(super::PodState::is_over)
            || view.outcome().is_some();
        if never || job.changed().await.is_err() {
            return None;
        }
    }
}

enum Connection {
    /// It came to the log's end as it is now.
    Complete,
    /// Nobody reads the lines any more.
    Unwanted,
}

async fn connection(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    over: bool,
    position: &mut Position,
    lines: &mpsc::Sender<Line>,
) -> Result<Connection, kube::Error> {
    let parameters = LogParams {
        container: Some(container.to_owned()),
        follow: true,
        timestamps: true,
        since_time: position.last,
        ..LogParams::default()
    };
    let mut reader = std::pin::pin!(pods.log_stream(pod, &parameters).await?);
    let mut buffer = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    // Of a line that was too long: whether its first part was new. The rest has no time of its own.
    let mut within = None;
    loop {
        let read = reader.read(&mut chunk).await.map_err(broken)?;
        buffer.extend_from_slice(&chunk[..read]);
        // A line without an end is one only where no more can come. Else it is shown again, whole.
        for (text, complete) in split(&mut buffer, read == 0 && over) {
            let new = match within {
                Some(true) => Some(text.as_slice()),
                Some(false) => None,
                None => fresh(&text, position),
            };
            within = (!complete).then_some(new.is_some());
            let Some(text) = new else { continue };
            let line = Line {
                container: container.to_owned(),
                text: text.to_vec(),
            };
            if lines.send(line).await.is_err() {
                return Ok(Connection::Unwanted);
            }
        }
        if read == 0 {
            return Ok(Connection::Complete);
        }
    }
}

fn broken(error: io::Error) -> kube::Error {
    kube::Error::ReadEvents(error)
}

/// Takes whole lines out of a buffer, and whether each is complete.
fn split(buffer: &mut Vec<u8>, over: bool) -> Vec<(Vec<u8>, bool)> {
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(length) = buffer[start..].iter().position(|byte| *byte == b'\n') {
        lines.push((buffer[start..start + length].to_vec(), true));
        start += length + 1;
    }
    buffer.drain(..start);
    if buffer.len() > LINE_LIMIT || (over && !buffer.is_empty()) {
        lines.push((std::mem::take(buffer), false));
    }
    lines
}

/// A line's text after its time, where it was not passed on before.
fn fresh<'a>(line: &'a [u8], position: &mut Position) -> Option<&'a [u8]> {
    let space = line
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(line.len());
    let (stamp, text) = line.split_at(space);
    let time = std::str::from_utf8(stamp)
        .ok()
        .and_then(|stamp| stamp.parse::<Timestamp>().ok());
    match time {
        Some(time) => position
            .is_new(time)
            .then(|| text.strip_prefix(b" ").unwrap_or(text)),
        // The API server's own words, as "unable to retrieve container logs".
        None => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(position: &mut Position, log: &[&str]) -> Vec<String> {
        position.reconnected();
        let fresh = log
            .iter()
            .filter_map(|line| fresh(line.as_bytes(), position));
        fresh
            .map(|text| String::from_utf8(text.to_vec()).unwrap())
            .collect()
    }

    const LOG: [&str; 5] = [
        "2027-01-15T08:00:00.100000000Z a",
        "2027-01-15T08:00:00.200000000Z b",
        "2027-01-15T08:00:00.200000000Z c",
        "2027-01-15T08:00:00.200000000Z ",
        "2027-01-15T08:00:01.000000000Z d",
    ];

    #[test]
    fn wherever_a_connection_breaks_each_line_comes_once() {
        for first in 0..=LOG.len() {
            for second in 0..=LOG.len() {
                let mut position = Position::default();
                let mut all = read(&mut position, &LOG[..first]);
                all.extend(read(&mut position, &LOG[..second]));
                all.extend(read(&mut position, &LOG));
                assert_eq!(all, ["a", "b", "c", "", "d"], "{first}, {second}");
            }
        }
    }

    #[test]
    fn half_a_line_waits_for_the_other() {
        let mut buffer = b"one\ntw".to_vec();
        assert_eq!(split(&mut buffer, false), [(b"one".to_vec(), true)]);
        buffer.extend(b"o\nthree");
        assert_eq!(split(&mut buffer, false), [(b"two".to_vec(), true)]);
        assert_eq!(split(&mut buffer, true), [(b"three".to_vec(), false)]);
        assert!(split(&mut buffer, true).is_empty());
    }

    #[test]
    fn words_without_a_time_are_passed_on() {
        let mut position = Position::default();
        assert_eq!(
            read(&mut position, &["unable to retrieve container logs"]).len(),
            1
        );
    }
}
