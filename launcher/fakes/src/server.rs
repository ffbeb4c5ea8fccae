//! A small HTTP server in its own thread. It can be slow, cut responses off, or hold them back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::mpsc;

type Body = BoxBody<Bytes, io::Error>;

/// A request with its body.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: HashMap<String, String>,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Returns the method and path.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A response.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content: Content,
}

pub enum Content {
    Whole(Vec<u8>),
    /// Chunks until the sender is dropped. An error breaks the connection.
    Stream(mpsc::UnboundedReceiver<Result<Vec<u8>, ()>>),
}

impl Reply {
    pub fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            content: Content::Whole(value.to_string().into_bytes()),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A fault of one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request is not executed, and gets no response.
    HoldBefore,
    /// The request is executed, but gets no response.
    HoldAfter,
    /// The request is not executed. This is the response.
    Status(u16, Value, Vec<(&'static str, String)>),
    /// The request is executed. Its response is cut off in the middle.
    Cut,
    /// The request is executed. This text is the response.
    Garbage(&'static str),
}

type Choose = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

#[derive(Default)]
struct Shared {
    faults: Option<Choose>,
    held: usize,
    requests: Vec<String>,
    latency: Duration,
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Server {
    pub fn start(respond: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (of_thread, respond) = (shared.clone(), Arc::new(respond));
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((connection, _)) = listener.accept().await {
                    let (shared, respond) = (of_thread.clone(), respond.clone());
                    tokio::spawn(async move {
                        let service = service_fn(move |request| {
                            let (shared, respond) = (shared.clone(), respond.clone());
                            async move { serve(request, &shared, &*respond).await }
                        });
                        let http = hyper::server::conn::http1::Builder::new();
                        // A test may kill its client: ignore the error.
                        let _ = http
                            .serve_connection(TokioIo::new(connection), service)
                            .await;
                    });
                }
            });
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Chooses a fault for each request from now on.
    pub fn set_faults(&self, choose: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        self.shared.lock().unwrap().faults = Some(Box::new(choose));
    }

    /// Lets the next requests whose line contains `part` fail, one fault each.
    pub fn fail_next(&self, part: &'static str, faults: Vec<Fault>) {
        let mut faults = faults.into_iter();
        self.set_faults(move |request| request.line().contains(part).then(|| faults.next())?);
    }

    pub fn clear_faults(&self) {
        self.shared.lock().unwrap().faults = None;
    }

    pub fn latency(&self, latency: Duration) {
        self.shared.lock().unwrap().latency = latency;
    }

    /// The number of requests that were held back.
    pub fn held(&self) -> usize {
        self.shared.lock().unwrap().held
    }

    /// The lines of all requests.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// The number of requests whose line contains `part`.
    pub fn count(&self, part: &str) -> usize {
        self.requests()
            .iter()
            .filter(|line| line.contains(part))
            .count()
    }
}

async fn serve(
    request: hyper::Request<Incoming>,
    shared: &Mutex<Shared>,
    respond: &(dyn Fn(&Request) -> Reply + Send + Sync),
) -> Result<hyper::Response<Body>, Infallible> {
    let request = read(request).await;
    let (fault, latency) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(request.line());
        let fault = shared.faults.as_mut().and_then(|choose| choose(&request));
        (fault, shared.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if matches!(fault, Some(Fault::HoldBefore)) {
        hold(shared).await;
    }
    let reply = match fault {
        Some(Fault::Status(status, body, headers)) => {
            let reply = Reply::json(status, &body);
            headers
                .iter()
                .fold(reply, |reply, (name, value)| reply.header(name, value))
        }
        fault => {
            let reply = respond(&request);
            if matches!(fault, Some(Fault::HoldAfter)) {
                hold(shared).await;
            }
            damaged(reply, fault.as_ref())
        }
    };
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let body = match reply.content {
        Content::Whole(bytes) => Full::new(Bytes::from(bytes))
            .map_err(|never| match never {})
            .boxed(),
        Content::Stream(receiver) => streamed(receiver),
    };
    Ok(response.body(body).unwrap())
}

/// Never returns, so that the client gets no response.
async fn hold(shared: &Mutex<Shared>) {
    shared.lock().unwrap().held += 1;
    std::future::pending::<()>().await;
}

/// Damages a reply as the fault demands.
fn damaged(mut reply: Reply, fault: Option<&Fault>) -> Reply {
    match fault {
        Some(Fault::Cut) => {
            let (sender, receiver) = mpsc::unbounded_channel();
            if let Content::Whole(body) = &reply.content {
                sender.send(Ok(body[..body.len() / 2].to_vec())).unwrap();
            }
            sender.send(Err(())).unwrap();
            reply.content = Content::Stream(receiver);
        }
        Some(Fault::Garbage(text)) => reply.content = Content::Whole(text.as_bytes().to_vec()),
        _ => {}
    }
    reply
}

fn streamed(receiver: mpsc::UnboundedReceiver<Result<Vec<u8>, ()>>) -> Body {
    let chunks = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let frames = chunks.map(|chunk| match chunk {
        Ok(bytes) => Ok(Frame::data(Bytes::from(bytes))),
        Err(()) => Err(io::Error::other("cut off")),
    });
    BodyExt::boxed(StreamBody::new(Box::pin(frames)))
}

async fn read(request: hyper::Request<Incoming>) -> Request {
    let (head, body) = request.into_parts();
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: query(head.uri.query().unwrap_or_default()),
        headers,
        // A killed client sends an incomplete body.
        body: body
            .collect()
            .await
            .map(|body| body.to_bytes().to_vec())
            .unwrap_or_default(),
    }
}

fn query(text: &str) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
    url.query_pairs()
        .into_owned()
        .filter(|(name, _)| !name.is_empty())
        .collect()
}
