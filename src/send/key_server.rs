//! The key list as GitHub serves it, and the ways in which it can fail.
//!
//! Conditional requests are answered with 304. What is served can be exchanged while the server runs: a rotation is
//! [`KeyServer::publish`], an outage is [`KeyServer::fail`].
//! The endpoint: <https://docs.github.com/en/rest/meta/meta#get-github-meta-information>, `/meta/public_keys/…`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::stream::Repeat;
use super::{KeyList, SendError, key_id};

/// How the key list endpoint fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers at once, then gives one byte a second.
    Drip,
    /// Takes the request and never answers.
    Hang,
    /// Answers with 64 MiB.
    Huge,
    /// Puts entries that no receiver can use before the good ones.
    Malformed,
    /// Answers 200 with something that is not JSON.
    NotJson,
    /// Sends the receiver elsewhere, where the list would be found.
    Redirect,
    /// Answers with this status.
    Status(StatusCode),
}

impl std::str::FromStr for Fault {
    type Err = String;

    /// The fault's name, or a status code.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "drip" => Self::Drip,
            "hang" => Self::Hang,
            "huge" => Self::Huge,
            "malformed" => Self::Malformed,
            "not-json" => Self::NotJson,
            "redirect" => Self::Redirect,
            status => match status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
                Some(status) if status.as_u16() >= 400 => Self::Status(status),
                _ => {
                    return Err(
                        "one of drip, hang, huge, malformed, not-json, redirect, or a status from 400 up".into()
                    );
                }
            },
        })
    }
}

/// A running key list server. It stops when it is dropped.
pub struct KeyServer {
    addr: SocketAddr,
    shelf: Arc<Shelf>,
    task: JoinHandle<()>,
}

impl KeyServer {
    /// Serves `list` on `addr`; port 0 takes any free one.
    pub async fn start(addr: SocketAddr, list: &KeyList) -> Result<Self, SendError> {
        let listen = |source| SendError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let shelf = Arc::new(Shelf::new(list));
        let routes = Router::new()
            .route(PATH, get(serve))
            .route(OLD_PATH, get(serve))
            .route(MOVED_PATH, get(serve_moved))
            .with_state(Arc::clone(&shelf));
        let task = tokio::spawn(async move {
            // Ends only with the task; an accept that fails is tried again by axum.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { addr, shelf, task })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a receiver is configured with.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.addr)
    }

    /// Serves `list` from now on.
    pub fn publish(&self, list: &KeyList) {
        *lock(&self.shelf.list) = Printed::new(list);
    }

    /// Fails from now on.
    pub fn fail(&self, fault: Fault) {
        *lock(&self.shelf.fault) = Some(fault);
    }

    /// Answers again.
    pub fn recover(&self) {
        *lock(&self.shelf.fault) = None;
    }

    /// How many requests came, those that were made to fail included.
    pub fn requests(&self) -> u64 {
        self.shelf.requests.load(Ordering::SeqCst)
    }

    /// How many of them were answered with 304.
    pub fn not_modified(&self) -> u64 {
        self.shelf.not_modified.load(Ordering::SeqCst)
    }

    /// The credentials header of the last request, if it had one.
    pub fn last_authorization(&self) -> Option<HeaderValue> {
        lock(&self.shelf.authorization).clone()
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where GitHub serves its list today, and under which path it did before.
const PATH: &str = "/meta/public_keys/secret_scanning";
const OLD_PATH: &str = "/meta/public_keys/token_scanning";
const MOVED_PATH: &str = "/moved";

struct Shelf {
    list: Mutex<Printed>,
    fault: Mutex<Option<Fault>>,
    authorization: Mutex<Option<HeaderValue>>,
    requests: AtomicU64,
    not_modified: AtomicU64,
}

impl Shelf {
    fn new(list: &KeyList) -> Self {
        Self {
            list: Mutex::new(Printed::new(list)),
            fault: Mutex::default(),
            authorization: Mutex::default(),
            requests: AtomicU64::default(),
            not_modified: AtomicU64::default(),
        }
    }
}

/// A list as it goes over the wire, with its entity tag.
#[derive(Clone)]
struct Printed {
    body: Bytes,
    etag: HeaderValue,
    list: KeyList,
}

impl Printed {
    fn new(list: &KeyList) -> Self {
        // Strings and a flag always serialize.
        let text = serde_json::to_string(list).unwrap_or_default();
        // GitHub's tags are weak ones, and receivers have to compare them as such (RFC 9110 section 8.8.3.2).
        let etag = HeaderValue::from_str(&format!("W/\"{}\"", key_id(&text))).expect("hex in quotes is a header value");
        Self { body: text.into(), etag, list: list.clone() }
    }
}

async fn serve(State(shelf): State<Arc<Shelf>>, headers: HeaderMap) -> Response {
    shelf.requests.fetch_add(1, Ordering::SeqCst);
    *lock(&shelf.authorization) = headers.get(header::AUTHORIZATION).cloned();
    let fault = *lock(&shelf.fault);
    let printed = lock(&shelf.list).clone();
    match fault {
        None => answer(&shelf, &printed, &headers),
        Some(Fault::Drip) => json(Body::new(Repeat::slow(
            Bytes::from_static(b" "),
            usize::MAX,
            tokio::time::interval(Duration::from_secs(1)),
        ))),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Huge) => json(Body::new(Repeat::fast(vec![b' '; 64 * 1024].into(), 1024))),
        Some(Fault::Malformed) => json(Body::from(malformed(&printed.list))),
        Some(Fault::NotJson) => "<html>short and stout</html>".into_response(),
        Some(Fault::Redirect) => (StatusCode::FOUND, [(header::LOCATION, MOVED_PATH)]).into_response(),
        Some(Fault::Status(status)) => status.into_response(),
    }
}

async fn serve_moved(State(shelf): State<Arc<Shelf>>) -> Response {
    shelf.requests.fetch_add(1, Ordering::SeqCst);
    let body = lock(&shelf.list).body.clone();
    json(Body::from(body))
}

fn answer(shelf: &Shelf, printed: &Printed, headers: &HeaderMap) -> Response {
    let etag = [(header::ETAG, printed.etag.clone())];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| names(tags, &printed.etag)) {
        shelf.not_modified.fetch_add(1, Ordering::SeqCst);
        return (StatusCode::NOT_MODIFIED, etag).into_response();
    }
    (etag, json(Body::from(printed.body.clone()))).into_response()
}

/// Weak comparison: the opaque parts are equal (RFC 9110 section 13.1.2).
fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let (Ok(tags), Ok(etag)) = (tags.to_str(), etag.to_str()) else { return false };
    tags.trim() == "*" || tags.split(',').any(|tag| opaque(tag) == opaque(etag))
}

fn json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

/// The good entries of `list`, behind one of every kind that a receiver has to pass over.
fn malformed(list: &KeyList) -> String {
    let bad = serde_json::json!([
        null,
        "a string",
        {},
        {"key_identifier": "no-key", "is_current": true},
        {"key": "no id", "is_current": true},
        {"key_identifier": "empty-key", "key": "", "is_current": true},
        {"key_identifier": "not-pem", "key": "not a key", "is_current": true},
        {"key_identifier": 7, "key": 7, "is_current": "yes"},
    ]);
    let mut entries = bad.as_array().cloned().unwrap_or_default();
    entries.extend(list.public_keys.iter().map(|key| serde_json::json!(key)));
    serde_json::json!({ "public_keys": entries }).to_string()
}

/// A poisoned lock is taken over: nothing behind these locks can be left half-written.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
