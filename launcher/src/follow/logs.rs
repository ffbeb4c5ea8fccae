//! Streams a container's log to its end. If the connection breaks, no line is lost or repeated.
//!
//! The API server resumes a log at a whole second. Each line has its own timestamp, so lines that were passed on already are
//! recognised by it. Lines with the same timestamp are counted.

use std::time::Duration;

use futures::AsyncReadExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::{mpsc, watch};

use super::View;
use crate::create::{Cluster, ClusterError, ClusterErrorKind};

/// The greatest length of a line, in bytes. A longer line is passed on in parts, and is not resumed after a broken connection.
const LINE_LIMIT: usize = 4 << 20;
/// The pause between two connections.
const RECONNECT_PAUSE: Duration = Duration::from_millis(300);

/// A line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The container's name.
    pub container: String,
    /// The line without its newline.
    pub text: Vec<u8>,
}

/// The position up to which a log was passed on.
#[derive(Debug, Default)]
struct Position {
    /// The timestamp of the last line.
    last: Option<Timestamp>,
    /// The number of lines with that timestamp that were passed on.
    passed: usize,
    /// The number of lines with that timestamp that the current connection has delivered.
    seen: usize,
}

impl Position {
    fn reconnected(&mut self) {
        self.seen = 0;
    }

    /// Records a line with this timestamp, and returns whether it is new.
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

/// Streams a container's log into `lines`, until the Job has ended and the log was read completely. If the Job replaces its pod,
/// the log of the next pod follows.
///
/// The job's view says when the log exists and when it is complete. The stream also ends if the receiver is dropped.
///
/// # Errors
/// If the API server rejects the request.
pub async fn stream(
    cluster: &Cluster,
    mut job: watch::Receiver<View>,
    container: &str,
    lines: &mpsc::Sender<Line>,
) -> Result<(), ClusterError> {
    let pods: Api<Pod> = cluster.api();
    let mut position = Position::default();
    let mut read_completely = None;
    loop {
        let Some((pod, ended)) = ready(&mut job, container, read_completely.as_deref()).await
        else {
            return Ok(());
        };
        position.reconnected();
        let read = connection(&pods, &pod, container, ended, &mut position, lines).await;
        match read {
            // The container had ended before this connection began, so the log is complete.
            Ok(Connection::Complete) if ended => {
                read_completely = Some(pod);
                position = Position::default();
                continue;
            }
            Ok(Connection::ReceiverDropped) => return Ok(()),
            Ok(Connection::Complete) => {}
            Err(error) => {
                let error = ClusterError::rejected(
                    &format!("reading the log of \"{container}\""),
                    cluster.namespace(),
                    &error,
                );
                // A deleted pod has no log.
                if error.is_final() || error.kind == ClusterErrorKind::NotFound {
                    return Err(error);
                }
                tracing::debug!("{error}");
            }
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Waits until the container has a log. Returns the pod's name and whether the container has ended, or `None` if the
/// container will never start. The log of the pod `read_completely` was read.
async fn ready(
    job: &mut watch::Receiver<View>,
    container: &str,
    read_completely: Option<&str>,
) -> Option<(String, bool)> {
    loop {
        let view = job.borrow_and_update().clone();
        let pod = view.pod.as_ref();
        if pod.is_some_and(|pod| Some(pod.name.as_str()) == read_completely) {
            let over = view.watch_error.is_some() || view.outcome_without_pod().is_some();
            if over || job.changed().await.is_err() {
                return None;
            }
            continue;
        }
        let state = pod.and_then(|pod| pod.container(container));
        if let (Some(pod), Some(state)) = (pod, state) {
            let pod_ended = pod.is_final();
            if state.has_started() {
                return Some((pod.name.clone(), state.terminated.is_some() || pod_ended));
            }
        }
        let never = view.watch_error.is_some()
            || pod.is_some_and(super::PodState::is_final)
            || view.outcome().is_some();
        if never || job.changed().await.is_err() {
            return None;
        }
    }
}

enum Connection {
    /// The current end of the log was reached.
    Complete,
    /// The receiver of the lines was dropped.
    ReceiverDropped,
}

async fn connection(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    ended: bool,
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
    // Within a line that is passed on in parts: whether its first part was new. The other parts have no timestamp.
    let mut within = None;
    loop {
        let read = reader
            .read(&mut chunk)
            .await
            .map_err(kube::Error::ReadEvents)?;
        buffer.extend_from_slice(&chunk[..read]);
        // Text without a newline is a line only if no more can follow. Otherwise the next connection delivers it whole.
        for (text, complete) in split(&mut buffer, read == 0 && ended) {
            let new = match within {
                Some(true) => Some(text.as_slice()),
                Some(false) => None,
                None => if_new(&text, position),
            };
            within = (!complete).then_some(new.is_some());
            let Some(text) = new else { continue };
            let line = Line {
                container: container.to_owned(),
                text: text.to_vec(),
            };
            if lines.send(line).await.is_err() {
                return Ok(Connection::ReceiverDropped);
            }
        }
        if read == 0 {
            return Ok(Connection::Complete);
        }
    }
}

/// Takes the lines out of a buffer. The flag says whether a line is complete.
fn split(buffer: &mut Vec<u8>, ended: bool) -> Vec<(Vec<u8>, bool)> {
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(length) = buffer[start..].iter().position(|byte| *byte == b'\n') {
        lines.push((buffer[start..start + length].to_vec(), true));
        start += length + 1;
    }
    buffer.drain(..start);
    if buffer.len() > LINE_LIMIT || (ended && !buffer.is_empty()) {
        lines.push((std::mem::take(buffer), false));
    }
    lines
}

/// Returns a line's text after its timestamp, or `None` if it was passed on before.
fn if_new<'a>(line: &'a [u8], position: &mut Position) -> Option<&'a [u8]> {
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
        // A message of the API server itself, as in "unable to retrieve container logs".
        None => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::{Container, JobState, PodState, Termination};
    use super::*;

    fn read(position: &mut Position, log: &[&str]) -> Vec<String> {
        position.reconnected();
        let new = log
            .iter()
            .filter_map(|line| if_new(line.as_bytes(), position));
        new.map(|text| String::from_utf8(text.to_vec()).unwrap())
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
    fn each_line_is_passed_on_once_if_the_connection_breaks() {
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

    fn view(pod: &str, succeeded: Option<bool>) -> View {
        let state = PodState {
            uid: pod.to_owned(),
            name: pod.to_owned(),
            phase: "Failed".to_owned(),
            containers: vec![Container {
                name: "runner".to_owned(),
                terminated: Some(Termination::default()),
                ..Container::default()
            }],
            ..PodState::default()
        };
        let job = JobState {
            succeeded,
            ..JobState::default()
        };
        let mut view = View::default();
        view.set_job(job);
        view.set_pod(state);
        view
    }

    #[tokio::test]
    async fn the_log_of_a_replacing_pod_follows() {
        let (sender, mut job) = watch::channel(view("a", None));
        let first = ready(&mut job, "runner", None).await;
        assert_eq!(first, Some(("a".to_owned(), true)));
        sender.send_replace(view("b", None));
        let second = ready(&mut job, "runner", Some("a")).await;
        assert_eq!(second, Some(("b".to_owned(), true)));
        sender.send_replace(view("b", Some(false)));
        assert_eq!(ready(&mut job, "runner", Some("b")).await, None);
    }

    #[test]
    fn an_incomplete_line_is_kept_back() {
        let mut buffer = b"one\ntw".to_vec();
        assert_eq!(split(&mut buffer, false), [(b"one".to_vec(), true)]);
        buffer.extend(b"o\nthree");
        assert_eq!(split(&mut buffer, false), [(b"two".to_vec(), true)]);
        assert_eq!(split(&mut buffer, true), [(b"three".to_vec(), false)]);
        assert!(split(&mut buffer, true).is_empty());
    }

    #[test]
    fn lines_without_a_timestamp_are_passed_on() {
        let mut position = Position::default();
        assert_eq!(
            read(&mut position, &["unable to retrieve container logs"]).len(),
            1
        );
    }
}
