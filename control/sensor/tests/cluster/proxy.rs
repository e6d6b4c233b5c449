//! A proxy before the real API server that makes faults which it won't make on demand: answers that are not
//! its own, connections that break, answers that come late or by half, watches that expire.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};

use crate::control_plane::{ControlPlane, SENSOR};

/// What happens to a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Somebody else answers: a status code, and a word on why as the API server gives it.
    Answer(u16, &'static str),
    /// As the last, with a wish for when to come again.
    RetryAfter(u16, u32),
    /// The server is asked this much later.
    Delay(Duration),
    /// The connection is closed without an answer.
    Drop,
    /// The server is asked, but its answer is lost: what was asked for has happened.
    LoseAnswer,
    /// The answer breaks off in its middle; of a list that is told as a stream, the list.
    Half,
}

/// What becomes of lists that are asked for as streams, which the server behind may not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// They are refused as by a server that does not know them, whatever the server behind knows.
    Refused,
    /// The server behind is asked.
    Asked,
    /// They are told as a newer server tells them: each object of a list, a bookmark that says that these
    /// were all, and from the list's version on what the server behind tells.
    Told,
    /// The same without that bookmark, as a server does that takes them for watches.
    Unmarked,
}

/// How open watches end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// By the event that says that the resource version is too old.
    Gone,
    /// In the middle of an event.
    HalfEvent,
    /// By an event that is no JSON.
    Garbage,
    /// The connection breaks.
    Abort,
}

/// A request, as the rules of faults see it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
}

impl Asked {
    /// Is it a watch of these?
    pub(crate) fn watches(&self, plural: &str) -> bool {
        self.query.contains("watch=") && self.path.ends_with(&format!("/{plural}"))
    }

    /// Is it a list of these?
    pub(crate) fn lists(&self, plural: &str) -> bool {
        self.method == "GET"
            && !self.query.contains("watch=")
            && self.path.ends_with(&format!("/{plural}"))
    }

    /// Is it a list of these as a stream?
    pub(crate) fn streams(&self, plural: &str) -> bool {
        self.watches(plural) && self.query.contains(STREAM)
    }

    /// Does it write a status?
    pub(crate) fn writes_status(&self) -> bool {
        self.method == "PUT" && self.path.ends_with("/status")
    }
}

/// How a list is asked for as a stream.
const STREAM: &str = "sendInitialEvents=true";

type Matches = Box<dyn Fn(&Asked) -> bool + Send>;

struct Rule {
    matches: Matches,
    fault: Fault,
    left: usize,
}

struct State {
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<Vec<Asked>>,
    endings: watch::Sender<(u64, Option<Ending>)>,
    cuts: watch::Sender<u64>,
    streams: Mutex<Streams>,
}

/// The proxy, which ends with the test.
pub(crate) struct Proxy {
    state: Arc<State>,
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A watch as it comes.
pub(crate) type Events = futures::stream::BoxStream<'static, io::Result<Bytes>>;

impl Proxy {
    /// Starts one before a control plane.
    pub(crate) fn start(plane: &ControlPlane) -> Self {
        let state = Arc::new(State {
            rules: Mutex::default(),
            asked: Mutex::default(),
            endings: watch::Sender::new((0, None)),
            cuts: watch::Sender::new(0),
            streams: Mutex::new(Streams::Refused),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let kubeconfig = plane.kubeconfig(SENSOR);
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let serving = serve(listener, kubeconfig, shared);
                tokio::select! { () = serving => {}, _ = stopped => {} }
            });
        });
        Self { state, address, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a fault of the next `times` requests that match. Of two rules the earlier one counts.
    pub(crate) fn fault(
        &self,
        times: usize,
        fault: Fault,
        matches: impl Fn(&Asked) -> bool + Send + 'static,
    ) {
        locked(&self.state.rules).push(Rule { matches: Box::new(matches), fault, left: times });
    }

    /// How many faults are still to be made.
    pub(crate) fn pending(&self) -> usize {
        locked(&self.state.rules).iter().map(|rule| rule.left).sum()
    }

    /// Makes no more faults.
    pub(crate) fn heal(&self) {
        locked(&self.state.rules).clear();
    }

    /// Says what becomes of lists as streams from now on.
    pub(crate) fn stream_lists(&self, streams: Streams) {
        *locked(&self.state.streams) = streams;
    }

    /// Ends every open watch.
    pub(crate) fn end_watches(&self, how: Ending) {
        self.state.endings.send_modify(|it| *it = (it.0 + 1, Some(how)));
    }

    /// Breaks every connection.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_modify(|it| *it += 1);
    }

    /// How many requests have come so far that match.
    pub(crate) fn count(&self, matches: impl Fn(&Asked) -> bool) -> usize {
        locked(&self.state.asked).iter().filter(|asked| matches(asked)).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: std::net::TcpListener, kubeconfig: std::path::PathBuf, state: Arc<State>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let file = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(file, &Default::default())
        .await
        .expect("a configuration");
    // Who asks says by himself who he is.
    config.auth_info = Default::default();
    config.default_retry = false;
    config.read_timeout = None;
    let client = kube::Client::try_from(config).expect("a client");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (client, state) = (client.clone(), Arc::clone(&state));
        let mut cut = state.cuts.subscribe();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                answer(client.clone(), Arc::clone(&state), request)
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! { _ = connection => {}, _ = cut.changed() => {} }
        });
    }
}

/// An error closes the connection.
async fn answer(
    client: kube::Client,
    state: Arc<State>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
    };
    let fault = {
        let mut rules = locked(&state.rules);
        let rule = rules.iter_mut().find(|rule| rule.left > 0 && (rule.matches)(&asked));
        rule.map(|rule| {
            rule.left -= 1;
            rule.fault.clone()
        })
    };
    locked(&state.asked).push(asked.clone());
    match &fault {
        Some(Fault::Answer(code, reason)) => return Ok(status(*code, reason, None)),
        Some(Fault::RetryAfter(code, seconds)) => {
            return Ok(status(*code, "TooManyRequests", Some(*seconds)));
        }
        Some(Fault::Drop) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::LoseAnswer | Fault::Half) | None => {}
    }
    let is_stream = asked.query.contains(STREAM);
    let streams = *locked(&state.streams);
    if is_stream && streams == Streams::Refused {
        return Ok(status(422, "Invalid", None));
    }
    let (mut parts, body) = request.into_parts();
    parts.headers.remove("host");
    // An answer is to be read here.
    parts.headers.remove("accept-encoding");
    let uri = parts.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
    parts.uri = uri.parse().map_err(io::Error::other)?;
    if is_stream && streams != Streams::Asked {
        let endings = state.endings.subscribe();
        let is_half = matches!(fault, Some(Fault::Half));
        let (parts, events) = crate::stream::told(&client, parts, streams, is_half).await?;
        return Ok(Response::from_parts(parts, watched(events, endings)));
    }
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let outgoing = Request::from_parts(parts, kube::client::Body::from(body));
    let response = client.send(outgoing).await.map_err(io::Error::other)?;
    let (parts, body) = response.into_parts();
    match fault {
        Some(Fault::LoseAnswer) => Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Half) => {
            let whole = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let half = whole.slice(..whole.len() / 2);
            let frames = [Ok(Frame::data(half)), Err(io::ErrorKind::ConnectionAborted.into())];
            Ok(Response::from_parts(
                parts,
                BodyExt::boxed_unsync(StreamBody::new(futures::stream::iter(frames))),
            ))
        }
        _ if asked.query.contains("watch=") => {
            let events = body.into_data_stream().map(|it| it.map_err(io::Error::other)).boxed();
            Ok(Response::from_parts(parts, watched(events, state.endings.subscribe())))
        }
        _ => Ok(Response::from_parts(parts, body.map_err(io::Error::other).boxed_unsync())),
    }
}

/// The events of a watch as they come, until they end or are to be ended.
fn watched(mut frames: Events, mut endings: watch::Receiver<(u64, Option<Ending>)>) -> Body {
    let (send, receive) = mpsc::channel::<io::Result<Frame<Bytes>>>(1);
    endings.mark_unchanged();
    tokio::spawn(async move {
        loop {
            let ended = tokio::select! {
                frame = frames.next() => match frame {
                    Some(Ok(bytes)) => {
                        if send.send(Ok(Frame::data(bytes))).await.is_err() { return; }
                        continue;
                    }
                    Some(Err(error)) => {
                        let _ = send.send(Err(error)).await;
                        return;
                    }
                    None => return,
                },
                _ = endings.changed() => endings.borrow().1,
                () = send.closed() => return,
            };
            let (last, broken): (&[u8], bool) = match ended {
                None => continue,
                Some(Ending::Gone) => (
                    b"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\
                      \"status\":\"Failure\",\"message\":\"too old resource version: 1 (2)\",\
                      \"reason\":\"Expired\",\"code\":410}}\n",
                    false,
                ),
                Some(Ending::HalfEvent) => (b"{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"P", true),
                Some(Ending::Garbage) => (b"<html>bad gateway</html>\n", false),
                Some(Ending::Abort) => (b"", true),
            };
            if !last.is_empty() {
                let _ = send.send(Ok(Frame::data(Bytes::from_static(last)))).await;
            }
            if broken {
                let _ = send.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
            }
            return;
        }
    });
    let stream = futures::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|frame| (frame, receive))
    });
    BodyExt::boxed_unsync(StreamBody::new(stream))
}

/// An answer as the API server words it.
fn status(code: u16, reason: &str, retry_after: Option<u32>) -> Response<Body> {
    let text = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("a fault on demand: {reason}"), "reason": reason, "code": code,
    });
    let full = Full::new(Bytes::from(text.to_string()));
    let mut response = Response::builder().status(code).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    let body = full.map_err(|never: Infallible| match never {}).boxed_unsync();
    response.body(body).expect("a response")
}
